"""What a file holds and how it is compressed, told by its name whatever the case, and its lines."""

from __future__ import annotations

import bz2
import gzip
import io
import lzma
import zlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO, Literal

from temp_processors.datafiles.errors import RowsError, reason_of
from temp_processors.datafiles.position import CountedFile, Position

BUFFER = 1 << 18
"""Bytes that are read from disk at a time."""
Format = Literal["text", "jsonl", "json", "csv", "tsv", "parquet"]
FORMATS: dict[str, Format] = {
    ".txt": "text",
    ".jsonl": "jsonl",
    ".jsonlines": "jsonl",
    ".ndjson": "jsonl",
    ".json": "json",
    ".csv": "csv",
    ".tsv": "tsv",
    ".parquet": "parquet",
    ".pq": "parquet",
}
"""Format by suffix; a suffix that is neither here nor in `ELSE` is plain text, as `corpus.en`."""
# fmt: off
ELSE = frozenset((
    ".yaml", ".yml", ".toml", ".ini", ".xml", ".html", ".htm", ".arrow", ".feather", ".ipc", ".orc", ".avro", ".zip", ".tar", ".tgz",
    ".rar", ".7z", ".lz4", ".lzma", ".br", ".snappy", ".z", ".xls", ".xlsx", ".ods", ".doc", ".docx", ".odt", ".rtf", ".pdf", ".pkl",
    ".pickle", ".npy", ".npz", ".pt", ".pth", ".bin", ".safetensors", ".gguf", ".h5", ".hdf5", ".db", ".sqlite", ".sav", ".dta", ".py",
    ".ipynb",
))
# fmt: on
"""Suffixes of what is no list of texts: read as lines, its syntax would be scored."""


def _zstandard(file: BinaryIO) -> Any:
    import pyarrow

    return pyarrow.CompressedInputStream(file, "zstd")


OPENERS: dict[str, Callable[[BinaryIO], Any]] = {
    "": nullcontext,
    ".gz": gzip.open,
    ".bz2": bz2.open,
    ".xz": lzma.open,
    ".zst": _zstandard,
}
"""What unpacks an open file, by the suffix of its compression."""


@dataclass(frozen=True)
class DataFile:
    """A file, what it holds, and how it is compressed.

    Example:
        >>> DataFile.named(Path("a/Tales.v2.JSONL.gz"))
        DataFile(path=PosixPath('a/Tales.v2.JSONL.gz'), format='jsonl', packing='.gz')
        >>> DataFile.named(Path("a/Tales.v2.JSONL.gz")).stem
        'Tales.v2'
    """

    path: Path
    format: Format
    packing: str = ""

    @classmethod
    def named(cls, path: Path) -> DataFile:
        """The file as its name says.

        Raises:
            RowsError: The name is that of something else than rows of text.
        """
        packing = path.suffix.lower() if path.suffix.lower() in OPENERS else ""
        suffix = (path.with_suffix("") if packing else path).suffix.lower()
        if suffix in ELSE or (packing and FORMATS.get(suffix) == "parquet"):
            read = ", ".join(FORMATS)
            raise RowsError(
                f"{path}: {suffix}{packing} is not read as texts: give {read}; .gz, .bz2, .xz or .zst behind it"
            )
        return cls(path, FORMATS.get(suffix, "text"), packing)

    @property
    def stem(self) -> str:
        """The name without the suffixes that say how it is read."""
        inner = self.path.with_suffix("") if self.packing else self.path
        return inner.stem

    def lines(self, position: Position | None = None) -> Iterator[str]:
        r"""The lines with their ends, `\n`, `\r\n` or `\r`; a byte order mark is left out.

        Args:
            position: Is moved on as the file is read.

        Raises:
            RowsError: The file cannot be opened or decompressed, or is not UTF-8 (with the line).
        """
        try:
            with self._opened(position) as binary, io.TextIOWrapper(binary, "utf-8-sig", newline="") as text:
                yield from text
        except UnicodeDecodeError as error:
            raise RowsError(self._undecodable()) from error
        except (OSError, EOFError, zlib.error, lzma.LZMAError) as error:
            raise RowsError(f"{self.path}: cannot be read: {reason_of(error)}") from error

    @contextmanager
    def _opened(self, position: Position | None = None) -> Iterator[BinaryIO]:
        counted = CountedFile(self.path, Position() if position is None else position)
        with io.BufferedReader(counted, BUFFER) as file, OPENERS[self.packing](file) as opened:
            yield opened

    def _undecodable(self) -> str:
        """Where the first line stands that is not UTF-8; a pipe cannot be read again to find it."""
        if not self.path.is_file():
            return f"{self.path}: is not UTF-8"
        with self._opened() as binary, io.TextIOWrapper(binary, "utf-8-sig", "surrogateescape", "") as text:
            for number, line in enumerate(text, start=1):
                place = next((i for i, c in enumerate(line) if "\udc80" <= c <= "\udcff"), None)
                if place is not None:
                    return f"{self.path}:{number}: is not UTF-8 (byte {len(line[:place].encode())} of the line)"
        return f"{self.path}: is not UTF-8"


def is_file_name(source: str) -> bool:
    """Whether a source is a file: one that is there, a pipe among them, or whose suffix is that of a file; `OpenHermes-2.5` names a
    dataset.

    Example:
        >>> is_file_name("nowhere.JSONL"), is_file_name("nowhere.csv.gz"), is_file_name("teknium/OpenHermes-2.5")
        (True, True, False)
    """
    path = Path(source)
    try:
        if path.exists():
            return not path.is_dir()
    except OSError:  # a name longer than names can be
        return True
    return path.suffix.lower() in {*FORMATS, *ELSE, *OPENERS} - {""}
