"""Solve for the temperature at which a row has a wanted entropy."""

from __future__ import annotations

import math
from typing import ClassVar, NamedTuple

import torch
from torch import Tensor

from temp_processors.policies.base import PolicyLogitsWarper
from temp_processors.policies.checks import NotNegative, Positive, checked
from temp_processors.policies.distribution import exp_floor, finite_count, precise_dtype, whole_gap, without_sync
from temp_processors.policies.fast_target import solve_rows

MOST_STEPS = 24  # Newton alone needs at most 12 on rows of every spread; the rest is for bisection where it is refused


class EntropyTargetLogitsWarper(PolicyLogitsWarper):
    r"""
    [`PolicyLogitsWarper`] at the temperature where H(softmax(scores / T)) = `entropy`, in nats, row by row.

    H rises with T, so the solution is unique: Newton's method on ln H over 1 / T, kept inside a bracket by bisection,
    to 1e-6 in entropy. On a device, a fixed number of vectorised steps; on the CPU, as many as a row needs.
    What can be reached lies between ln(number of ties at the maximum) and ln(number of entries that are not -inf): a
    target above that gives `max_temperature`, one below gives `min_temperature`, as does one
    that only a temperature outside these two would meet. A row with one such entry is left as it is.

    Args:
        entropy (`float`): The wanted entropy in nats, >= 0.
        min_temperature (`float`, *optional*, defaults to 1e-4): > 0.
        max_temperature (`float`, *optional*, defaults to 1e4): Above `min_temperature`.
        prompt_length: Not used; every policy takes it.

    Example:

    ```python
    >>> import torch
    >>> from temp_processors import EntropyTargetLogitsWarper
    >>> from temp_processors.distribution import entropy

    >>> scores = torch.tensor([[2.0, 1.0, 0.0, -1.0], [9.0, 1.0, 0.0, -1.0]])
    >>> entropy(EntropyTargetLogitsWarper(entropy=0.5)(torch.tensor([[1], [1]]), scores))
    tensor([[0.5000],
            [0.5000]])

    ```
    """

    example: ClassVar = {"entropy": 1.0}
    supports_continuous_batching = True

    @checked
    def __init__(
        self,
        entropy: NotNegative,
        min_temperature: Positive = 1e-4,
        max_temperature: Positive = 1e4,
        *,
        prompt_length: int | Tensor = 0,
    ) -> None:
        super().__init__(prompt_length=prompt_length)
        self.target, self.low, self.high = entropy, min_temperature, max_temperature
        self.coldest = min(self.low, 1.0)
        if self.low >= self.high:
            raise ValueError(f"`min_temperature` (={self.low:g}) has to be below `max_temperature` (={self.high:g})")

    def temperature(self, input_ids: Tensor, scores: Tensor) -> Tensor:
        if without_sync(scores):
            return self._solved(scores)
        if scores.ndim == 2:
            return solve_rows(scores, self.target, self.low, self.high)
        value = solve_rows(scores.reshape(-1, scores.shape[-1]), self.target, self.low, self.high)
        return value.view(*scores.shape[:-1], 1)

    def _solved(self, scores: Tensor) -> Tensor:
        gap, top = whole_gap(scores)
        with torch.no_grad():
            value = solve(gap, top, self.target, self.low, self.high)
        value = torch.where(finite_count(scores) > 1.0, value, torch.ones_like(value))
        if not (torch.is_grad_enabled() and scores.requires_grad):
            return value
        return _with_gradient(value, gap, top, self.low, self.high)


def _with_gradient(value: Tensor, gap: Tensor, top: Tensor, low: float, high: float) -> Tensor:
    """The solution with the gradient of the implicit function: d T = - d H / (d H / d T), where d H / d T = V / T.

    None flows where a bound was met, or one entry is left.
    """
    masked = torch.isneginf(gap)
    point = _measure(gap.masked_fill(masked, -800.0 * high), top, value)
    slope = (point.varentropy / value).detach()
    free = (value > low) & (value < high) & (slope > 0)
    step = (point.entropy - point.entropy.detach()) / torch.where(free, slope, 1.0)
    return value - torch.where(free, step, 0.0)


