"""Checksums of a run folder: one in every line of `samples.jsonl`, and `SHA256SUMS` for its other files.

A line ends with `"check"`, a digest of the bytes before that field, so that a flipped bit, a cut line or an edit is seen at its line.
`sha256sum -c SHA256SUMS` in the folder says the same of the other files as this module does.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterable, Mapping
from pathlib import Path

SUMS = "SHA256SUMS"
"""Name of the file; a run of a version before it has none, and then lines without `check` are read as they are."""
BEFORE, AFTER = b', "check": "', b'"}'
DIGITS = 16
ENTRY = re.compile(r"([0-9a-f]{64}) [ *](\S+)")


class DamagedLineError(ValueError):
    """A line that cannot be trusted; the message says why, without the place."""


def sealed(record: str) -> bytes:
    """A JSON object as a line of a file, with its checksum as the last field and the newline.

    Args:
        record: The object as `json.dumps` writes it, not empty.

    Example:
        >>> sealed('{"text": "a"}')
        b'{"text": "a", "check": "fcb1f37e263f800e"}\\n'
    """
    body = record.encode()[:-1]
    return body + BEFORE + _digest(body) + AFTER + b"\n"


def unsealed(line: bytes, *, needed: bool) -> bytes:
    """The JSON object of a line without its checksum, after comparing it.

    Args:
        line: As it stands in the file; a newline at its end is left out.
        needed: Whether a line without a checksum is refused; one with a checksum is compared either way.

    Raises:
        DamagedLineError: The checksum differs or is missing.
    """
    line = line.removesuffix(b"\n")
    cut = len(line) - len(AFTER) - DIGITS - len(BEFORE)
    body, seal = line[: max(cut, 0)], line[max(cut, 0) :]
    if not (seal.startswith(BEFORE) and seal.endswith(AFTER)):
        if needed:
            raise DamagedLineError("has no checksum")
        return line
    if seal[len(BEFORE) : -len(AFTER)] != _digest(body):
        raise DamagedLineError("its checksum differs")
    return body + b"}"


def sum_of(content: bytes) -> str:
    """SHA-256 of a text in bytes, in hexadecimal digits."""
    return hashlib.sha256(content).hexdigest()


def sum_of_file(path: Path) -> str | None:
    """SHA-256 of a file, in hexadecimal digits; None where there is no such file."""
    if not path.is_file():
        return None
    digest = hashlib.sha256()
    with path.open("rb") as file:
        while block := file.read(1 << 20):
            digest.update(block)
    return digest.hexdigest()


def read_sums(folder: Path) -> dict[str, str] | None:
    """Digests by the name of the file; None where the run is of a version that wrote none. Lines that are no entry are left out."""
    try:
        text = (folder / SUMS).read_bytes().decode("utf-8", "replace")
    except FileNotFoundError:
        return None
    found = map(ENTRY.fullmatch, text.splitlines())
    return {entry[2]: entry[1] for entry in found if entry is not None}


def as_sums(sums: Mapping[str, str]) -> str:
    """The text of `SHA256SUMS`."""
    return "".join(f"{digest}  {name}\n" for name, digest in sums.items())


def differing(folder: Path, names: Iterable[str]) -> list[str]:
    """Those of the files that are missing or not as the run wrote them, as far as `SHA256SUMS` knows."""
    sums = read_sums(folder) or {}
    return [name for name in names if name in sums and sum_of_file(folder / name) != sums[name]]


def _digest(body: bytes) -> bytes:
    return hashlib.blake2b(body, digest_size=DIGITS // 2).hexdigest().encode()
