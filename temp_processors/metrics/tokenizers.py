"""Tokenizers that scores count by: their names, and `auto`, which looks at the script of the texts.

    auto        words where spaces separate words, characters where most words are written without (Chinese, Japanese, Thai, ...)
    whitespace  `str.split()`: splits on every Unicode space and drops nothing else; case and punctuation count
    characters  Unicode code points without white space, as sacrebleu's `char`; a combining mark is a character of its own
    13a, intl   sacrebleu's own tokenizers (the package `sacrebleu`): punctuation apart from words

No tokenizer normalises: é as one code point and as two are different, so bring texts to one form (NFC) first. 13a and intl do what
sacrebleu does, which resolves `&quot;`, `&amp;`, `&lt;` and `&gt;`.
"""

from __future__ import annotations

import re
import unicodedata
from collections import Counter
from collections.abc import Callable, Hashable, Iterable, Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

Tokens = Sequence[Hashable]
Tokenizer = str | Callable[[str], Tokens]

TOKENIZERS = ("whitespace", "characters", "auto", "13a", "intl")
"""Tokenizers that have a name."""
WITHOUT_SPACES = frozenset(
    (
        "CJK",
        "IDEOGRAPHIC",
        "HIRAGANA",
        "KATAKANA",
        "BOPOMOFO",
        "THAI",
        "LAO",
        "KHMER",
        "MYANMAR",
        "TIBETAN",
        "TAI",
        "NEW",
    )
)
"""First word of the Unicode name of letters whose scripts put no space between words (TAI: Le, Tham, Viet; NEW: New Tai Lue)."""
MOST_WORDS = 0.25
"""Share of letters without spaces from which `auto` takes characters. A Chinese word has about 1.6 letters and an English one 5: where a
quarter of the letters is Chinese, half of the words are."""


@dataclass(frozen=True)
class Splitter:
    """A tokenizer as scores use it.

    Args:
        name: In signatures.
        split: From a text to its tokens.
        ends: From a text to the place in it where each token ends; None where its tokens may differ from the text.
    """

    name: str
    split: Callable[[str], Tokens]
    ends: Callable[[str], Sequence[int] | None] = lambda text: None

    def beginning(self, text: str, tokens: int) -> str:
        """The text up to the end of its first `tokens` tokens, the text itself where it has no more.

        Tokens that are not pieces of the text (a function that changes case, an entity that 13a resolves) are joined by a space.

        Example:
            >>> splitter("whitespace").beginning("one  two\\nthree ", 2), splitter("characters").beginning("敏 捷 的", 2)
            ('one  two', '敏 捷')
        """
        split = self.split(text)
        if len(split) <= tokens:
            return text
        ends = self.ends(text) or ends_of(split, text)
        return " ".join(map(str, split[:tokens])) if ends is None else text[: ends[tokens - 1]]


def splitter(tokenizer: Any, texts: Iterable[object] = (), *, without_spaces: float | None = None) -> Splitter:
    """The tokenizer behind a choice; `auto` is resolved by these texts.

    Args:
        tokenizer: As for `tokenize`, or a `Splitter`, which is returned as it is.
        texts: What `auto` looks at.
        without_spaces: Their `share_without_spaces`, where it is known already.

    Raises:
        ValueError: An unknown name, or a package that it needs is not installed.
        TypeError: Neither a name, nor a function, nor a Hugging Face tokenizer.
    """
    choices = f"{', '.join(map(repr, TOKENIZERS))}, a function or a Hugging Face tokenizer"
    if isinstance(tokenizer, Splitter):
        return tokenizer
    if isinstance(tokenizer, str):
        if tokenizer not in TOKENIZERS:
            raise ValueError(f"`tokenizer` has to be {choices}, but is {tokenizer!r}")
        if tokenizer != "auto":
            return _named(tokenizer)
        share = share_without_spaces(texts) if without_spaces is None else without_spaces
        return _named("characters" if share >= MOST_WORDS else "whitespace")
    if hasattr(tokenizer, "convert_ids_to_tokens"):
        name = tokenizer.name_or_path or type(tokenizer).__name__
        shown = f"hf:{Path(name).name if Path(name).is_dir() else name}"
        return Splitter(shown, tokenizer.tokenize, lambda text: _offsets(tokenizer, text))
    if not callable(tokenizer):
        raise TypeError(f"`tokenizer` has to be {choices}, but is {tokenizer!r}")
    return Splitter(getattr(tokenizer, "__name__", type(tokenizer).__name__), tokenizer)


