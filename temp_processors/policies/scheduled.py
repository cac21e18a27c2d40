"""Temperature as a function of the step, in one of several shapes."""

from __future__ import annotations

import math
from itertools import pairwise
from typing import ClassVar, Literal, get_args

from torch import Tensor

from temp_processors.policies.base import PolicyLogitsWarper
from temp_processors.policies.checks import (
    POSITIVE,
    AnyTokenIds,
    AtLeastOne,
    Count,
    Points,
    Positive,
    Temperature,
    as_ids,
    checked,
)
from temp_processors.policies.distribution import working_dtype
from temp_processors.policies.few import Few, as_tensor, at_least, at_most, cos, divided, exp, filled, where
from temp_processors.policies.positions import few_steps_since

Shape = Literal["constant", "linear", "cosine", "exponential", "geometric", "piecewise"]


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

    example: ClassVar = {"shape": "linear", "start": 1.5, "end": 0.5, "steps": 24}
    supports_continuous_batching = False
    ignores_scores = True

    @checked
    def __init__(
        self,
        shape: Shape,
        start: Temperature | None = None,
        end: Temperature | None = None,
        steps: AtLeastOne | None = None,
        *,
        points: Points | None = None,
        decay: Positive | None = None,
        warmup: Count = 0,
        reset_ids: AnyTokenIds = (),
        prompt_length: int | Tensor = 0,
    ) -> None:
        super().__init__(prompt_length=prompt_length)
        check_schedule(shape, {"start": start, "end": end, "steps": steps, "points": points, "decay": decay})
        self.shape = shape
        self.points = tuple(points) if points is not None else ()
        self.start = start if start is not None else self.points[0][1]
        self.end = end if end is not None else self.start
        self.over = steps if steps is not None else 1
        self.decay = decay if decay is not None else self.over / 2
        self.warmup = warmup
        self.reset_ids = as_ids(reset_ids)

    def temperature(self, input_ids: Tensor, scores: Tensor) -> Tensor:
        dtype = working_dtype(scores)
        step = self.few_steps(input_ids, scores)
        if self.reset_ids:
            step = few_steps_since(input_ids, scores, self.prompt_length, self.reset_ids)
            step = step.to(dtype) if isinstance(step, Tensor) else step.astype(float)
        return as_tensor(self.at_step(step), dtype)

    def at_step(self, step: Few) -> Few:
        """T(t) at steps t, floating-point numbers in a tensor or an array of any shape."""
        value = self._shape_at(at_least(step - self.warmup, 0.0) if self.warmup else step)
        if not self.warmup:
            return value
        return where(step < self.warmup, self.start * (step + 1.0) / (self.warmup + 1.0), value)

    def _shape_at(self, step: Few) -> Few:
        if self.shape == "constant":
            return filled(step, self.start)
        if self.shape == "piecewise":
            return interpolate(self.points, step)
        if self.shape == "exponential":
            return self.end + (self.start - self.end) * exp(divided(-step, self.decay))
        share = at_most(divided(step, self.over), 1.0)
        if self.shape == "linear":
            return self.start + (self.end - self.start) * share
        if self.shape == "cosine":
            return self.end + (self.start - self.end) * (1.0 + cos(math.pi * share)) / 2.0
        return self.start * (self.end / self.start) ** share


def interpolate(points: Points, step: Few) -> Few:
    """Straight lines through `points` at each `step`; constant before the first and after the last."""
    value = filled(step, points[0][1])
    for (left, low), (right, high) in pairwise(points):
        line = low + (high - low) * (step - left) / (right - left)
        value = where(step >= left, line, value)
    return where(step >= points[-1][0], filled(step, points[-1][1]), value)


WIDEST = 1e30
"""Largest ratio of the two ends of a geometric schedule: its powers have to stay in float32."""
NEEDS: dict[str, tuple[str, ...]] = {
    "constant": ("start",),
    "linear": ("start", "end", "steps"),
    "cosine": ("start", "end", "steps"),
    "geometric": ("start", "end", "steps"),
    "exponential": ("start", "end", "steps"),
    "piecewise": ("points",),
}


def check_schedule(shape: str, given: dict[str, object]) -> None:
    """Each shape has its own parameters: name the missing, the superfluous, and a 0 where the shape divides by it."""
    if shape not in NEEDS:
        raise ValueError(f"`shape` has to be one of {', '.join(get_args(Shape))}, but is {shape!r}")
    for name, value in given.items():
        wanted = name in NEEDS[shape]
        if wanted and value is None:
            raise ValueError(f"`{name}` is missing: the shape {shape!r} needs {', '.join(NEEDS[shape])}")
        if not wanted and value is not None and not (name == "decay" and shape == "exponential"):
            shown = f"{value:g}" if isinstance(value, float) else repr(value)
            raise ValueError(f"`{name}` (={shown}) means nothing for the shape {shape!r}")
        if shape == "geometric" and name in ("start", "end"):
            POSITIVE.check(name, value)
    start, end = given["start"], given["end"]
    if shape == "geometric" and isinstance(start, float) and isinstance(end, float):
        ratio = max(start, end) / min(start, end)
        if ratio > WIDEST:
            raise ValueError(f"`start` and `end` may differ by a factor of {WIDEST:g}, but are {start:g} and {end:g}")
