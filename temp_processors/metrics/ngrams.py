"""n-grams as integers: what all n-gram metrics count with, in numpy and in time linear in the number of tokens.

n-grams are numbered by sorting: those that share their first n - 1 tokens lie together already, so that only their last tokens are
sorted, some n-grams at a time (`sorting.py`). Numbers stay below the number of tokens and nothing overflows, whatever n and the vocabulary.
Nothing is hashed: counts are exact.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, NamedTuple

import numpy as np

from temp_processors.metrics.arrays import Bools, Ints, TokenIds
from temp_processors.metrics.sorting import BLOCK, between, in_runs, order_within, run_starts, stable_order

BITS = 63
"""Bits of a packed n-gram; the sign stays free."""


class Repeated(NamedTuple):
    """The n-grams of one n that occur at least twice, one entry for each occurrence.

    Args:
        gram: Number of the n-gram, ascending from 0, shape (occurrences,).
        text: Text that it occurs in, ascending within an n-gram, shape (occurrences,).
    """

    gram: Ints
    text: Ints

    @property
    def held(self) -> Held:
        """The same with one entry for each text and n-gram that it holds, and how often it does."""
        first = np.flatnonzero(run_starts(self.gram) | run_starts(self.text))
        return Held(self.gram[first], self.text[first], np.diff(first, append=len(self.gram)))

    def blocks(self, size: int = BLOCK) -> Iterator[Repeated]:
        """The same cut between n-grams into pieces of about `size` entries, numbered anew, which stay in the processor's cache."""
        for begin, end in between(self.gram, size):
            yield Repeated(self.gram[begin:end] - self.gram[begin], self.text[begin:end])


class Held(NamedTuple):
    """n-grams and the texts that hold them: number of the n-gram (ascending), text, occurrences in it, all of one shape."""

    gram: Ints
    text: Ints
    times: Ints


def check_order(n: object) -> None:
    """Raise `ValueError` when `n` is not the length of an n-gram."""
    if isinstance(n, bool) or not isinstance(n, (int, np.integer)) or n < 1:
        raise ValueError(f"`n` has to be an integer >= 1, but is {n!r}")


def repeated_ngrams(texts: TokenIds, largest: int, among: Bools | None = None) -> Iterator[Repeated]:
    """For n = 1 to `largest` the n-grams that occur more than once, in one text or in several.

    The others are left out because no text shares them, and neither does it share a longer n-gram that begins with one.

    Args:
        texts: The texts.
        largest: Largest n.
        among: Leave out n-grams that none of these texts holds, shape (texts,); all texts by default.

    Example:
        >>> from temp_processors.metrics import tokenize
        >>> [(found.gram.tolist(), found.text.tolist()) for found in repeated_ngrams(tokenize(["a b c", "d a b"]), 2)]
        [([0, 0, 1, 1], [0, 1, 0, 1]), ([0, 0], [0, 1])]
    """
    # 32 bits where they hold every place and every token: half the memory, which is what takes the time
    places, small = (_integers(most) for most in (len(texts.ids) + len(texts), texts.vocabulary))
    ids = np.full(len(texts.ids) + len(texts), -1, dtype=small)  # every text ends with -1
    text = np.repeat(np.arange(len(texts), dtype=places), texts.lengths)
    place = np.arange(len(text), dtype=places) + text
    ids[place] = texts.ids
    order = stable_order(texts.ids, texts.vocabulary)
    place, text = place[order], text[order]
    gram = _ranks(run_starts(texts.ids[order]), places)
    for n in range(1, largest + 1):
        if n > 1:
            last = ids[place + (n - 1)]
            inside = last >= 0
            place, text, gram, last = (held[inside] for held in (place, text, gram, last))
            order = order_within(gram, last, texts.vocabulary)
            place, text, last = place[order], text[order], last[order]
            gram = _ranks(run_starts(gram) | run_starts(last), places)
        twice = in_runs(gram)
        if among is not None:
            twice &= _occurring(gram, among[text])
        place, text, gram = place[twice], text[twice], _ranks(run_starts(gram[twice]), places)
        yield Repeated(gram, text)


def count_ngrams(texts: TokenIds, n: int) -> tuple[int, int]:
    """Number of different n-grams and number of n-grams, of all texts together.

    Example:
        >>> from temp_processors.metrics import tokenize
        >>> count_ngrams(tokenize(["a b a b", "a b c"]), 2)
        (3, 5)
    """
    keys = _packed(texts, n)
    keys.sort()
    return int(np.count_nonzero(run_starts(keys))), len(keys)


def different_in_texts(texts: TokenIds, n: int) -> Ints:
    """Number of different n-grams of each text, shape (texts,)."""
    *_, found = texts.repeated(n)
    _, text, times = found.held
    more = times > 1
    again = np.bincount(text[more], weights=times[more] - 1, minlength=len(texts)).astype(np.int64)
    return ngram_lengths(texts, n) - again


def ngram_lengths(texts: TokenIds, n: int) -> Ints:
    """n-grams of each text, shape (texts,)."""
    lengths: Ints = np.maximum(texts.lengths - (n - 1), 0)
    return lengths


def _occurring(gram: Ints, here: Bools) -> Bools:
    """Whether the n-gram of each entry occurs at one of the entries that are marked `here`."""
    wanted = np.zeros(int(gram[-1]) + 1 if len(gram) else 0, dtype=bool)
    wanted[gram[here]] = True
    found: Bools = wanted[gram]
    return found


def _packed(texts: TokenIds, n: int) -> Ints:
    """All n-grams as integers that are equal where the n-grams are, shape (n-grams,)."""
    places = ngram_starts(texts, n)
    keys, size = texts.ids[places], texts.vocabulary
    for offset in range(1, n):
        if size * texts.vocabulary >= 1 << BITS:
            values, keys = np.unique(keys, return_inverse=True)
            size = len(values)
        keys *= texts.vocabulary
        keys += texts.ids[places + offset]
        size *= texts.vocabulary
    return keys


def ngram_starts(texts: TokenIds, n: int) -> Ints:
    """Where the n-grams begin, shape (n-grams,)."""
    begins = np.ones(len(texts.ids), dtype=bool)
    for back in range(1, n):
        ends = texts.starts[1:][texts.lengths >= back] - back
        begins[ends] = False
    return np.flatnonzero(begins)


def _integers(most: int) -> type[np.signedinteger[Any]]:
    """The smaller type that holds numbers up to `most`."""
    return np.int32 if most <= np.iinfo(np.int32).max else np.int64


def _ranks(new: Bools, small: Any) -> Ints:
    """The number of each entry, where `new` says which ones begin another number, from 0."""
    ranks: Ints = np.cumsum(new, dtype=small)
    ranks -= 1
    return ranks
