"""The nucleus of transformers' `TopPLogitsWarper` to the bit, on the CPU mostly without sorting the vocabulary.

`TopPLogitsWarper` drops a token if the float32 sum of the probabilities of the sorted row, from the least likely one up to
it, is at most `rest`. Where the boundary lies follows from sums in float64 and the order of the few tokens around it, unless a
sum lies so near to `rest` that the rounding of the float32 arithmetic could decide. How far that can go ([`rounding`]):

- exp(l - max) is within 2^-20 of its value, here (numpy) and there (torch): 8 units in the last place, of which both use 1 to 3.
- torch adds the sorted weights up from the smallest, in as many lanes as a vector has entries: the weight of rank r from the
  top takes part in r / lanes + 8 additions, the last of which join the lanes. Each adds at most 2^-24 of the sum so far, so
  that the sum is off by at most 2^-24 times the mean of r / lanes + 8 under p: a share of its value.
- The division, the sum of the probabilities (which torch keeps in float64 on the CPU) and the comparison with a float32
  number round once each: 2^-22 together.

All of these are shares of the sum of the tail. A row with a sum within such a share of `rest`, and one in which equal scores part at
the boundary, take the way of transformers.
"""

from __future__ import annotations

import functools

import numpy as np
import torch
from torch import Tensor

from temp_processors.policies.blocks import Rows, in_blocks
from temp_processors.policies.distribution import without_sync, working_dtype
from temp_processors.policies.thresholds import SHORT, falling, keep_from, rising, without_first

REACH = 32
"""How far below the maximum the bins of the histogram go, in nats; the last has all that is deeper."""
PIECE = 1 << 15
"""Entries of a row worked on at once."""
LEAST_REST = 1e-6
"""Below it, probabilities that float32 cannot hold take part."""


def nucleus(scores: Tensor, rest: Tensor | float, *, stable: bool = False) -> Tensor:
    """The scores without the least likely tokens, as many as have together at most the probability `rest`.

    Args:
        scores: (..., vocab).
        rest: A number, or one for each row, (..., 1).
        stable: Of equally likely tokens keep the last ones. Else those that `TopPLogitsWarper` keeps, which is up to torch's sort.
    """
    if without_sync(scores) or not scores.numel():
        return by_places(scores, rest, stable)
    scores = scores.contiguous()
    rows = scores.detach().reshape(-1, scores.shape[-1])
    limits = rest.expand(*scores.shape[:-1], 1).reshape(-1, 1) if isinstance(rest, Tensor) else rest
    quick = scores.dtype == torch.float32 and scores.numel() > SHORT
    lowest, surplus = (_counted if quick else _sorted)(rows, limits)
    result = keep_from(scores, lowest.view(*scores.shape[:-1], 1))
    if not surplus.any():
        return result
    if stable:
        return without_first(result, lowest, torch.from_numpy(surplus))
    parted = torch.from_numpy(np.flatnonzero(surplus))
    result.view(rows.shape)[parted] = by_places(rows[parted], _of(limits, parted))
    return result


def _of(limits: Tensor | float, places: Tensor | slice) -> Tensor | float:
    return limits[places] if isinstance(limits, Tensor) else limits


def by_places(scores: Tensor, rest: Tensor | float, stable: bool = False) -> Tensor:
    """The same by the operations of transformers."""
    ordered, order = scores.sort(dim=-1, stable=stable)
    drop = ordered.softmax(dim=-1).cumsum(dim=-1) <= rest
    drop[..., -1] = False
    return torch.where(torch.zeros_like(drop).scatter(-1, order, drop), -torch.inf, scores)


def _sorted(rows: Tensor, rest: Tensor | float) -> tuple[Tensor, Rows]:
    """The lowest score that stays in each row, (rows, 1), and how many entries of just this score go, (rows,).

    The values are sorted without their places, which is quicker.
    """
    ordered = rising(rows)
    sums, values = ordered.softmax(dim=-1).cumsum(dim=-1), ordered.to(working_dtype(rows)).numpy()
    goes: Rows = (sums <= rest).numpy()
    each, count = np.arange(len(values)), np.minimum(np.count_nonzero(goes, axis=-1), values.shape[-1] - 1)
    lowest = values[each, count]
    surplus: Rows = (count > 0) & (values[each, count - 1] == lowest)
    if surplus.any():
        surplus = surplus * (count - (values < lowest[:, None]).sum(axis=-1))
    return torch.from_numpy(lowest[:, None]).to(rows.dtype), surplus


def _counted(rows: Tensor, rest: Tensor | float) -> tuple[Tensor, Rows]:
    """[`_sorted`] of float32 rows, by histograms of those that are certain."""

    def lowest_of(block: Rows, places: slice) -> Rows:
        limits = _of(rest, places)
        return boundary(block, limits.numpy()[:, 0] if isinstance(limits, Tensor) else np.float32(limits))

    lowest, surplus = torch.from_numpy(in_blocks(lowest_of, rows.numpy())), np.zeros(len(rows), dtype=np.int64)
    unsure = np.flatnonzero(np.isnan(lowest.numpy()))
    if len(unsure):
        places = torch.from_numpy(unsure)
        lowest[places], surplus[unsure] = _sorted(rows[places], _of(rest, places))
    return lowest, surplus


