"""Texts as integer token ids: split once, then every n-gram metric works on the same arrays.

n-grams never cross texts. Peers differ in how they split more than in their formulas, hence the tokenizer's name in every signature
(`tokenizers.py` lists them).
"""

from __future__ import annotations

from array import array
from collections import defaultdict
from collections.abc import Hashable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import count
from typing import Any, cast

import numpy as np

from temp_processors.metrics.arrays import Bools, Ints
from temp_processors.metrics.ngrams import Repeated, count_ngrams, different_in_texts, ngram_lengths, repeated_ngrams
from temp_processors.metrics.sorting import run_starts
from temp_processors.metrics.spread import Spread, spread_in_memory
from temp_processors.metrics.statistics import Inside, TextStatistics
from temp_processors.metrics.tokenizers import Tokenizer, Tokens, splitter


@dataclass(frozen=True)
class TokenizedTexts:
    """All tokens of all texts, one after the other.

    Args:
        ids: Token ids, equal where tokens are equal, small numbers >= 0, shape (tokens,).
        starts: Where each text begins, and the number of tokens at the end, shape (texts + 1,).
        tokenizer: Name of the tokenizer, for signatures.
        length: What was cut off the texts, for signatures: `full`, `first:k` or `matched:k`.
    """

    ids: Ints
    starts: Ints
    tokenizer: str
    length: str = "full"

    def __len__(self) -> int:
        return len(self.starts) - 1

    def take(self, kept: Any) -> TokenizedTexts:
        """The texts at these indices or of this mask, shape (texts,).

        Example:
            >>> tokenize(["a b", "c", "d c"]).take([1, 2]).ids.tolist()
            [2, 3, 2]
        """
        chosen = np.arange(len(self))[kept]
        lengths = self.lengths[chosen]
        starts = np.concatenate([[0], np.cumsum(lengths)]).astype(np.int64)
        places = np.arange(starts[-1]) + np.repeat(self.starts[chosen] - starts[:-1], lengths)
        return TokenizedTexts(self.ids[places], starts, self.tokenizer, self.length)

    def first(self, k: int, name: str = "first") -> TokenizedTexts:
        """The first k tokens of every text; shorter texts stay as they are. Scores of it say so: `len:first:k`.

        Example:
            >>> tokenize(["a b c", "d"]).first(2).starts.tolist()
            [0, 2, 3]
        """
        if k < 1:
            raise ValueError(f"`k` has to be an integer >= 1, but is {k!r}")
        return self.cut(np.minimum(self.lengths, min(k, self.ids.size)), f"{name}:{k}")

    def cut(self, lengths: Ints, name: str) -> TokenizedTexts:
        """The first tokens of every text, as many as `lengths` says, shape (texts,); scores of it say `len:name`."""
        kept = np.arange(len(self.ids)) - np.repeat(self.starts[:-1], self.lengths) < np.repeat(lengths, self.lengths)
        starts = np.concatenate([[0], np.cumsum(lengths)]).astype(np.int64)
        return TokenizedTexts(self.ids[kept], starts, self.tokenizer, name)

    @cached_property
    def lengths(self) -> Ints:
        """Tokens of each text, shape (texts,)."""
        return np.diff(self.starts)

    @cached_property
    def kinds(self) -> Ints:
        """A number for each text, from 0, the same for texts that are equal token by token, shape (texts,)."""
        numbers: dict[bytes, int] = {}
        texts = (self.ids[a:b].tobytes() for a, b in zip(self.starts[:-1], self.starts[1:], strict=True))
        return np.array([numbers.setdefault(text, len(numbers)) for text in texts], dtype=np.int64)

    @property
    def different_texts(self) -> int:
        """Number of texts that differ from every earlier text, token by token."""
        return int(self.kinds.max()) + 1 if len(self) else 0

    @property
    def duplicate_share(self) -> float:
        """Share of the texts that equal an earlier text, token by token."""
        return (len(self) - self.different_texts) / len(self) if len(self) else 0.0

    @property
    def counts(self) -> dict[str, float]:
        """What moves nearly every score: `texts`, `tokens`, `duplicate_share`."""
        return {"texts": len(self), "tokens": len(self.ids), "duplicate_share": self.duplicate_share}

    def shorter_than(self, n: int) -> float:
        """Share of the texts with fewer than n tokens."""
        return float((self.lengths < n).mean()) if len(self) else 0.0

    @cached_property
    def vocabulary(self) -> int:
        """One more than the largest id, at least 1."""
        return int(self.ids.max()) + 1 if len(self.ids) else 1

    @property
    def frequencies(self) -> Ints:
        """How often each different token occurs, shape (types,)."""
        found: Ints = np.bincount(self.ids)
        return found[found > 0]

    def repeated(self, largest: int, among: Bools | None = None) -> Iterator[Repeated]:
        """The n-grams that occur more than once, as `repeated_ngrams` finds them."""
        return repeated_ngrams(self, largest, among)

    def count_ngrams(self, n: int) -> tuple[int, int]:
        """Number of different n-grams and number of n-grams, of all texts together."""
        return count_ngrams(self, n)

    def holders(self, n: int) -> Ints:
        """How many different n-grams are held by 0, 1, 2... of the texts, shape (texts + 1,)."""
        *_, repeated = self.repeated(n)
        gram = repeated.held.gram
        found: Ints = np.bincount(np.diff(np.flatnonzero(run_starts(gram)), append=len(gram)), minlength=len(self) + 1)
        found[0] = 0
        found[min(1, len(self))] += int(ngram_lengths(self, n).sum()) - len(repeated.gram)
        return found

    def spread(self, n: int, units: Ints) -> Spread:
        """How n-grams spread over units; `units` says which one each text belongs to, shape (texts,)."""
        return spread_in_memory(self, n, units)

    def text_spread(self, units: Ints) -> Spread:
        """How whole texts spread over units: that of n-grams where every text is one n-gram."""
        single = TokenizedTexts(self.kinds, np.arange(len(self) + 1), self.tokenizer)
        return spread_in_memory(single, 1, units)

    def inside(self, n: int) -> Inside:
        """n-grams counted text by text."""
        return Inside.of(different_in_texts(self, n), ngram_lengths(self, n))


