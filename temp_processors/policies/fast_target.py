"""The temperature of a wanted entropy on the CPU: a search that is quick while it is far off, and exact when it is near.

Newton's method on ln H over b = 1 / T, where dH / db = -b V and V is the variance of d = scores - max under softmax(b d).
A step needs three sums over a row: of w, w d and w d^2 with w = exp(b d). A first round takes them in float32 and ends near the
solution, a second takes them in float64, mostly once: the error of a step is the square of the one before. Tokens so far
below the maximum that all of them together change nothing are left out of a row that has a block to itself.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import torch
from torch import Tensor

from temp_processors.policies.distribution import working_dtype
from temp_processors.policies.fast_entropy import BLOCK
from temp_processors.policies.threads import Rows, in_blocks

MASKED = -1e15
"""Where d = -inf is moved: its weight is 0 at every temperature, and its square still fits into float32."""
COLDEST = 1e-30
"""The lowest temperature of the first round: beyond it 1 / T would leave float32."""
FEW = 1 << 12
"""Up to so many entries a step in float64 costs what one in float32 does."""
NEGLIGIBLE = 60.0
"""Entries with b d below minus this are left out: a million of them change the entropy by less than 1e-18."""
MOST_STEPS = 64
NEAR = 1e-2
"""The relative step after which the first round ends: the step taken then is off by the square of it."""


class Search:
    """What is known of one row: `beta`, to look at next, and a bracket around the solution; `change` is the last relative step."""

    __slots__ = ("beta", "change", "coldest", "left", "right", "warmest")

    def __init__(self, beta: float, low: float, high: float) -> None:
        self.left, self.right = 1.0 / high, 1.0 / low
        self.warmest, self.coldest = self.left, self.right  # bounds, nan once they were tried in vain
        self.beta = beta if math.isnan(beta) else min(max(beta, self.left), self.right)
        self.change = math.inf

    def learn(self, whole: float, first: float, second: float, target: float) -> None:
        """Move on from `beta`, at which w, w d and w d^2 have these sums; at a bound that is the answer, stay."""
        beta, self.change = self.beta, 0.0
        if not whole > 0.0:  # nan among the scores, or none that is not masked
            self.beta = math.nan
            return
        mean = first / whole
        entropy = math.log(whole) - beta * mean
        if (beta == self.coldest and entropy >= target) or (beta == self.warmest and entropy <= target):
            return
        if entropy > target:
            self.left = beta
            self.warmest = math.nan
        else:
            self.right = beta
            self.coldest = math.nan
        self.beta = self._next(entropy, beta * (second / whole - mean * mean), target)
        self.change = abs(self.beta / beta - 1.0)

    def _next(self, entropy: float, slope: float, target: float) -> float:
        """Newton's step on ln H. One that leaves the bracket at a bound tries the bound, any other halves the bracket."""
        step = math.inf if entropy > target else 0.0
        if entropy > 0.0 and slope > 0.0 and target > 0.0:
            step = self.beta + math.log(entropy / target) * entropy / slope
        if self.left < step < self.right:
            return step
        if step >= self.right == self.coldest:
            return self.coldest
        if step <= self.left == self.warmest:
            return self.warmest
        return math.sqrt(self.left * self.right)


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
    with np.errstate(over="ignore", invalid="ignore"):
        gap = values - values.max(axis=-1, keepdims=True)
        masked = not gap.min() > -np.inf
        np.maximum(gap, MASKED, out=gap)
        betas, exact = [1.0] * len(gap), gap.dtype == np.float64
        if not exact and gap.size > FEW:
            gap, betas = _newton(gap, betas, target, (max(low, COLDEST), high), np.float32, enough=NEAR)
        _, betas = _newton(gap, betas, target, (low, high), np.float64, enough=1e-7 if exact else 3e-4)
    found = (1.0 / np.array(betas)[:, None]).astype(values.dtype)
    if masked:
        found[np.count_nonzero(values > -np.inf, axis=-1) < 2] = 1.0
    return found


def _newton(
    gap: Rows, betas: list[float], target: float, bounds: tuple[float, float], dtype: Any, *, enough: float
) -> tuple[Rows, list[float]]:
    """Steps from `betas` in `dtype` until each is `enough`, relatively: what is left of `gap`, (rows, vocab), and the betas."""
    searches = [Search(beta, *bounds) for beta in betas]
    rows, open_ones = gap, searches
    for _ in range(MOST_STEPS):
        sums = _sums(rows, [search.beta for search in open_ones], dtype)
        for search, (whole, first, second) in zip(open_ones, sums, strict=True):
            search.learn(whole, first, second, target)
        places = [place for place, search in enumerate(open_ones) if search.change > enough]
        if not places:
            break
        if len(places) < len(open_ones):
            rows, open_ones = rows[places], [open_ones[place] for place in places]
        if len(gap) == 1:
            rows = gap = _without_the_negligible(gap, NEGLIGIBLE / searches[0].left)
    return gap, [search.beta for search in searches]


def _sums(rows: Rows, betas: list[float], dtype: Any) -> list[list[float]]:
    """Of each row d the sums of w, w d and w d^2 with w = exp(beta d), worked on in `dtype` in pieces that stay in the cache."""
    beta = np.array(betas, dtype=dtype)[:, None]
    width = max(1, BLOCK // len(rows))
    pieces = [_sums_of_piece(rows[:, place : place + width], beta) for place in range(0, rows.shape[1], width)]
    found: list[list[float]] = (pieces[0] if len(pieces) == 1 else np.sum(pieces, axis=0)).tolist()
    return found


def _sums_of_piece(rows: Rows, beta: Rows) -> Rows:
    rows = rows.astype(beta.dtype, copy=False)
    weight, column = rows * beta, rows[:, :, None]
    np.exp(weight, out=weight)
    sums = np.empty((len(rows), 3), dtype=beta.dtype)
    weight.sum(axis=-1, out=sums[:, 0])
    sums[:, 1:2] = np.matmul(weight[:, None, :], column)[:, 0]
    weight *= rows
    sums[:, 2:] = np.matmul(weight[:, None, :], column)[:, 0]
    return sums


def _without_the_negligible(gap: Rows, depth: float) -> Rows:
    """One row, (1, vocab), without the entries more than `depth` below the maximum, where few are left and picking them pays."""
    if gap.size <= FEW:
        return gap
    near = gap > -depth
    return gap[:, near[0]] if 8 * np.count_nonzero(near) < gap.size else gap
