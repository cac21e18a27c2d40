"""How n-grams spread over units (texts, or prompts with all of their texts): held by one of them alone, by two, by three or by more.

That is all an interval of a share of different n-grams needs to know. Texts in memory are counted at once; those of a stream in buckets
of n-grams that are told apart by 64 bits (among a billion different n-grams two may be taken for equal with a chance of 3 %).
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import NamedTuple

import numpy as np

from temp_processors.metrics.arrays import Ints, TokenIds
from temp_processors.metrics.scratch import Buckets
from temp_processors.metrics.sorting import in_runs, order_within, run_starts
from temp_processors.metrics.sparse import Sets, Sparse, SpilledSparse

ROOM = 1 << 21
"""n-grams that are sorted at a time."""
SEVERAL = 4
"""Units from which on it does not matter how many hold an n-gram."""


class Spread(NamedTuple):
    """n-grams by the units that hold them.

    Args:
        single: n-grams that a unit alone holds, shape (units,).
        held: n-grams of a unit, each as often as it occurs, shape (units,).
        pairs: n-grams that two units alone hold, as shares of all n-grams; the key is first * units + second.
        triples: Likewise of three units.
        kinds: Different n-grams.
        total: n-grams.
        shared: Different n-grams that several units hold.
    """

    single: Ints
    held: Ints
    pairs: Sets
    triples: Sets
    kinds: int
    total: int
    shared: int


class _Sets(NamedTuple):
    """Units that hold an n-gram alone, pairs of such units and triples, one entry an n-gram; and n-grams held by several."""

    alone: Ints
    pairs: Ints
    triples: Ints
    shared: int


def spread_in_memory(texts: TokenIds, n: int, units: Ints) -> Spread:
    """The spread of the n-grams of texts; `units` says which unit each text belongs to."""
    count = int(units.max()) + 1
    sizes = np.maximum(texts.lengths - (n - 1), 0)
    *_, repeated = texts.repeated(n)
    gram, unit, times = _by_unit(repeated.gram, units[repeated.text], count)
    sets = _sets(gram, unit, count)
    total, different = int(sizes.sum()), int(gram[-1]) + 1 if len(gram) else 0
    held = np.bincount(units, weights=sizes, minlength=count)
    once = held - np.bincount(unit, weights=times, minlength=count)
    single = once + np.bincount(
        sets.alone, minlength=count
    )  # repeated by one unit alone: it still brings one new n-gram
    pairs, triples = Sparse.counted(sets.pairs, total), Sparse.counted(sets.triples, total)
    return Spread(single, held, pairs, triples, total - len(repeated.gram) + different, total, sets.shared)


def spread_of_blocks(blocks: Iterable[tuple[Ints, Ints]], held: Ints, frequencies: list[Ints] | None = None) -> Spread:
    """The spread of n-grams that come in blocks.

    Args:
        blocks: n-grams as unsigned 64-bit numbers whose first bits are as good as random, and the unit of each.
        held: n-grams of every unit, shape (units,).
        frequencies: Gets how often each different n-gram occurs, in several arrays.
    """
    count, total = len(held), int(held.sum())
    buckets = Buckets(max(0, (total - 1) // ROOM).bit_length())
    for grams, units in blocks:
        buckets.append(*_shortened(grams, units))
    single: Ints = np.zeros(count, dtype=np.int32)
    pairs, triples = SpilledSparse.empty(total), SpilledSparse.empty(total)
    kinds = shared = 0
    for grams, unit, times in buckets:
        order = np.argsort(grams)
        grams, unit = grams[order], unit[order]
        first, repeated = run_starts(grams), in_runs(grams)
        kinds += int(np.count_nonzero(first))
        if frequencies is not None:
            frequencies.append(np.add.reduceat(times[order], np.flatnonzero(first), dtype=np.int64))
        np.add.at(single, unit[~repeated], 1)
        gram = np.cumsum(first[repeated])
        sets = _sets(*_by_unit(gram, unit[repeated], count)[:2], count)
        np.add.at(single, sets.alone, 1)
        pairs.add(sets.pairs)
        triples.add(sets.triples)
        shared += sets.shared
    return Spread(single, held, pairs, triples, kinds, total, shared)


def holders_of_blocks(blocks: Iterable[tuple[Ints, Ints]], total: int, texts: int) -> Ints:
    """How many different n-grams are held by 0, 1, 2... of the texts, shape (texts + 1,).

    Args:
        blocks: As for `spread_of_blocks`; the units are texts, none of which is in two blocks.
        total: n-grams.
        texts: Number of texts.
    """
    buckets = Buckets(max(0, (total - 1) // ROOM).bit_length())
    for grams, units in blocks:
        order = np.lexsort((units, grams))
        grams, units = grams[order], units[order]
        new = run_starts(grams)
        held = np.flatnonzero(new | run_starts(units))
        heads = np.flatnonzero(new[held])
        buckets.append(grams[new], grams[new], np.diff(heads, append=len(held)))
    found: Ints = np.zeros(texts + 1, dtype=np.int64)
    for grams, times in buckets:
        order = np.argsort(grams)
        holders = np.add.reduceat(times[order], np.flatnonzero(run_starts(grams[order])))
        np.add.at(found, holders, 1)
    return found


def _shortened(grams: Ints, units: Ints) -> tuple[Ints, Ints, Ints, Ints]:
    """The n-grams of a block, ascending, as far as their spread depends on them: of each one at most `SEVERAL` units that hold it.

    Without it the bucket of an n-gram that is everywhere would outgrow any room.

    Returns:
        n-gram (twice), unit, and how often the n-gram occurs in the block, at the first entry of each n-gram, 0 at the others.
    """
    in_order = bool((units[1:] >= units[:-1]).all())
    order = np.argsort(grams, kind="stable") if in_order else np.lexsort((units, grams))
    grams, units = grams[order], units[order]
    new = run_starts(grams)
    held = np.flatnonzero(new | run_starts(units))
    heads = np.flatnonzero(new[held])
    times: Ints = np.zeros(len(held), dtype=np.int32)
    times[heads] = np.diff(held[heads], append=len(grams))
    kept = np.arange(len(held)) - np.repeat(heads, np.diff(heads, append=len(held))) < SEVERAL
    held, times = held[kept], times[kept]
    return grams[held], grams[held], units[held], times


def _by_unit(gram: Ints, unit: Ints, count: int) -> tuple[Ints, Ints, Ints]:
    """n-gram, unit and occurrences of every n-gram in every unit that holds it, ascending; `gram` ascends."""
    unit = unit[order_within(gram, unit, count)]
    first = np.flatnonzero(run_starts(gram) | run_starts(unit))
    return gram[first], unit[first].astype(np.int64), np.diff(first, append=len(gram))


def _sets(gram: Ints, unit: Ints, count: int) -> _Sets:
    """Of n-grams and units as `_by_unit` gives them."""
    starts = np.flatnonzero(run_starts(gram))
    spread = np.diff(starts, append=len(gram))
    one, two, three = (starts[spread == number] for number in (1, 2, 3))
    pair = unit[two] * count + unit[np.minimum(two + 1, len(unit) - 1)] if len(two) else two
    triple = (unit[three] * count + unit[three + 1]) * count + unit[three + 2] if len(three) else three
    return _Sets(unit[one], pair, triple, int((spread > 1).sum()))
