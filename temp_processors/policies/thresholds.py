"""Where a cut by mass or by order begins, found on the CPU without sorting the vocabulary.

Mass and order are decided by the few tokens near the top. [`leading`] picks and sorts the tokens down to a depth below the
maximum, and a cut asks for more depth only while those it has cannot tell; sums over all tokens tell it what the others can add.
"""

from __future__ import annotations

import functools
import math
from collections.abc import Callable
from typing import TypeAlias

import numpy as np
import torch
from torch import Tensor

from temp_processors.policies.blocks import Rows, in_blocks
from temp_processors.policies.distribution import without_sync, working_dtype

DEPTHS = (5.0, 8.0, 12.0, 18.0, 30.0, np.inf)
"""How far below the maximum to look, in nats: one after the other, until a row is decided."""
EXACT = (torch.float32, torch.float64)
WIDE = 1 << 14
"""Rows of this many entries are cut one by one: torch compares with a number faster than with a column."""

SHORT = 1 << 13
"""Up to this many entries in all, sorting them takes less time than the calls that avoid it."""
GROUPS = 4
"""Groups of a row for each of its largest entries that is looked for: with more there are more maxima, with fewer more entries to sort."""


def keep_from(scores: Tensor, lowest: Tensor) -> Tensor:
    """`scores` with everything below `lowest` at -inf, in a new tensor; nan as `lowest` keeps all, and NaN stays.

    Args:
        scores: (..., vocab).
        lowest: (..., 1), in the dtype of `scores`.
    """
    if without_sync(scores) or scores.requires_grad or scores.dtype not in EXACT or not scores.numel():
        return torch.where(scores < lowest, -torch.inf, scores)
    if scores.shape[-1] < WIDE:
        values = scores.numpy()
        return torch.from_numpy(_without(values, values < (float(lowest) if lowest.numel() == 1 else lowest.numpy())))
    result, below = torch.empty_like(scores), torch.nextafter(lowest, torch.full_like(lowest, -torch.inf))
    rows = zip(scores.flatten(0, -2), result.flatten(0, -2), below.flatten().tolist(), strict=True)
    for row, into, bound in rows:
        torch.ops.aten.threshold.out(row, bound, -torch.inf, out=into)
    return result


def without(scores: Tensor, dropped: Tensor) -> Tensor:
    """`scores` with the `dropped` entries, none of which is inf, at -inf, in a new tensor."""
    if without_sync(scores) or scores.requires_grad or scores.dtype not in EXACT:
        return torch.where(dropped, -torch.inf, scores)
    return torch.from_numpy(_without(scores.numpy(), dropped.numpy()))


def _without(values: Rows, dropped: Rows) -> Rows:
    """`values` minus 0 or inf, whose bits are a product of whole numbers: numpy's `where` takes one entry at a time."""
    bits = np.int32(0x7F800000) if values.dtype == np.float32 else np.int64(0x7FF0000000000000)
    result: Rows = np.multiply(dropped, bits).view(values.dtype)
    return np.subtract(values, result, out=result)


def without_first(result: Tensor, lowest: Tensor, surplus: Tensor) -> Tensor:
    """`result`, changed: of the entries that are `lowest` the first `surplus` of each row go to -inf as well; (..., 1) both."""
    rows = result.view(-1, result.shape[-1])
    for row in surplus.flatten().nonzero().flatten().tolist():
        equal = (rows[row] == lowest.flatten()[row]).nonzero().flatten()
        rows[row, equal[: int(surplus.flatten()[row])]] = -torch.inf
    return result


Decide: TypeAlias = Callable[[Rows, Rows], Rows]


def leading(scores: Tensor, decide: Callable[[Rows, slice], Decide]) -> Tensor:
    """The lowest score that is kept in every row, nan for all: (..., vocab) -> (..., 1), in eager code on the CPU.

    Args:
        scores: Of any dtype; worked on in the working dtype, a few rows at once.
        decide: Called with some rows, (rows, vocab), and their places among all; what it returns is called with the
            numbers of rows among these and their largest scores in falling order, (rows, most), -inf after the last, and
            returns the lowest score to keep, (rows, 1), nan where these do not tell. What no depth decides is kept.
    """
    values = scores.detach().reshape(-1, scores.shape[-1]).to(working_dtype(scores)).numpy()

    def lowest(rows: Rows, places: slice) -> Rows:
        return _deeper(rows, decide(rows, places))

    return torch.from_numpy(in_blocks(lowest, values)).to(scores.dtype).view(*scores.shape[:-1], 1)


def _deeper(rows: Rows, decide: Decide) -> Rows:
    lowest = np.full((len(rows), 1), np.nan, dtype=rows.dtype)
    top = rows.max(axis=-1, keepdims=True)
    undecided = np.flatnonzero(np.isfinite(top))
    for depth in DEPTHS:
        if not len(undecided):
            break
        some = rows if len(undecided) == len(rows) else rows[undecided]
        chosen = some >= np.maximum(top[undecided] - rows.dtype.type(depth), np.finfo(rows.dtype).min)
        lowest[undecided] = decide(undecided, falling(some, chosen))
        undecided = undecided[np.isnan(lowest[undecided, 0])]
        if np.count_nonzero(chosen) == np.count_nonzero(some > -np.inf):  # there is nothing deeper
            break
    return lowest


