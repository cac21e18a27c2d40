"""The temperature of a wanted entropy on the CPU: a search that is quick while it is far off, and exact when it is near.

Newton's method on ln H over b = 1 / T, where dH / db = -b V and V is the variance of d = scores - max under softmax(b d), and from the
second point on a cubic through the last two. A step needs the sums of tilted.py. Short rows, float64 scores and small targets, where
sums of float32 are not enough, end in float64. A row that has a block to itself is looked at as a whole twice or three times: once at
the beginning, and at the end where a model of few numbers, its largest entries among them, said where.
"""

from __future__ import annotations

import copy
import math
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from temp_processors.policies.blocks import BLOCK, Rows, in_blocks
from temp_processors.policies.distribution import working_dtype
from temp_processors.policies.tilted import MASKED, pieces, tilted_sums

COLDEST = 1e-30
"""The lowest temperature of the first round: beyond it 1 / T would leave float32."""
FEW = 1 << 10
"""Rows of at most so many entries are computed in float64 alone: what few entries round to does not average out."""
SMALL_TARGET = 0.1
"""Below it an error of 1e-7 in the entropy is too much of it."""
ROUNDING = 1e-7
"""The error of an entropy from sums in float32."""
DEPTH = 6.0
"""How far below the maximum the largest entries of a long row end, which are looked at by themselves."""
MOST_STEPS = 64
NEAR = 1e-2
"""The relative step after which the first round ends: the step taken then is off by the square of it."""


class Goal(NamedTuple):
    """What is looked for in every row: the entropy `target` between two bounds of b, known to `error` where it is looked at."""

    target: float
    left: float
    right: float
    error: float
    log: float

    @classmethod
    def of(cls, target: float, low: float, high: float, error: float) -> Goal:
        """The bounds are given as temperatures."""
        return cls(target, 1.0 / high, 1.0 / low, error, math.log(target) if target > 0.0 else math.nan)


class Search:
    """What is known of one row: `beta`, to look at next, and a bracket around the solution; `change` is the last relative step."""

    change = moved = math.inf
    last: tuple[float, float, float] | None = None  # ln H, b and their derivative where it was looked at

    def __init__(self, goal: Goal, beta: float) -> None:
        self.goal = goal
        self.left = self.warmest = goal.left  # the bounds are nan once they were tried in vain
        self.right = self.coldest = goal.right
        self.beta = beta if math.isnan(beta) else min(max(beta, self.left), self.right)

    def learn(self, at: float, whole: float, first: float, second: float) -> None:
        """Move on from `beta`, rounded to `at`, where w, w d and w d^2 have these sums; at a bound that is the answer, stay."""
        beta, goal, self.change = self.beta, self.goal, 0.0
        if not whole > 0.0:  # nan among the scores, or none that is not masked
            self.beta = math.nan
            return
        mean = first / whole
        entropy = math.log(whole) - at * mean
        miss = entropy - goal.target
        if -goal.error <= miss <= goal.error:
            self.beta = at  # any step would be one of rounding
            return
        if beta == (self.coldest if miss >= 0.0 else self.warmest):
            return
        if miss > 0.0:
            self.left, self.warmest = at, math.nan
        else:
            self.right, self.coldest = at, math.nan
        step, plain = self._next(at, entropy, at * (second / whole - mean * mean))
        before, self.moved, self.beta = self.moved, abs(step / beta - 1.0), step
        # What is left is at most the square of this.
        self.change = self.moved if plain or before > 0.1 else 10.0 * before * self.moved

    def _next(self, at: float, entropy: float, slope: float) -> tuple[float, bool]:
        """A step on ln H, and whether it is a plain one: Newton's, or a bound, or the middle of the bracket.

        A step that leaves the bracket at a bound tries the bound, any other halves the bracket. From the second point on a cubic
        through two points is near enough: its error is the product of the squares of their distances.
        """
        goal, left, right = self.goal.log, self.left, self.right
        step = math.inf if entropy > self.goal.target else 0.0
        if entropy > 0.0 and slope > 0.0 and goal == goal:
            last, here = self.last, (math.log(entropy), at, -entropy / slope)
            self.last = here
            if last and left < (step := cubic(last, here, goal)) < right:
                return step, False
            step = at + (goal - here[0]) * here[2]
        if left < step < right:
            return step, True
        if step >= right == self.coldest:
            return right, True
        if step <= left == self.warmest:
            return left, True
        return math.sqrt(left * right), True


def cubic(one: tuple[float, float, float], other: tuple[float, float, float], y: float) -> float:
    """The value at `y` of the cubic through two points (y, u, du / dy), nan where `y` is not near the second one."""
    y0, u0, d0 = one
    y1, u1, d1 = other
    wide = y1 - y0
    z = (y - y0) / wide if wide else math.nan
    if not 0.5 < z < 1.5:
        return math.nan
    back = 1.0 - z
    return back * back * (u0 * (1.0 + 2.0 * z) + wide * d0 * z) + z * z * (u1 * (3.0 - 2.0 * z) - wide * d1 * back)


