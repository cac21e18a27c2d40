"""Temperature as a function of the step: schedules of several shapes, and exploratory annealing."""

from __future__ import annotations

import math
from collections.abc import Sequence
from itertools import pairwise
from typing import Literal, get_args

import torch
from torch import Tensor

from temp_processors.policies.base import PolicyLogitsWarper
from temp_processors.policies.checks import COUNT, POSITIVE, STEPS, TEMPERATURE, Interval, check_token_ids, check_whole
from temp_processors.policies.distribution import working_dtype
from temp_processors.policies.positions import steps_since

Shape = Literal["constant", "linear", "cosine", "exponential", "geometric", "piecewise"]
Points = Sequence[tuple[float, float]]


class ScheduledTemperatureLogitsWarper(PolicyLogitsWarper):
    r"""
    [`PolicyLogitsWarper`] whose temperature goes from `start` to `end` with the step t, 0 for the first new token.

    With x = min(t / steps, 1), so that `end` holds from step `steps` on:

    | shape | T(t) |
    |---|---|
    | constant | start |
    | linear | start + (end - start) x |
    | cosine | end + (start - end) (1 + cos(pi x)) / 2 |
    | geometric | start (end / start)^x |
    | exponential | end + (start - end) exp(-t / decay): comes near `end`, never holds |
    | piecewise | straight lines between `points`, the first and last temperature held outside them |

    Args:
        shape (`str`): One of the shapes above.
        start (`float`, *optional*): Temperature at step 0, >= 0 (> 0 for geometric). Not for piecewise.
        end (`float`, *optional*): Temperature at the end, >= 0 (> 0 for geometric). Not for constant and piecewise.
        steps (`int`, *optional*): Steps from start to end, >= 1. Not for constant and piecewise.
        points (list of `(step, temperature)`, *optional*): For piecewise only: at least one, steps strictly rising.
        decay (`float`, *optional*, defaults to `steps / 2`): For exponential only: the time constant in steps.
        warmup (`int`, *optional*, defaults to 0): Steps of a straight climb before the shape begins, from
            T(0) / (warmup + 1) at step 0 to T(0) at step `warmup`, as learning rates warm up.
        reset_ids (token ids, *optional*): The step starts again at 0 after any of these new tokens (a sentence end).
        prompt_length (`int` or `torch.LongTensor` of shape `(batch,)`, *optional*, defaults to 0):
            Width of the prompt in tokens, padding included.

    Example:

    ```python
    >>> import torch
    >>> from temp_processors import ScheduledTemperatureLogitsWarper

    >>> prompt = torch.tensor([[11, 12, 13]])
    >>> cool = ScheduledTemperatureLogitsWarper("linear", start=1.5, end=0.5, steps=10, prompt_length=3)
    >>> cool.temperature(prompt, torch.zeros(1, 9))
    tensor([[1.5000]])
    >>> cool.temperature(torch.cat([prompt, torch.tensor([[14, 15]])], dim=-1), torch.zeros(1, 9))
    tensor([[1.3000]])

    ```
    """

    def __init__(
        self,
        shape: Shape,
        start: float | None = None,
        end: float | None = None,
        steps: int | None = None,
        *,
        points: Points | None = None,
        decay: float | None = None,
        warmup: int = 0,
        reset_ids: Sequence[int] | int = (),
        prompt_length: int | Tensor = 0,
    ) -> None:
        super().__init__(prompt_length=prompt_length)
        check_schedule(shape, {"start": start, "end": end, "steps": steps, "points": points, "decay": decay})
        self.shape = shape
        self.points = check_points(points) if points is not None else ()
        self.start = start if start is not None else self.points[0][1]
        self.end = end if end is not None else self.start
        self.over = steps if steps is not None else 1
        self.decay = decay if decay is not None else self.over / 2
        self.warmup = check_whole("warmup", warmup)
        self.reset_ids = check_token_ids("reset_ids", reset_ids, empty=True)

    def temperature(self, input_ids: Tensor, scores: Tensor) -> Tensor:
        step = self.steps(input_ids, scores)
        if self.reset_ids:
            step = steps_since(input_ids, scores, self.prompt_length, self.reset_ids)
        step = step.to(working_dtype(scores))
        value = self._shape_at((step - self.warmup).clamp(min=0.0))
        if not self.warmup:
            return value
        return torch.where(step < self.warmup, self.start * (step + 1.0) / (self.warmup + 1.0), value)

    def _shape_at(self, step: Tensor) -> Tensor:
        share = (step / self.over).clamp(max=1.0)
        if self.shape == "constant":
            return torch.full_like(step, self.start)
        if self.shape == "linear":
            return self.start + (self.end - self.start) * share
        if self.shape == "cosine":
            return self.end + (self.start - self.end) * (1.0 + torch.cos(math.pi * share)) / 2.0
        if self.shape == "geometric":
            return self.start * (self.end / self.start) ** share
        if self.shape == "exponential":
            return self.end + (self.start - self.end) * torch.exp(-step / self.decay)
        return interpolate(self.points, step)


