"""n-grams as integers: what all n-gram metrics count with, in numpy and in time linear in the number of tokens.

An n-gram is numbered by packing the number of its first n - 1 tokens and its last token into one 64-bit integer and ranking the packed
values, so numbers stay below the number of tokens and nothing overflows, whatever n and the vocabulary. Where there is room the place of
the n-gram goes into the low bits: a plain sort then ranks, groups and orders by text at once. Nothing is hashed: counts are exact.
"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import pairwise
from typing import Any, NamedTuple

import numpy as np

from temp_processors.metrics.arrays import Bools, Ints, TokenIds

BITS = 63
"""Bits of a packed n-gram; the sign stays free."""
BLOCK = 1 << 17
"""Entries that are counted at a time."""


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
        for begin, end in _between(self.gram, size):
            yield Repeated(self.gram[begin:end] - self.gram[begin], self.text[begin:end])


class Held(NamedTuple):
    """n-grams and the texts that hold them: number of the n-gram (ascending), text, occurrences in it, all of one shape."""

    gram: Ints
    text: Ints
    times: Ints

    def blocks(self, size: int = BLOCK) -> Iterator[Held]:
        """The same cut between n-grams into pieces of about `size` entries, which stay in the processor's cache; at least one."""
        for begin, end in _between(self.gram, size) or [(0, 0)]:
            yield Held(self.gram[begin:end], self.text[begin:end], self.times[begin:end])


def _between(gram: Ints, size: int) -> list[tuple[int, int]]:
    """Begin and end of pieces of about `size` entries that cut no run of equal n-grams."""
    cuts = np.append(np.unique(np.searchsorted(gram, gram[::size])), len(gram))
    return [(int(begin), int(end)) for begin, end in pairwise(cuts)]


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
    # 32 bits where they hold every place: half the memory, which is what takes the time
    small = np.int32 if len(texts.ids) <= np.iinfo(np.int32).max else np.int64
    text = np.repeat(np.arange(len(texts), dtype=small), texts.lengths)
    ends = np.repeat(texts.starts[1:].astype(small), texts.lengths)
    place, gram = np.arange(len(texts.ids), dtype=small), np.zeros(len(texts.ids), dtype=small)
    for n in range(1, largest + 1):
        if n > 1:
            inside = ends[place] - place >= n
            place, gram = place[inside], gram[inside]
        keys = np.multiply(gram, texts.vocabulary, dtype=np.int64)
        keys += texts.ids[place + (n - 1)] if n > 1 else texts.ids
        gram, place = _ranked(keys, place, len(texts.ids))
        twice = in_runs(gram)
        if among is not None:
            twice &= _occurring(gram, among[text[place]])
        place, gram = place[twice], _ranks(gram[twice], place.dtype)
        yield Repeated(gram, text[place])


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


def run_starts(values: Ints) -> Bools:
    """Whether each value differs from the one before it; the first does.

    Example:
        >>> run_starts(np.array([4, 4, 7])).tolist()
        [True, False, True]
    """
    new = np.ones(len(values), dtype=bool)
    np.not_equal(values[1:], values[:-1], out=new[1:])
    return new


def in_runs(values: Ints) -> Bools:
    """Whether each value has an equal neighbour.

    Example:
        >>> in_runs(np.array([4, 4, 7])).tolist()
        [True, True, False]
    """
    inside = ~run_starts(values)
    inside[:-1] |= inside[1:]
    return inside


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


def _ranked(keys: Ints, places: Ints, tokens: int) -> tuple[Ints, Ints]:
    """Ranks of the keys from 0 in ascending order, and the places in the same order, ascending within a rank."""
    bits, small = tokens.bit_length(), places.dtype
    if not len(keys) or int(keys.max()) >= 1 << (BITS - bits):
        order = np.argsort(keys, kind="stable")
        return _ranks(keys[order], small), places[order]
    keys <<= bits
    keys |= places
    keys.sort()
    places = (keys & ((1 << bits) - 1)).astype(small)
    keys >>= bits
    return _ranks(keys, small), places


def _ranks(ascending: Ints, small: Any) -> Ints:
    """How many different values came before each of these."""
    ranks: Ints = np.cumsum(run_starts(ascending), dtype=small)
    ranks -= 1
    return ranks