def solve_rows(scores: Tensor, target: float, low: float, high: float) -> Tensor:
    """The temperature in [low, high] at which each row has the entropy `target`, or else the bound that comes closest.

    Args:
        scores: (rows, vocab) on the CPU. No gradient flows.

    Returns:
        (rows, 1) in the working dtype, 1 for a row with at most one finite entry. A row's answer does not depend on the others.
    """
    dtype = working_dtype(scores)
    values: Rows = scores.detach().to(dtype).numpy()
    if values.shape[-1] < 2:
        return torch.ones(len(values), 1, dtype=dtype)
    quick = dtype == torch.float32 and values.shape[-1] > FEW
    enough = quick and target >= SMALL_TARGET and low >= COLDEST
    rough = Goal.of(target, max(low, COLDEST), high, ROUNDING) if quick else None
    exact = None if enough else Goal.of(target, low, high, 0.0)
    return torch.from_numpy(in_blocks(lambda rows, _: _solve_block(rows, rough, exact), values))


def _solve_block(values: Rows, rough: Goal | None, exact: Goal | None) -> Rows:
    """The temperatures of some rows by a search in float32, if for `rough`, and then in float64, if for `exact`."""
    gap, masked = _gaps(values)
    betas = [1.0] * len(values)
    if rough:
        betas = _newton(gap, [Search(rough, beta) for beta in betas], NEAR if exact else 3e-4)
    if exact:
        enough = 1e-7 if gap.dtype == np.float64 else 3e-4
        betas = _newton(gap.astype(np.float64, copy=False), [Search(exact, beta) for beta in betas], enough)
    found = (1.0 / np.array(betas)[:, None]).astype(values.dtype)
    if masked:
        found[np.count_nonzero(values > -np.inf, axis=-1) < 2] = 1.0
    return found


def _gaps(values: Rows) -> tuple[Rows, bool]:
    """scores - max in pieces, and whether some of them are -inf; these and those beyond the size are moved to MASKED.

    (rows, vocab) -> (rows, pieces, entries) of at most PIECE entries each.
    """
    count, size = values.shape
    gap = pieces(count, size, values.dtype)
    entries = gap.reshape(count, -1)[:, :size]
    top = torch.from_numpy(values.max(axis=-1, keepdims=True))
    torch.sub(torch.from_numpy(values), top, out=torch.from_numpy(entries))
    masked = not entries.min() > -np.inf
    if masked:
        np.maximum(gap, MASKED, out=gap)
    return gap, masked


def _newton(gap: Rows, searches: list[Search], enough: float) -> list[float]:
    """Steps in the dtype of `gap`, (rows, pieces, entries), until each is `enough`, relatively: the betas."""
    rows, open_ones, weight = gap, searches, np.empty_like(gap)
    long = 2 * gap.size > BLOCK * len(gap)
    for _ in range(MOST_STEPS):
        places = []
        sums = tilted_sums(rows, [search.beta for search in open_ones], weight[: len(rows)])
        for place, search in enumerate(open_ones):
            if search.change > enough:
                search.learn(*sums[place])
                if search.change > enough:
                    places.append(place)
        if not places:
            break
        if long:
            foresee(gap[0].ravel(), searches[0], sums[0])
            long = False
        if 4 * len(places) < 3 * len(open_ones):  # else copying them costs more than it saves
            rows, open_ones = rows[places], [open_ones[place] for place in places]
    return [search.beta for search in searches]


def foresee(row: Rows, search: Search, sums: list[float]) -> None:
    """Let `search` look next where a model of a long row, whose `sums` are known, has the entropy: that spares looks at the whole row.

    The model is made of the largest entries, and for the others of a gamma distribution.
    """
    top, start = row[row > -DEPTH], sums[0]
    if 8 * top.size > row.size or not 2.0 * search.beta > start:
        return
    largest = pieces(1, top.size, top.dtype)
    largest.reshape(-1)[: top.size] = top
    weight = np.empty_like(largest)
    others = Others(*(whole - part for whole, part in zip(sums, tilted_sums(largest, [start], weight)[0], strict=True)))
    guess = copy.copy(search)
    guess.left, guess.warmest = max(search.left, start / 2.0, start - others.reach), math.nan
    if not guess.left < guess.beta < guess.right:
        return
    for _ in range(8):
        at, *parts = tilted_sums(largest, [guess.beta], weight)[0]
        guess.learn(at, *(part + other for part, other in zip(parts, others.sums(at - start), strict=True)))
        if not guess.change > 1e-4:
            break
    if search.left < guess.beta < search.right:
        search.beta, search.last = guess.beta, None  # no cubic from so far: Newton's next step has to be small to end


class Others:
    """Entries more than DEPTH below the maximum, as if they were spread below it by a gamma distribution: their sums at other b.

    Its mass, mean and variance are those of the entries at the b where w, w d and w d^2 have the sums `whole`, `first` and `second`.
    """

    def __init__(self, _: float, whole: float, first: float, second: float) -> None:
        self.whole, self.scale, self.shape = 0.0, 1.0, 1.0
        # The maximum weighs 1: less than 1e-5 is what sums of float32 are rounded by.
        mean = first / whole if whole > 1e-5 else 0.0
        depth, spread = -mean - DEPTH, second / whole - mean * mean if mean else 0.0
        if depth > 0.0 and spread > 0.0:
            self.whole, self.scale, self.shape = whole, spread / depth, depth * depth / spread
        self.reach = 0.5 / self.scale  # how much smaller b may be

    def sums(self, away: float) -> tuple[float, float, float]:
        """The sums at a b that is larger by `away`."""
        narrow = 1.0 + self.scale * away
        whole = self.whole * math.exp(-DEPTH * away - self.shape * math.log(narrow))
        mean = -DEPTH - self.shape * self.scale / narrow
        return whole, whole * mean, whole * (mean * mean + self.shape * (self.scale / narrow) ** 2)
