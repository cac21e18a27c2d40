"""Policies as data: one strict, frozen model per kind, told apart by `kind`, each of which builds its policy.

```python
>>> import torch
>>> from temp_processors import build_policy
>>> policy = build_policy({"kind": "scheduled", "shape": "linear", "start": 2, "end": 1, "steps": 4}, prompt_length=1)
>>> policy(torch.tensor([[7, 8]]), torch.tensor([[3.5, 7.0]]))
tensor([[2., 4.]])

```
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Annotated, Any, Literal, TypeAlias

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, TypeAdapter, ValidationInfo, model_validator
from torch import Tensor

from temp_processors.adaptive import DynamicTemperatureLogitsWarper, EDTLogitsWarper
from temp_processors.arguments import (
    COUNT,
    POSITIVE,
    SHARE,
    STEPS,
    TEMPERATURE,
    Interval,
    check_token_ids,
    check_whole,
)
from temp_processors.base import PolicyLogitsWarper
from temp_processors.fixed import FixedTemperatureLogitsWarper, check_temperatures
from temp_processors.scheduled import ScheduledTemperatureLogitsWarper, Shape, check_points, check_schedule


def _named(check: Callable[..., Any], *more: Any) -> BeforeValidator:
    """A check of arguments.py as a pydantic validator that knows the name of its field. None is left alone."""

    def validate(value: Any, info: ValidationInfo) -> Any:
        return None if value is None else check(info.field_name, value, *more)

    return BeforeValidator(validate)


def _number(interval: Interval) -> BeforeValidator:
    return _named(interval.check)


Temperature: TypeAlias = Annotated[float, _number(TEMPERATURE)]
Positive: TypeAlias = Annotated[float, _number(POSITIVE)]
NotNegative: TypeAlias = Annotated[float, _number(COUNT)]
Share: TypeAlias = Annotated[float, _number(SHARE)]
Steps: TypeAlias = Annotated[int, _named(check_whole, STEPS)]
Count: TypeAlias = Annotated[int, _named(check_whole, COUNT)]
AnyTokenIds: TypeAlias = Annotated[
    tuple[int, ...], _named(lambda name, value: check_token_ids(name, value, empty=True))
]


class BasePolicy(BaseModel):
    """What every kind shares: unknown keys are refused, values are not converted, objects do not change."""

    model_config = ConfigDict(strict=True, frozen=True, extra="forbid")

    kind: str

    def build(self, *, prompt_length: int | Tensor = 0, tokenizer: Any = None) -> PolicyLogitsWarper:
        """The policy for prompts of `prompt_length` tokens; `tokenizer` resolves tags given as text."""
        raise NotImplementedError(f"{type(self).__name__} has to build its policy")


class FixedPolicy(BasePolicy):
    """See [`FixedTemperatureLogitsWarper`]."""

    kind: Literal["fixed"] = "fixed"
    temperature: Annotated[float | tuple[float, ...], BeforeValidator(lambda value: check_temperatures(value))]

    def build(self, *, prompt_length: int | Tensor = 0, tokenizer: Any = None) -> PolicyLogitsWarper:
        return FixedTemperatureLogitsWarper(self.temperature, prompt_length=prompt_length)


class ScheduledPolicy(BasePolicy):
    """See [`ScheduledTemperatureLogitsWarper`]."""

    kind: Literal["scheduled"] = "scheduled"
    shape: Shape
    start: Temperature | None = None
    end: Temperature | None = None
    steps: Steps | None = None
    points: Annotated[tuple[tuple[float, float], ...], _named(lambda _, value: check_points(value))] | None = None
    decay: Positive | None = None
    warmup: Count = 0
    reset_ids: AnyTokenIds = ()

    @model_validator(mode="after")
    def _complete(self) -> ScheduledPolicy:
        names = ("start", "end", "steps", "points", "decay")
        check_schedule(self.shape, {name: getattr(self, name) for name in names})
        return self

    def build(self, *, prompt_length: int | Tensor = 0, tokenizer: Any = None) -> PolicyLogitsWarper:
        arguments = self.model_dump(exclude={"kind"})
        return ScheduledTemperatureLogitsWarper(**arguments, prompt_length=prompt_length)


class DynamicPolicy(BasePolicy):
    """See [`DynamicTemperatureLogitsWarper`]."""

    kind: Literal["dynamic"] = "dynamic"
    temperature: Temperature
    range: NotNegative
    exponent: Positive = 1.0

    def build(self, *, prompt_length: int | Tensor = 0, tokenizer: Any = None) -> PolicyLogitsWarper:
        arguments = self.model_dump(exclude={"kind"})
        return DynamicTemperatureLogitsWarper(**arguments, prompt_length=prompt_length)


class EDTPolicy(BasePolicy):
    """See [`EDTLogitsWarper`]."""

    kind: Literal["edt"] = "edt"
    temperature: Temperature
    theta: NotNegative
    base: Share = 0.8

    def build(self, *, prompt_length: int | Tensor = 0, tokenizer: Any = None) -> PolicyLogitsWarper:
        return EDTLogitsWarper(**self.model_dump(exclude={"kind"}), prompt_length=prompt_length)


PolicyConfig: TypeAlias = Annotated[
    FixedPolicy | ScheduledPolicy | DynamicPolicy | EDTPolicy, Field(discriminator="kind")
]
_ADAPTER: TypeAdapter[PolicyConfig] = TypeAdapter(PolicyConfig)


def build_policy(
    config: Mapping[str, Any] | BasePolicy, *, prompt_length: int | Tensor = 0, tokenizer: Any = None
) -> PolicyLogitsWarper:
    """A policy from `{"kind": ..., parameters}` or from its model.

    Args:
        config: The kind and its parameters, named as the arguments of the class that it builds.
        prompt_length: Width of the prompt in tokens, padding included; needed by policies that count steps.
        tokenizer: Needed only where a tag is given as text.

    Raises:
        pydantic.ValidationError: an unknown kind or key, a missing one, a value out of its interval; all at once.
    """
    model = config if isinstance(config, BasePolicy) else _ADAPTER.validate_python(dict(config))
    return model.build(prompt_length=prompt_length, tokenizer=tokenizer)
