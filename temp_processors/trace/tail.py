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

import torch
from torch import Tensor

TAIL_TEMPERATURES = (0.1, 5.0)
TAIL_NODES = 97
TAIL_LENGTHS = (13, 25, 49, TAIL_NODES)
CONVERGED = 1e-8  # size of the last Chebyshev coefficients of ln of a weight below which it is interpolated
BLOCK = {True: 2**17, False: 2**24}  # numbers at a time: on a CPU a megabyte, which its cache holds
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

    Every second value is summed over the vocabulary. Where the Chebyshev coefficients of these have died away (Trefethen, Approximation
    Theory and Approximation Practice, chapters 3 and 8) the values between them are interpolated, to 1e-8, else summed as well.
    """
    gap = scores.double() - scores.amax(dim=-1, keepdim=True).double()
    gap = gap.scatter(-1, top_ids, -torch.inf).reshape(-1, scores.shape[-1])
    between = tail_temperatures()[1::2]
    even = _log_sums(gap, tail_temperatures()[::2])
    odd = even @ _weights(even.shape[-1], between).to(even.device).T
    open_ = ~(_last_coefficients(even) < CONVERGED)  # nan, where nothing is left, is open too
    if bool(open_.any()):
        odd[open_] = _log_sums(gap[open_], between)
    values = even.new_empty(len(even), TAIL_NODES)
    values[:, ::2], values[:, 1::2] = even, odd
    return values.reshape(*scores.shape[:-1], TAIL_NODES)


def _log_sums(gap: Tensor, temperatures: Tensor) -> Tensor:
    """ln sum exp(gap / T) for every temperature: (rows, vocab) -> (rows, temperatures); rows that the cache holds at a time."""
    found = gap.new_empty(len(gap), len(temperatures))
    size = max(1, BLOCK[gap.device.type == "cpu"] // gap.shape[-1])
    for place in range(0, len(gap), size):
        rows, out = gap[place : place + size], found[place : place + size]
        first = rows.amax(dim=-1, keepdim=True).clamp(min=torch.finfo(gap.dtype).min)
        rest, held = rows - first, torch.empty_like(rows)
        for column, temperature in enumerate(temperatures.tolist()):
            torch.mul(rest, 1 / temperature, out=held)
            out[:, column] = held.exp_().sum(dim=-1).log_() + first[:, 0] / temperature
    return found


def _last_coefficients(values: Tensor) -> Tensor:
    """The largest of the last eight Chebyshev coefficients, in size: (rows, count) -> (rows,)."""
    degree = values.shape[-1] - 1
    order = torch.arange(degree - 7, degree + 1, dtype=torch.float64)
    matrix = (
        torch.cos(torch.outer(order, torch.arange(degree + 1, dtype=torch.float64)) * (math.pi / degree)) * 2 / degree
    )
    matrix[:, 0], matrix[:, -1] = matrix[:, 0] / 2, matrix[:, -1] / 2
    return (values @ matrix.to(values.device).T).abs().amax(dim=-1)


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
