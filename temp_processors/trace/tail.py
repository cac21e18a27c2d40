r"""The probability of everything outside the recorded top tokens, at any temperature, from a few numbers.

A trace keeps the k largest logits of a step. What the other tokens weigh together at temperature T,

    tail(T) = ln sum_{i not recorded} exp((l_i - l_max) / T),

is a smooth function of ln T, so its values at Chebyshev points give it everywhere in between. A page that holds
`top_logits` (first one the largest) and `tail` (n + 1 values) computes any temperature in [0.1, 5] with

    x_k = cos(pi k / n),   ln T_k = middle + half x_k,   middle = (ln 0.1 + ln 5) / 2,   half = (ln 5 - ln 0.1) / 2
    c_k = (-1)^k, halved for k = 0 and k = n
    x = (ln T - middle) / half
    tail(T) = sum_k (c_k / (x - x_k)) tail_k / sum_k (c_k / (x - x_k)), and tail_k where x = x_k
    p_j(T) = exp((l_j - l_max) / T) / (sum_j exp((l_j - l_max) / T) + exp(tail(T)))

Which n it is, the length of the list says: points for n are among those for 2n, so a list is thinned to 13, 25 or 49
values where that is enough. Source: Berrut and Trefethen 2004, Barycentric Lagrange interpolation. Interpolation in
ln T and not in 1/T: where two groups of n and 1 tokens trade places, tail() has its singularities at an angle of
atan(pi / ln n) from the axis whatever the gap between the groups, so one grid serves every gap.
"""

from __future__ import annotations

import math
from functools import cache

import torch
from torch import Tensor

TAIL_TEMPERATURES = (0.1, 5.0)
TAIL_NODES = 97
TAIL_LENGTHS = (13, 25, 49, TAIL_NODES)
BLOCK = {True: 2**17, False: 2**24}  # numbers at a time: on a CPU a megabyte, which its cache holds
POWERS, BINS = 8, 192
BIN_TOLERANCE = 2.5e-9
"""Of a bin's polynomial, relative to exp(-d / T) + 1 / `LARGEST`: of a sum, which is at least 1, twice that."""
LARGEST = 2**18  # tokens for which the tolerance holds
DEEPEST = math.log(LARGEST / 1e-9) * TAIL_TEMPERATURES[1]  # what lies deeper adds nothing at any temperature
TAIL_TOLERANCE = 1e-7  # what thinning may change at the points it drops, in probability


def tail_points(count: int = TAIL_NODES) -> Tensor:
    """Chebyshev points of the second kind, from 1 down to -1; float64, shape (count,)."""
    return torch.cos(torch.arange(count, dtype=torch.float64) * (math.pi / (count - 1)))


def tail_temperatures(count: int = TAIL_NODES) -> Tensor:
    """The temperatures at which the tail is recorded, from 5 down to 0.1; float64, shape (count,)."""
    middle, half = _scale()
    return torch.exp(middle + half * tail_points(count))


