"""The temperature of a wanted entropy on the CPU: a search that is quick while it is far off, and exact when it is near.

Newton's method on ln H over b = 1 / T, where dH / db = -b V and V is the variance of d = scores - max under softmax(b d), and from the
second point on a cubic through the last two. A step needs three sums over a row: of w, w d and w d^2 with w = exp(b d). Weights of
float32 are summed in float32 over pieces and in float64 over those, which gives the entropy to some 1e-7; short rows, float64 scores
and small targets, where that is not enough, end in float64. Tokens so far below the maximum that all of them together change
nothing are left out of a row that has a block to itself.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import torch
from torch import Tensor

from temp_processors.policies.blocks import BLOCK, ONES, PIECE, Rows, dot, in_blocks
from temp_processors.policies.distribution import working_dtype

MASKED = -1e15
"""Where d = -inf is moved: its weight is 0 at every temperature, and its square still fits into float32."""
COLDEST = 1e-30
"""The lowest temperature of the first round: beyond it 1 / T would leave float32."""
FEW = 1 << 10
"""Rows of at most so many entries are computed in float64 alone: what few entries round to does not average out."""
SMALL_TARGET = 0.1
"""Below it an error of 1e-7 in the entropy is too much of it."""
NEGLIGIBLE = 60.0
"""Entries with b d below minus this are left out: a million of them change the entropy by less than 1e-18."""
MOST_STEPS = 64
NEAR = 1e-2
"""The relative step after which the first round ends: the step taken then is off by the square of it."""


class Search:
    """What is known of one row: `beta`, to look at next, and a bracket around the solution; `change` is the last relative step."""

    __slots__ = ("beta", "change", "coldest", "error", "last", "left", "moved", "right", "warmest")

    def __init__(self, beta: float, low: float, high: float, error: float) -> None:
        self.error = error  # of an entropy
        self.last: tuple[float, float, float] | None = None  # ln H, ln b and their derivative where it was looked at
        self.left, self.right = 1.0 / high, 1.0 / low
        self.warmest, self.coldest = self.left, self.right  # bounds, nan once they were tried in vain
        self.beta = beta if math.isnan(beta) else min(max(beta, self.left), self.right)
        self.change = self.moved = math.inf

    def learn(self, at: float, whole: float, first: float, second: float, target: float) -> None:
        """Move on from `beta`, rounded to `at`, where w, w d and w d^2 have these sums; at a bound that is the answer, stay."""
        beta, self.change = self.beta, 0.0
        if not whole > 0.0:  # nan among the scores, or none that is not masked
            self.beta = math.nan
            return
        mean = first / whole
        entropy = math.log(whole) - at * mean
        if abs(entropy - target) <= self.error:
            self.beta = at  # any step would be one of rounding
            return
        if (beta == self.coldest and entropy >= target) or (beta == self.warmest and entropy <= target):
            return
        if entropy > target:
            self.left = at
            self.warmest = math.nan
        else:
            self.right = at
            self.coldest = math.nan
        self.beta, plain = self._next(at, entropy, at * (second / whole - mean * mean), target)
        before, self.moved = self.moved, abs(self.beta / beta - 1.0)
        sure = 1.0 if plain else min(1.0, 10.0 * before)
        self.change = sure * self.moved  # what is left is at most its square

    def _next(self, at: float, entropy: float, slope: float, target: float) -> tuple[float, bool]:
        """A step on ln H, and whether it is a plain one: Newton's, or a bound, or the middle of the bracket.

        A step that leaves the bracket at a bound tries the bound, any other halves the bracket. From the second point on a cubic
        through two points is near enough: its error is the product of the squares of their distances.
        """
        step = math.inf if entropy > target else 0.0
        if entropy > 0.0 and slope > 0.0 and target > 0.0:
            last, self.last = self.last, (math.log(entropy), math.log(at), -entropy / (at * slope))
            step = cubic(last, self.last, math.log(target)) if last else math.nan
            if self.left < step < self.right:
                return step, False
            step = at + math.log(entropy / target) * entropy / slope
        if self.left < step < self.right:
            return step, True
        if step >= self.right == self.coldest:
            return self.coldest, True
        if step <= self.left == self.warmest:
            return self.warmest, True
        return math.sqrt(self.left * self.right), True


def cubic(one: tuple[float, float, float], other: tuple[float, float, float], y: float) -> float:
    """exp(u) at `y` of the cubic through two points (y, u, du / dy), nan where `y` is not near the second one."""
    (y0, u0, d0), (y1, u1, d1) = one, other
    wide = y1 - y0
    z = (y - y0) / wide if wide else math.nan
    if not 0.5 < z < 1.5:
        return math.nan
    low, high = (1.0 - z) ** 2, z * z
    value = u0 * (1.0 + 2.0 * z) * low + u1 * high * (3.0 - 2.0 * z) + wide * (d0 * z * low - d1 * high * (1.0 - z))
    return math.exp(value) if abs(value) < 300.0 else math.nan


def solve_rows(scores: Tensor, target: float, low: float, high: float) -> Tensor:
    """The temperature in [low, high] at which each row has the entropy `target`, or else the bound that comes closest.

    Args:
        scores: (rows, vocab) on the CPU. No gradient flows.

    Returns:
        (rows, 1) in the working dtype, 1 for a row with at most one finite entry. A row's answer does not depend on the others.
    """
    values: Rows = scores.detach().to(working_dtype(scores)).numpy()
    if scores.shape[-1] < 2:
        return torch.ones(len(values), 1, dtype=working_dtype(scores))
    return torch.from_numpy(in_blocks(lambda rows, _: _solve_block(rows, target, low, high), values))


def _solve_block(values: Rows, target: float, low: float, high: float) -> Rows:
    gap = values - values.max(axis=-1, keepdims=True)
    masked = not gap.min() > -np.inf
    if masked:
        np.maximum(gap, MASKED, out=gap)
    betas, exact = [1.0] * len(gap), gap.dtype == np.float64
    rough = not exact and gap.shape[-1] > FEW
    fine = rough and target >= SMALL_TARGET and low >= COLDEST
    if rough:
        bounds = (max(low, COLDEST), high)
        gap, betas = _newton(gap, betas, target, bounds, np.float32, enough=3e-4 if fine else NEAR)
    if not fine:
        _, betas = _newton(gap, betas, target, (low, high), np.float64, enough=1e-7 if exact else 3e-4)
    found = (1.0 / np.array(betas)[:, None]).astype(values.dtype)
    if masked:
        found[np.count_nonzero(values > -np.inf, axis=-1) < 2] = 1.0
    return found


def _newton(
    gap: Rows, betas: list[float], target: float, bounds: tuple[float, float], dtype: Any, *, enough: float
) -> tuple[Rows, list[float]]:
    """Steps from `betas` in `dtype` until each is `enough`, relatively: what is left of `gap`, (rows, vocab), and the betas."""
    error, single = (1e-7 if dtype == np.float32 else 0.0), 2 * gap.shape[-1] > BLOCK
    searches = [Search(beta, *bounds, error) for beta in betas]
    rows, open_ones, weight = gap, searches, np.empty(gap.shape, dtype=dtype)
    for _ in range(MOST_STEPS):
        sums = _sums(rows, np.array([search.beta for search in open_ones], dtype=dtype), weight)
        for search, (at, whole, first, second) in zip(open_ones, sums, strict=True):
            search.learn(at, whole, first, second, target)
        places = [place for place, search in enumerate(open_ones) if search.change > enough]
        if not places:
            break
        if len(places) < len(open_ones):
            rows, open_ones = rows[places], [open_ones[place] for place in places]
        if single:
            rows = gap = _without_the_negligible(gap, NEGLIGIBLE / searches[0].left)
    return gap, [search.beta for search in searches]


def _sums(rows: Rows, betas: Rows, weight: Rows) -> list[list[float]]:
    """Of each row d its beta and the sums of w, w d and w d^2 with w = exp(beta d), worked out in `weight`."""
    weight, rows = weight[: len(rows), : rows.shape[-1]], rows.astype(weight.dtype, copy=False)
    if len(rows) == 1 and rows.size <= PIECE:
        return [_sums_of_row(rows[0], betas[0], weight[0])]
    found = np.empty((len(rows), 4))
    np.multiply(rows, betas[:, None], out=weight)
    np.exp(weight, out=weight)
    found[:, 0], found[:, 1], found[:, 2] = betas, dot(weight), dot(weight, rows)
    weight *= rows
    found[:, 3] = dot(weight, rows)
    listed: list[list[float]] = found.tolist()
    return listed


def _sums_of_row(row: Rows, beta: Any, weight: Rows) -> list[float]:
    """[`_sums`] of one short row, whose cost is the number of operations: the same ones in one dimension."""
    np.multiply(row, beta, out=weight)
    np.exp(weight, out=weight)
    whole, first = weight.dot(ONES[weight.dtype][: len(row), 0]), weight.dot(row)
    weight *= row
    return [float(beta), float(whole), float(first), float(weight.dot(row))]


def _without_the_negligible(gap: Rows, depth: float) -> Rows:
    """One row, (1, vocab), without the entries more than `depth` below the maximum, where few are left and picking them pays."""
    if gap.size <= FEW:
        return gap
    near = gap > -depth
    return gap[:, near[0]] if 8 * np.count_nonzero(near) < gap.size else gap
