"""Sorting of integers of few bits in time linear in their number: by numpy's radix sort, 16 bits at a time, in blocks that stay in cache.

A sort of packed 64-bit values takes 35 ns a value while they are in the cache and 60 where they are not; two passes here take 20 and 40.
"""

from __future__ import annotations

from itertools import pairwise

import numpy as np

from temp_processors.metrics.arrays import Bools, Ints

DIGIT = 16
"""Bits of a pass: numpy sorts integers of up to 16 bits by radix where the sort has to be stable."""
BLOCK = 1 << 16
"""Entries that are sorted or counted at a time."""


def stable_order(values: Ints, bound: int) -> Ints:
    """The order that sorts integers from 0 to below `bound`; equal ones keep theirs, shape (values,).

    Example:
        >>> stable_order(np.array([70_000, 3, 70_000, 0]), 70_001).tolist()
        [3, 1, 0, 2]
    """
    order, largest = np.arange(len(values)) if bound <= 1 else None, max(bound - 1, 0)
    for shift in range(0, largest.bit_length(), DIGIT):
        digits = (values if order is None else values[order]) >> shift
        small = np.uint8 if largest >> shift < 1 << 8 else np.uint16
        found = np.argsort(digits.astype(small), kind="stable")
        order = found if order is None else order[found]
    assert order is not None
    return order


def order_within(gram: Ints, values: Ints, bound: int, size: int = BLOCK) -> Ints:
    """The order that sorts the entries of each run of equal `gram` by `values`; equal ones keep theirs, shape (entries,).

    Args:
        gram: Numbers that ascend; it is the same in this order.
        values: Integers from 0 to below `bound`, shape (entries,).
        bound: See `values`.
        size: Entries of a block; a run that is longer is a block by itself.

    Example:
        >>> order_within(np.array([0, 0, 0, 4, 4]), np.array([2, 1, 2, 1, 0]), 3).tolist()
        [1, 0, 2, 4, 3]
    """
    order = np.arange(len(gram), dtype=np.int32 if len(gram) <= np.iinfo(np.int32).max else np.int64)
    for begin, end in between(gram, size):
        own, runs = values[begin:end], gram[begin:end] - gram[begin]
        if not ((own[1:] < own[:-1]) & (runs[1:] == runs[:-1])).any():
            continue
        found = stable_order(own, bound)
        if runs[-1]:
            found = found[stable_order(runs[found], int(runs[-1]) + 1)]
        np.add(found, begin, out=order[begin:end], casting="same_kind")
    return order


def between(gram: Ints, size: int = BLOCK) -> list[tuple[int, int]]:
    """Begin and end of blocks of about `size` entries that cut no run of equal `gram`, which ascends."""
    cuts = np.append(np.unique(np.searchsorted(gram, gram[::size])), len(gram))
    return [(int(begin), int(end)) for begin, end in pairwise(cuts)]


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