def falling(rows: Rows, chosen: Rows) -> Rows:
    """The `chosen` entries of each row in falling order, -inf after the last one: (rows, vocab) -> (rows, most)."""
    picked, _ = packed(rows, chosen, sign=-1)
    picked.sort(axis=-1)
    return np.negative(picked, out=picked)


def packed(rows: Rows, chosen: Rows, sign: int = 1) -> tuple[Rows, Rows]:
    """The `chosen` entries of each row times `sign`, inf after the last one, (rows, most), and how many they are, (rows,)."""
    places = np.flatnonzero(chosen)
    picked = rows.ravel()[places]
    if sign < 0:
        np.negative(picked, out=picked)
    if len(rows) == 1:
        return picked[None], np.array([picked.size])
    counts = np.diff(places.searchsorted(np.arange(0, rows.size + 1, rows.shape[-1])))
    found = np.full((len(rows), int(counts.max())), np.inf, dtype=rows.dtype)
    found[np.arange(found.shape[1]) < counts[:, None]] = picked
    return found, counts


def largest(scores: Tensor, count: int) -> Tensor:
    """The `count` largest scores of each row in falling order, NaN before all: (..., vocab) -> (..., count), of fewer all.

    The values of `topk`. In eager code on the CPU, the maxima of more than `count` groups of entries say which score that many
    entries reach, so that few have to be sorted.
    """
    scores, count = scores.detach(), min(count, scores.shape[-1])
    if without_sync(scores) or scores.numel() <= SHORT or count * GROUPS * 4 > scores.shape[-1]:
        return scores.topk(count, dim=-1).values
    values = scores.reshape(-1, scores.shape[-1]).to(working_dtype(scores)).numpy()
    found = torch.from_numpy(in_blocks(lambda rows, _: _largest(rows, count), values))
    return found.to(scores.dtype).view(*scores.shape[:-1], count)


def _largest(rows: Rows, count: int) -> Rows:
    groups = max(GROUPS * count, math.isqrt(rows.shape[-1]))
    whole = rows.shape[-1] // groups * groups
    maxima = rows[:, :whole].reshape(len(rows), -1, groups).max(axis=1)
    maxima.sort(axis=-1)
    least = maxima[:, -count, None]
    if np.isnan(maxima[:, -1]).any() or np.isnan(rows[:, whole:]).any():
        return torch.from_numpy(rows).topk(count, dim=-1).values.numpy()
    ordered = falling(rows, rows >= np.maximum(least, np.finfo(rows.dtype).min))[:, :count]
    short = count - ordered.shape[1]
    return np.pad(ordered, ((0, 0), (0, short)), constant_values=-np.inf) if short else ordered


def total_weight(rows: Rows) -> Rows:
    """The sum of exp(l - max) over each row, in float64: (rows, vocab) -> (rows, 1)."""
    gap = rows - rows.max(axis=-1, keepdims=True)
    weight = torch.from_numpy(np.exp(gap, out=gap))
    return weight.sum(dim=-1, keepdim=True, dtype=torch.float64).numpy()


def first_where(condition: Rows, ordered: Rows) -> Rows:
    """The entry of each row of `ordered` at the first place where `condition` holds, nan where it never does; (rows, 1)."""
    rows, where = np.arange(len(ordered)), condition.argmax(axis=-1)
    return np.where(condition[rows, where], ordered[rows, where], np.nan)[:, None]


def rising(scores: Tensor) -> Tensor:
    """The scores of each row in rising order, (..., vocab).

    numpy sorts several at once where the processor can. Wide rows of float32 are sorted by their bits where torch has a
    radix sort. Where a cut was made before, what it left is sorted alone.
    """
    values = scores.detach().reshape(-1, scores.shape[-1]).to(working_dtype(scores)).numpy()
    if values.shape[-1] < WIDE:
        return torch.from_numpy(np.sort(values, axis=-1)).to(scores.dtype).view(scores.shape)
    ordered = np.empty_like(values)
    for row, into in zip(values, ordered, strict=True):
        present = row[np.flatnonzero(row > -np.inf)] if 2 * np.count_nonzero(row > -np.inf) < row.size else row
        into[: row.size - present.size] = -np.inf
        into[row.size - present.size :] = _sorted(present)
    return torch.from_numpy(ordered).to(scores.dtype).view(scores.shape)


def _sorted(values: Rows) -> Rows:
    if values.dtype != np.float32 or values.size < 2 * WIDE or not has_radix_sort():
        return np.sort(values)
    return _as_bits(torch.from_numpy(_as_bits(values.view(np.int32))).sort().values.numpy()).view(np.float32)


def _as_bits(bits: Rows) -> Rows:
    """The bits of float32 numbers as whole numbers of the same order, and back."""
    turned: Rows = bits ^ ((bits >> 31) & 0x7FFFFFFF)
    return turned


@functools.cache
def has_radix_sort() -> bool:
    """Whether torch sorts one long row of whole numbers digit by digit, three times as fast as it compares them."""
    return "fbgemm" in torch.backends.quantized.supported_engines
