"""What a token looks like on a page: its text where it is text, a visible placeholder where it is not.

A byte-level token may be half a character, a token may be nothing but a zero-width or a control character. Showing
`tokenizer.decode([id])` would then show nothing or a replacement mark, and the strip would not align with the tokens.
"""

from __future__ import annotations

import json
import re
import unicodedata
from collections.abc import Iterable
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

from temp_processors.inert import one_line
from temp_processors.runs.lenient import LoadedRun

MOST_TOKENS = 1 << 31
BYTE_TOKEN = re.compile(r"<0x([0-9A-Fa-f]{2})>")
VISIBLE = {" ": "␣", "\n": "⏎", "\t": "⇥", "\r": "␍"}


@dataclass(frozen=True)
class Piece:
    """A token for people.

    Args:
        raw: The text it stands for, as far as it is text; half characters as `<E2>`.
        shown: The same with spaces, line breaks and invisible characters made visible.
    """

    raw: str
    shown: str


def token_pieces(run: LoadedRun, ids: Iterable[int]) -> tuple[dict[int, Piece], str]:
    """The pieces of `ids` with the run's tokenizer, and a note: "" or why tokens appear as numbers."""
    tokenizer, note = _tokenizer(run)
    wanted = set(ids)
    if tokenizer is None:
        return {token: _numbered(token) for token in wanted}, note
    names = TokenNames(tokenizer)
    return {token: names(token) for token in wanted}, note


class TokenNames:
    """The pieces of a tokenizer's vocabulary, one look-up at a time.

    Args:
        tokenizer: A `tokenizers.Tokenizer`, or a transformers tokenizer of either kind.

    Example:
        >>> from transformers import AutoTokenizer
        >>> from temp_processors import FOX_PATH
        >>> tokenizer = AutoTokenizer.from_pretrained(FOX_PATH)
        >>> TokenNames(tokenizer)(tokenizer(" fox")["input_ids"][-1]).shown
        '␣fox'
    """

    def __init__(self, tokenizer: Any) -> None:
        fast = getattr(tokenizer, "backend_tokenizer", tokenizer)
        self._name = fast.id_to_token if hasattr(fast, "id_to_token") else fast.convert_ids_to_tokens
        self._byte_level = hasattr(fast, "to_str") and _is_byte_level(fast)
        self._known: dict[int, Piece] = {}

    def __call__(self, token: int) -> Piece:
        """The piece of one token; `#17` for a number that the vocabulary does not have."""
        if token not in self._known:
            name = self._name(token) if 0 <= token < MOST_TOKENS else None
            text = "" if name is None else token_text(name, self._byte_level)
            self._known[token] = _numbered(token) if name is None else Piece(text, visible(text))
        return self._known[token]


def _numbered(token: int) -> Piece:
    return Piece(f"#{token}", f"#{token}")


def _tokenizer(run: LoadedRun) -> tuple[Any, str]:
    model = run.config.get("model", "fox")
    model = model.get("name") if isinstance(model, dict) else model
    place = _tokenizer_file(model) if isinstance(model, str) else None
    if place is None:
        return None, f"The tokenizer of {model!r} is not on this machine: tokens are shown by their numbers."
    from tokenizers import Tokenizer

    try:
        return Tokenizer.from_file(str(place)), ""
    except Exception as error:
        if type(error) is not Exception:  # what the library raises for a file that is none of its own has no class
            raise
        why = one_line(f"{place} cannot be read: {error}")
        return None, f"{why[:200]}. Tokens are shown by their numbers."


def _tokenizer_file(model: str) -> Path | None:
    if model == "fox":
        place = Path(__file__).parents[1] / "fox" / "tokenizer.json"
    elif Path(model).is_dir():
        place = Path(model) / "tokenizer.json"
    else:
        from huggingface_hub import try_to_load_from_cache

        found = try_to_load_from_cache(model, "tokenizer.json") if "/" in model.strip("/") else None
        place = Path(found) if isinstance(found, str) else Path("tokenizer.json", "absent")
    return place if place.is_file() else None


def _is_byte_level(tokenizer: Any) -> bool:
    return '"ByteLevel"' in json.dumps(json.loads(tokenizer.to_str()).get("decoder"))


def token_text(name: str, byte_level: bool) -> str:
    """The text of a token from its name in the vocabulary.

    Args:
        name: As in the vocabulary: `Ġfox`, `▁fox`, `<0x0A>`.
        byte_level: Whether the vocabulary writes bytes as printable characters, as GPT-2 does.

    Example:
        >>> token_text("Ġfox", True), token_text("▁fox", False), token_text("<0xE2>", False)
        (' fox', ' fox', '<E2>')
    """
    byte = BYTE_TOKEN.fullmatch(name)
    if byte:
        return _bytes_text(bytes.fromhex(byte[1]))
    table = _byte_of_character()
    if byte_level and all(character in table for character in name):
        return _bytes_text(bytes(table[character] for character in name))
    return name if byte_level else name.replace("▁", " ")


def _bytes_text(data: bytes) -> str:
    """UTF-8 text with the bytes that are half a character as `<E2>`."""
    text = data.decode("utf-8", errors="surrogateescape")
    return "".join(f"<{ord(c) - 0xDC00:02X}>" if 0xDC80 <= ord(c) <= 0xDCFF else c for c in text)


@cache
def _byte_of_character() -> dict[str, int]:
    """GPT-2's table: printable Latin-1 stands for itself, the other 68 bytes for U+0100 onwards."""
    printable = [*range(0x21, 0x7F), *range(0xA1, 0xAD), *range(0xAE, 0x100)]
    others = [byte for byte in range(256) if byte not in printable]
    return {chr(byte): byte for byte in printable} | {chr(0x100 + i): byte for i, byte in enumerate(others)}


def visible(text: str) -> str:
    """`text` with white space and characters that show nothing replaced by something to see.

    A combining mark at the start gets a dotted circle to sit on.

    Example:
        >>> visible(" fox\\n"), visible("\\u200b"), visible("\\u0301")
        ('␣fox⏎', '⟨U+200B⟩', '◌́')
    """
    if text == "":
        return "⟨empty⟩"
    shown = "".join(_visible_character(character) for character in text)
    return "◌" + shown if unicodedata.combining(text[0]) else shown


def _visible_character(character: str) -> str:
    if character in VISIBLE:
        return VISIBLE[character]
    # Cc control, Cf format (zero-width, direction marks), Cs half a pair, Cn unassigned, Zs/Zl/Zp spaces of other kinds
    hidden = unicodedata.category(character) in {"Cc", "Cf", "Cs", "Cn", "Co", "Zs", "Zl", "Zp"}
    return f"⟨U+{ord(character):04X}⟩" if hidden else character