def boundary(rows: Rows, rest: Rows | np.float32) -> Rows:
    """The lowest score that stays in each row, nan where rounding or equal scores decide.

    Args:
        rows: float32, (rows, vocab).
        rest: float32, one for all rows or (rows,).

    Returns:
        float32, (rows, 1).
    """
    top = rows.max(axis=-1, keepdims=True)
    finite = np.isfinite(top[:, 0])
    if not finite.all():
        lowest: Rows = np.full_like(top, -np.inf)  # what has no probabilities keeps all
        if finite.any():
            lowest[finite] = boundary(rows[finite], rest[finite] if isinstance(rest, np.ndarray) else rest)
        return lowest
    bins, mass = _histogram(rows, top)
    above = mass.cumsum(axis=-1)
    whole, each = above[:, -1], np.arange(len(rows))
    wanted = whole * (1.0 - np.asarray(rest, dtype=np.float64))
    slack = rest * whole * rounding(mean_rank(mass, rows.shape[-1]))
    which = (above >= wanted[:, None]).argmax(axis=-1)
    ordered = falling(rows, bins == which.astype(np.int16)[:, None])
    before = above[each, which] - mass[each, which]
    found = _last_of(ordered, before[:, None] + _weight(ordered, top).cumsum(axis=-1), before, wanted, slack)
    return np.where(np.asarray(rest)[..., None] > LEAST_REST, found, np.float32(np.nan))


def boundary_among(ordered: Rows, rest: float) -> Rows:
    """[`boundary`] of rows of which all entries that are not -inf are given, in falling order."""
    if rest <= LEAST_REST:
        return np.full_like(ordered[:, :1], np.nan)
    weight = _weight(ordered, ordered[:, :1])
    head = weight.cumsum(axis=-1)
    whole = head[:, -1]
    rank = (weight * np.arange(1, ordered.shape[1] + 1)).sum(axis=-1) / whole
    return _last_of(ordered, head, np.zeros(len(head)), whole * (1.0 - rest), rest * whole * rounding(rank))


def _weight(ordered: Rows, top: Rows) -> Rows:
    weight: Rows = np.exp(ordered - top, dtype=np.float64)
    return weight


def _last_of(ordered: Rows, head: Rows, before: Rows, wanted: Rows, slack: Rows) -> Rows:
    """The first entry of each row up to which the sum is `wanted`; nan where it is not by `slack`, or the next one is equal.

    Args:
        ordered: Entries of each row in falling order, (rows, most).
        head: The sum up to each of them, of the same shape.
        before: The sum before the first of them, (rows,).
        wanted: The sum to reach, (rows,).
        slack: How far rounding can move a sum, (rows,).
    """
    each, place = np.arange(len(head)), (head >= wanted[:, None]).argmax(axis=-1)
    before = np.where(place > 0, head[each, place - 1], before)
    lowest = ordered[each, place]
    certain = (head[each, place] - wanted > slack) & (wanted - before > slack)
    following = np.minimum(place + 1, ordered.shape[1] - 1)
    certain &= (following == place) | (ordered[each, following] != lowest)
    return np.where(certain, lowest, np.float32(np.nan))[:, None]


def _histogram(rows: Rows, top: Rows) -> tuple[Rows, Rows]:
    """The bin of each score, int16 (rows, vocab), and the sum of exp(l - max) in each bin, float64 (rows, bins).

    Piece by piece, so that what is made on the way stays in the cache.
    """
    width = rows.shape[-1] if len(rows) > 1 else PIECE
    fine = bins_per_nat(rows.shape[-1])
    bins, mass = np.empty(rows.shape, dtype=np.int16), np.zeros((len(rows), fine * REACH))
    offset = np.arange(0, mass.size, mass.shape[1], dtype=np.float32)[:, None]
    for begin in range(0, rows.shape[-1], width):
        gap = rows[:, begin : begin + width] - top
        weight = np.exp(gap)
        np.multiply(gap, -np.float32(fine), out=gap)
        np.floor(np.minimum(gap, np.float32(mass.shape[1] - 1), out=gap), out=gap)
        bins[:, begin : begin + width] = gap
        places = np.add(gap, offset, out=gap).astype(np.int32)
        mass += np.bincount(places.ravel(), weights=weight.ravel(), minlength=mass.size).reshape(mass.shape)
    return bins, mass


def bins_per_nat(vocabulary: int) -> int:
    """Of the histogram: so many that the entries of one bin are quickly sorted."""
    return 16 if vocabulary > 1 << 14 else 4


@functools.cache
def _most(bins: int, fine: int) -> Rows:
    """How many tokens a bin holds at most for each unit of its mass, in which the most likely token has 1."""
    return np.append(np.exp(np.arange(1, bins) / fine), 1e300)


def mean_rank(mass: Rows, vocabulary: int) -> Rows:
    """At least the mean rank of a token under p, from 1, given the mass in each bin: (rows, bins) -> (rows,)."""
    most = _most(mass.shape[-1], mass.shape[-1] // REACH)
    rank = np.minimum((mass * most).cumsum(axis=-1), vocabulary)
    found: Rows = (mass * rank).sum(axis=-1) / mass.sum(axis=-1)
    return found


def rounding(rank: Rows) -> Rows:
    """How far, as a share of it, the sum of a tail can be off in float32, given the mean rank of a token under p (from 1)."""
    return 2.0**-24 * 1.01 * (rank / lanes() + 8.0) + 2.0**-18 + 2.0**-22


def lanes() -> int:
    """How many float32 numbers torch adds at once."""
    return {"AVX512": 16, "AVX2": 8}.get(torch.backends.cpu.get_cpu_capability(), 4)