def tokenize(texts: Iterable[str | Tokens] | TokenizedTexts, tokenizer: Tokenizer | Any = "auto") -> TokenizedTexts:
    """Split texts and number their tokens.

    Args:
        texts: Strings, or sequences of tokens that are taken as they are; a `TokenizedTexts` is returned unchanged.
        tokenizer: `"auto"` (characters for texts of scripts without spaces between words, else words), `"whitespace"`,
            `"characters"`, `"13a"`, `"intl"`, a function from string to tokens, or a Hugging Face tokenizer (its tokens without
            special ones). Sequences of tokens are called `whitespace` by `auto`, and do not take part in its choice.

    Raises:
        TypeError: `texts` is one string instead of a list of strings, or one of them is not a text.
        ValueError: An unknown tokenizer name.
    """
    if isinstance(texts, TokenizedTexts):
        return texts
    if isinstance(texts, (str, bytes)):
        raise TypeError("`texts` has to be a list of strings, but is one string: write [text]")
    if not isinstance(texts, Iterable):
        raise TypeError(f"this score needs all texts at once, but `texts` is {type(texts).__name__}")
    texts = list(texts)
    chosen = splitter(tokenizer, texts)
    numbers: defaultdict[Hashable, int] = defaultdict(count().__next__)
    ids, starts = array("q"), array("q", [0])
    for position, text in enumerate(texts):
        tokens = chosen.split(text) if isinstance(text, str) else _as_tokens(text, position)
        ids.extend(map(numbers.__getitem__, tokens))
        starts.append(len(ids))
    return TokenizedTexts(np.frombuffer(ids, dtype=np.int64), np.frombuffer(starts, dtype=np.int64), chosen.name)


def counted(texts: Iterable[str | Tokens] | TextStatistics, tokenizer: Any = "auto") -> TextStatistics:
    """Statistics of texts: those of `tokenize`, or a stream as it is."""
    if hasattr(texts, "count_ngrams"):
        return cast(TextStatistics, texts)
    return tokenize(texts, tokenizer)


def matched(groups: Sequence[TokenizedTexts]) -> list[TokenizedTexts]:
    """Groups that compare: every text of every group cut to the length of the shortest text of all.

    Raises:
        ValueError: The groups differ in their number of texts, which moves most scores, or a text is empty.
    """
    _refuse_unequal(groups)
    for position, group in enumerate(groups):
        if len(group) and not group.lengths.all():
            place = int(np.argmin(group.lengths))
            raise ValueError(f"text {place} of group {position} is empty: there is no length to match; use `first`")
    shortest = min((int(group.lengths.min()) for group in groups if len(group)), default=1)
    return [group.first(shortest, "matched") for group in groups]


def paired(groups: Sequence[TokenizedTexts]) -> list[TokenizedTexts]:
    """Groups that compare and lose little: text i of every group cut to the shortest of these, so that tokens are equally many.

    Groups whose texts have equal lengths already, and a single group, come back as they are.

    Raises:
        ValueError: The groups differ in their number of texts, which moves most scores.

    Example:
        >>> [group.lengths.tolist() for group in paired([tokenize(["a b c", "d"]), tokenize(["e f", "g h"])])]
        [[2, 1], [2, 1]]
    """
    _refuse_unequal(groups)
    shortest = np.min([group.lengths for group in groups], axis=0)
    if all(np.array_equal(group.lengths, shortest) for group in groups):
        return list(groups)
    return [group.cut(shortest, "paired") for group in groups]


def _refuse_unequal(groups: Sequence[TokenizedTexts]) -> None:
    if len({len(group) for group in groups}) > 1:
        sizes = ", ".join(f"{len(group)} texts" for group in groups)
        raise ValueError(f"{sizes}: groups of unequal number do not compare; take equal numbers")


def _as_tokens(text: object, position: int) -> Tokens:
    if not isinstance(text, Sequence) or isinstance(text, bytes):
        raise TypeError(f"`texts[{position}]` has to be a string or a sequence of tokens, but is {text!r}")
    return text