def by_script(texts: Iterable[object]) -> str:
    """What `auto` stands for with these texts, all of one comparison: `characters` or `whitespace`.

    Example:
        >>> by_script(["The fox ran home."]), by_script(["狐狸跑回家了。"]), by_script(["狐狸用 PyTorch。"]), by_script(["여우가 집으로"])
        ('whitespace', 'characters', 'characters', 'whitespace')
    """
    return "characters" if share_without_spaces(texts) >= MOST_WORDS else "whitespace"


def share_without_spaces(texts: Iterable[object]) -> float:
    """Share of the letters that belong to scripts without spaces between words; 0 where there are no letters.

    Example:
        >>> share_without_spaces(["狐狸 ran"]), share_without_spaces(["😀 12"])
        (0.4, 0.0)
    """
    counts: Counter[str] = Counter()
    for text in texts:
        if isinstance(text, str):
            counts.update(text)
    letters = {letter: count for letter, count in counts.items() if unicodedata.category(letter).startswith("L")}
    without = sum(count for letter, count in letters.items() if _is_without_spaces(letter))
    return without / sum(letters.values()) if letters else 0.0


@lru_cache(maxsize=1 << 16)
def _is_without_spaces(letter: str) -> bool:
    name = unicodedata.name(letter, "").removeprefix("HALFWIDTH ")
    return re.split("[ -]", name, maxsplit=1)[0] in WITHOUT_SPACES


def ends_of(tokens: Tokens, text: str) -> list[int] | None:
    """Where each token ends in a text that is these tokens and white space; None where it is anything else.

    Example:
        >>> ends_of(["a", "fox", "."], "a  fox."), ends_of(["a", "fox"], "A fox")
        ([1, 6, 7], None)
    """
    ends, place = [], 0
    for token in tokens:
        place += len(text) - place - len(text[place:].lstrip())
        if not isinstance(token, str) or not text.startswith(token, place):
            return None
        place += len(token)
        ends.append(place)
    return ends


def characters(text: str) -> list[str]:
    """The code points of a text that are not white space."""
    return [character for character in text if not character.isspace()]


def _named(name: str) -> Splitter:
    if name == "whitespace":
        return Splitter(name, str.split, lambda text: [word.end() for word in re.finditer(r"\S+", text)])
    if name == "characters":
        return Splitter(name, characters, lambda text: [i + 1 for i, c in enumerate(text) if not c.isspace()])
    tokenize = _of_sacrebleu(name)
    return Splitter(name, lambda text: tokenize(text).split())


def _of_sacrebleu(name: str) -> Callable[[str], str]:
    try:
        from sacrebleu.tokenizers.tokenizer_13a import Tokenizer13a
        from sacrebleu.tokenizers.tokenizer_intl import TokenizerV14International
    except ImportError as error:
        install = "pip install 'temp-processors[sacrebleu]'"
        raise ValueError(f"`tokenizer` {name!r} is that of the package sacrebleu: {install}") from error
    found: Callable[[str], str] = Tokenizer13a() if name == "13a" else TokenizerV14International()
    return found


def _offsets(tokenizer: Any, text: str) -> list[int] | None:
    """Where each token of a Hugging Face tokenizer ends; None for those without offsets."""
    if not tokenizer.is_fast:
        return None
    pieces = tokenizer(text, add_special_tokens=False, return_offsets_mapping=True)["offset_mapping"]
    return [end for _, end in pieces]