def tail_values(scores: Tensor, top_ids: Tensor) -> Tensor:
    """tail(T) where it is recorded: (..., vocab) and (..., k) -> float64 (..., 97); -inf where no token is left.

    A token that lies d below the best that is not recorded adds exp(-d / T). In a bin of sqrt(d) that is, for every T, a polynomial of the
    place in the bin (to `BIN_TOLERANCE`). So the sums of the powers of these places, bin by bin, give the sums at all temperatures at once:
    one product with a matrix that is the same for all rows, where each temperature would take an exponential of every token.
    """
    rows, recorded = scores.reshape(-1, scores.shape[-1]), top_ids.reshape(-1, top_ids.shape[-1])
    cooling = 1 / tail_temperatures().to(rows.device)
    sums_of = _exponentials().to(rows.device)
    values = rows.new_empty(len(rows), TAIL_NODES, dtype=torch.float64)
    size = max(1, BLOCK[rows.device.type == "cpu"] // rows.shape[-1])
    for begin in range(0, len(rows), size):
        here = slice(begin, begin + size)
        gap = rows[here].double() - rows[here].amax(dim=-1, keepdim=True).double()
        gap.scatter_(-1, recorded[here], -torch.inf)
        best = gap.amax(dim=-1, keepdim=True)
        depth = gap.neg_().add_(best.clamp(min=torch.finfo(gap.dtype).min))
        values[here] = (_bin_sums(depth) @ sums_of).log_().add_(best * cooling)
    return values.reshape(*scores.shape[:-1], TAIL_NODES)


def _bin_sums(depth: Tensor) -> Tensor:
    """Sums of the powers of the places in each bin: (rows, vocab), which is overwritten, -> (rows, `POWERS` * `BINS`)."""
    place = depth.sqrt_().mul_(BINS / DEEPEST**0.5).clamp_(max=BINS * (1 - 2**-52))
    bins = place.long().clamp_(min=0)  # nan is no bin; the best score of such a row is nan too
    place.sub_(bins).sub_(0.5)
    sums, power = place.new_zeros(len(place), POWERS, BINS), place.new_ones(()).expand_as(place)
    for order in range(POWERS):
        sums[:, order].scatter_add_(-1, bins, power)
        power = power * place if order == 0 else power.mul_(place)
    return sums.flatten(start_dim=1)


@cache
def _exponentials() -> Tensor:
    """exp(-d / T) as polynomials that agree with it at the Chebyshev points of every bin: float64 (`POWERS` * `BINS`, 97)."""
    points = torch.cos((torch.arange(POWERS, dtype=torch.float64) + 0.5) * (math.pi / POWERS)) / 2
    edges = torch.arange(BINS, dtype=torch.float64)[:, None]
    depth = ((edges + 0.5 + points) / BINS).square() * DEEPEST
    there = torch.exp(-depth[..., None] / tail_temperatures())
    polynomials: Tensor = torch.linalg.solve(torch.linalg.vander(points), there)
    return polynomials.transpose(0, 1).reshape(-1, TAIL_NODES)


def interpolate_tail(tail: Tensor, temperature: Tensor) -> Tensor:
    """tail(T) from its values: (..., count) and (points,) -> (..., points); a ValueError for T outside [0.1, 5]."""
    low, high = TAIL_TEMPERATURES
    if bool(((temperature < low) | (temperature > high)).any()):
        raise ValueError(f"`temperature` has to lie in [{low}, {high}], where the tail is recorded")
    return tail @ _weights(tail.shape[-1], temperature).to(tail.device).T


def thinned(tail: Tensor, top_logits: Tensor) -> list[list[float] | None]:
    """Every row of (rows, 97) as the shortest list that keeps the tail's probability to 1e-7; None where empty."""
    gap = (top_logits.double() - top_logits[..., :1].double())[..., None, :]
    head = torch.logsumexp(gap / tail_temperatures().to(tail.device)[:, None], dim=-1)
    exact = torch.sigmoid(tail - head)
    lengths = torch.full(tail.shape[:1], TAIL_NODES, device=tail.device)
    for count in reversed(TAIL_LENGTHS[:-1]):
        again = interpolate_tail(tail[:, :: (TAIL_NODES - 1) // (count - 1)], tail_temperatures())
        close = (torch.sigmoid(again - head) - exact).abs().amax(dim=-1) < TAIL_TOLERANCE
        lengths = torch.where(close & (lengths < 2 * count), count, lengths)
    kept = zip(tail.tolist(), lengths.tolist(), strict=True)
    return [None if math.isinf(row[0]) else row[:: (TAIL_NODES - 1) // (count - 1)] for row, count in kept]


def _scale() -> tuple[float, float]:
    low, high = map(math.log, TAIL_TEMPERATURES)
    return (low + high) / 2, (high - low) / 2


def _weights(count: int, temperature: Tensor) -> Tensor:
    """Barycentric weights of every point for every temperature: (points, count), rows that sum to 1."""
    middle, half = _scale()
    sign = 1.0 - 2.0 * (torch.arange(count, dtype=torch.float64) % 2)
    sign[0], sign[-1] = sign[0] / 2, sign[-1] / 2
    distance = (temperature.double().log() - middle).div(half)[:, None] - tail_points(count)
    hit = distance.abs() < 1e-13
    share = sign / distance.masked_fill(hit, 1.0)
    share = torch.where(hit.any(dim=-1, keepdim=True), hit.double(), share)
    return share / share.sum(dim=-1, keepdim=True)
