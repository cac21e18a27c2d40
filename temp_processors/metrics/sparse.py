"""Numbers that belong to sets of units: in memory, or in a temporary file where there may be too many."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any, NamedTuple, Protocol

import numpy as np

from temp_processors.metrics.arrays import Floats, Ints
from temp_processors.metrics.scratch import Buckets
from temp_processors.splitmix import GOLDEN_WORD

BITS = 8
"""Numbers in a file lie in 2 ** BITS buckets."""
TOGETHER = 1 << 21
"""Entries that are read from a file at a time, as far as buckets allow."""


class Sums(NamedTuple):
    """Sum of the values, of their squares, and, where sets are pairs, of the values of all pairs that a unit is in, shape (units,)."""

    whole: float
    squares: float
    with_all: Floats


class Sets(Protocol):
    """What `Sparse` and `SpilledSparse` are to an influence."""

    def __len__(self) -> int: ...

    def sums(self, units: int = 0) -> Sums:
        """The sums; those with all others only where `units` says how many units there are, for the keys first * units + second."""

    def minus(self, other: Any) -> Sets:
        """The difference, set by set, to numbers of the same kind; a set that one side lacks counts as 0 there."""


@dataclass(frozen=True)
class Sparse:
    """Numbers in memory, one for each set of units that has one.

    Args:
        keys: A number for every set, ascending.
        values: Shape as `keys`.
    """

    keys: Ints = field(default_factory=lambda: np.zeros(0, dtype=np.int64))
    values: Floats = field(default_factory=lambda: np.zeros(0, dtype=np.float64))

    @classmethod
    def counted(cls, keys: Ints, total: int) -> Sparse:
        """How often every key occurs, as a share of `total`."""
        found, times = np.unique(keys, return_counts=True)
        return cls(found, times / total)

    def __len__(self) -> int:
        return len(self.keys)

    def sums(self, units: int = 0) -> Sums:
        """As `Sets.sums`."""
        with_all: Floats = np.zeros(units)
        for side in divmod(self.keys, units) if units else ():
            with_all += np.bincount(side, weights=self.values, minlength=units)
        return Sums(float(self.values.sum()), float(np.square(self.values).sum()), with_all)

    def minus(self, other: Sparse) -> Sparse:
        """As `Sets.minus`."""
        keys, place = np.unique(np.concatenate([self.keys, other.keys]), return_inverse=True)
        both = np.concatenate([self.values, -other.values])
        values: Floats = np.bincount(place, weights=both, minlength=len(keys)).astype(np.float64)
        return Sparse(keys, values)


class SpilledSparse:
    """Numbers in a temporary file: how often each set came, by a total that is negative for what is taken off.

    Example:
        >>> own, other = SpilledSparse.empty(total=4), SpilledSparse.empty(total=8)
        >>> own.add(np.array([5, 3, 5]))
        >>> other.add(np.array([5]))
        >>> own.sums().whole, own.minus(other).sums().whole
        (0.75, 0.625)
    """

    def __init__(self, *parts: tuple[Buckets, int]) -> None:
        self._parts = parts

    @classmethod
    def empty(cls, total: int) -> SpilledSparse:
        """Nothing yet, to be counted as shares of `total`."""
        return cls((Buckets(BITS), total))

    def add(self, keys: Ints) -> None:
        """Count these sets too, named by 64-bit numbers."""
        found, times = np.unique(keys, return_counts=True)
        by = found.astype(np.uint64) * GOLDEN_WORD  # spreads keys over buckets (Knuth's multiplicative hashing)
        order = np.argsort(by)
        self._parts[0][0].append(by[order], found[order], times[order])

    def __len__(self) -> int:
        return sum(int(buckets.sizes.sum()) for buckets, _ in self._parts)

    def minus(self, other: SpilledSparse) -> SpilledSparse:
        """As `Sets.minus`."""
        return SpilledSparse(*self._parts, *((buckets, -total) for buckets, total in other._parts))

    def sums(self, units: int = 0) -> Sums:
        """As `Sets.sums`."""
        whole = squares = 0.0
        with_all: Floats = np.zeros(units)
        for keys, values in self._blocks():
            whole += float(values.sum())
            squares += float(np.square(values).sum())
            for side in divmod(keys, units) if units else ():
                np.add.at(with_all, side, values)
        return Sums(whole, squares, with_all)

    def _blocks(self) -> Iterator[tuple[Ints, Floats]]:
        """All sets with their values, some buckets at a time."""
        ends = np.cumsum(np.sum([buckets.sizes for buckets, _ in self._parts], axis=0))
        number = ends // TOGETHER
        for block in np.unique(number):
            keys, values = [], []
            for bucket in np.flatnonzero(number == block):
                for buckets, total in self._parts:
                    found, times = buckets.read(int(bucket)) if len(buckets) else (ends[:0], ends[:0])
                    keys.append(found)
                    values.append(times / total)
            sets, place = np.unique(np.concatenate(keys), return_inverse=True)
            yield sets, np.bincount(place, weights=np.concatenate(values), minlength=len(sets)).astype(np.float64)