class _Point(NamedTuple):
    """Entropy and varentropy of softmax(gap * beta), each (..., 1)."""

    entropy: Tensor
    varentropy: Tensor


def solve(gap: Tensor, top: Tensor, target: float, low: float, high: float) -> Tensor:
    """The temperature in [low, high] with entropy `target`; see [`EntropyTargetLogitsWarper`].

    Args:
        gap: scores - max, -inf where masked, (..., vocab).
        top: index of the first maximum, (..., 1).

    Rows that have converged are frozen, so that a row's answer does not depend on how long the others take.
    """
    value = torch.ones_like(gap[..., :1]).clamp(low, high)
    left, right = torch.full_like(value, low), torch.full_like(value, high)
    done = torch.zeros_like(value, dtype=torch.bool)
    tolerance = 1e-14 if gap.dtype == torch.float64 else 2e-7
    for _ in range(MOST_STEPS):
        point = _measure(gap, top, value)
        close = (point.entropy - target).abs() <= tolerance * max(1.0, target)
        above = point.entropy > target
        right, left = torch.where(above, value, right), torch.where(above, left, value)
        newton = _newton(value, point, target)
        inside = (newton > left) & (newton < right)  # false for nan
        # A row that has come close takes one last small step, without its bracket, and is frozen.
        polish = torch.where((newton / value - 1.0).abs() < 1e-3, newton, value)
        step = torch.where(close, polish, torch.where(inside, newton, (left * right).sqrt()))
        value = torch.where(done, value, step)
        done = done | close
        if _finished(done):
            break
    if gap.dtype != precise_dtype(gap):
        value = torch.where(done, _polished(gap, top, value, target), value)
    if _finished(done):
        return value
    value = torch.where(~done & (_measure(gap, top, torch.full_like(value, low)).entropy >= target), low, value)
    return torch.where(~done & (_measure(gap, top, torch.full_like(value, high)).entropy <= target), high, value)


def _polished(gap: Tensor, top: Tensor, value: Tensor, target: float) -> Tensor:
    """One more step in float64: float32 sums over a large vocabulary are good to some 1e-6 only."""
    precise = value.to(precise_dtype(gap))
    newton = _newton(precise, _measure(gap.to(precise.dtype), top, precise), target)
    return torch.where((newton / precise - 1.0).abs() < 1e-3, newton, precise).to(value.dtype)


def _measure(gap: Tensor, top: Tensor, temperature: Tensor) -> _Point:
    scaled = (gap / temperature).clamp(min=exp_floor(gap.dtype))
    weight = scaled.exp()
    rest = weight.scatter(-1, top, 0.0).sum(dim=-1, keepdim=True)
    mean = (weight * scaled).sum(dim=-1, keepdim=True) / (1.0 + rest)
    square = (weight * (scaled - mean).square()).sum(dim=-1, keepdim=True) / (1.0 + rest)
    return _Point(torch.log1p(rest) - mean, square)


def _newton(value: Tensor, point: _Point, target: float) -> Tensor:
    """Newton's step on ln H over beta = 1 / T, where d ln H / d beta = -V / (beta H)."""
    tiny = torch.finfo(value.dtype).tiny
    beta = 1.0 / value
    miss = torch.log(point.entropy.clamp(min=tiny)) - math.log(max(target, 1e-300))
    return 1.0 / (beta + miss * beta * point.entropy / point.varentropy)


def _finished(done: Tensor) -> bool:
    """Whether every row has converged. Asked on the CPU only, where the answer costs no synchronisation."""
    if torch.compiler.is_compiling() or done.device.type != "cpu":
        return False
    return bool(done.all())