class AnnealedTemperatureLogitsWarper(PolicyLogitsWarper):
    r"""
    [`PolicyLogitsWarper`] for exploratory annealed decoding (EAD): T(t) = max(1 + t_max - exp(t / decay), t_min).

    t is the step, 0 for the first new token, where T = t_max; T falls ever faster and holds t_min. The published
    sampler holds T = 1 for 10 steps and multiplies `decay` by 20, its trainer does not: this is the paper's formula.

    Args:
        decay (`float`): d, in steps, > 0.
        t_max (`float`, *optional*, defaults to 1.2): Temperature of the first token, >= 0.
        t_min (`float`, *optional*, defaults to 0.1): Temperature that holds in the end, >= 0.
        prompt_length (`int` or `torch.LongTensor` of shape `(batch,)`, *optional*, defaults to 0):
            Width of the prompt in tokens, padding included.

    Source: Yang et al. 2025, arXiv 2510.05251.

    Example:

    ```python
    >>> import torch
    >>> from temp_processors import AnnealedTemperatureLogitsWarper

    >>> annealed = AnnealedTemperatureLogitsWarper(decay=100, prompt_length=2)
    >>> annealed.temperature(torch.zeros(1, 52, dtype=torch.long), torch.zeros(1, 9))
    tensor([[0.5513]])

    ```
    """

    def __init__(
        self, decay: float, t_max: float = 1.2, t_min: float = 0.1, *, prompt_length: int | Tensor = 0
    ) -> None:
        super().__init__(prompt_length=prompt_length)
        self.decay = POSITIVE.check("decay", decay)
        self.t_max = TEMPERATURE.check("t_max", t_max)
        self.t_min = TEMPERATURE.check("t_min", t_min)

    def temperature(self, input_ids: Tensor, scores: Tensor) -> Tensor:
        step = self.steps(input_ids, scores).to(working_dtype(scores))
        return (1.0 + self.t_max - torch.exp(step / self.decay)).clamp(min=self.t_min)


def interpolate(points: Points, step: Tensor) -> Tensor:
    """Straight lines through `points` at each `step`; constant before the first and after the last."""
    value = torch.full_like(step, points[0][1])
    for (left, low), (right, high) in pairwise(points):
        line = low + (high - low) * (step - left) / (right - left)
        value = torch.where(step >= left, line, value)
    return torch.where(step >= points[-1][0], torch.full_like(step, points[-1][1]), value)


NEEDS: dict[str, tuple[str, ...]] = {
    "constant": ("start",),
    "linear": ("start", "end", "steps"),
    "cosine": ("start", "end", "steps"),
    "geometric": ("start", "end", "steps"),
    "exponential": ("start", "end", "steps"),
    "piecewise": ("points",),
}


def check_schedule(shape: str, given: dict[str, object]) -> None:
    """Each shape has its own parameters: name the missing, the superfluous and those out of their interval."""
    if shape not in NEEDS:
        raise ValueError(f"`shape` has to be one of {', '.join(get_args(Shape))}, but is {shape!r}")
    for name, value in given.items():
        wanted = name in NEEDS[shape]
        if wanted and value is None:
            raise ValueError(f"`{name}` is missing: the shape {shape!r} needs {', '.join(NEEDS[shape])}")
        if not wanted and value is not None and not (name == "decay" and shape == "exponential"):
            raise ValueError(f"`{name}` (={value!r}) means nothing for the shape {shape!r}")
        if value is not None:
            check_part(shape, name, value)


def check_part(shape: str, name: str, value: object) -> None:
    """One parameter of a schedule in its interval."""
    if name in ("start", "end"):
        temperatures: Interval = POSITIVE if shape == "geometric" else TEMPERATURE
        temperatures.check(name, value)
    elif name == "steps":
        check_whole(name, value, STEPS)
    elif name == "decay":
        POSITIVE.check(name, value)
    else:
        check_points(value)


def check_points(value: object) -> tuple[tuple[float, float], ...]:
    """(step, temperature) pairs with strictly rising steps."""
    if not isinstance(value, Sequence) or isinstance(value, str) or not value:
        raise ValueError(f"`points` has to be a list of (step, temperature) pairs, but is {value!r}")
    points = tuple(check_point(place, point) for place, point in enumerate(value))
    for (left, _), (right, _) in pairwise(points):
        if right <= left:
            raise ValueError(f"`points` has to have strictly rising steps, but {right:g} follows {left:g}")
    return points


def check_point(place: int, point: object) -> tuple[float, float]:
    """One (step, temperature) pair of a piecewise schedule."""
    if not isinstance(point, Sequence) or isinstance(point, str) or len(point) != 2:
        raise ValueError(f"`points[{place}]` has to be a (step, temperature) pair, but is {point!r}")
    step = COUNT.check(f"points[{place}][0]", point[0])
    return step, TEMPERATURE.check(f"points[{place}][1]", point[1])
