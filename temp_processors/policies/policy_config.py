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

from collections.abc import Mapping
from typing import Annotated, Any, Literal, TypeAlias

from pydantic import BeforeValidator, Field, TypeAdapter, model_validator
from torch import Tensor

from temp_processors.policies.adaptive import (
    AdaptiveSharpeningLogitsWarper,
    DynamicTemperatureLogitsWarper,
    EDTLogitsWarper,
    EntropyThresholdLogitsWarper,
)
from temp_processors.policies.base import PolicyLogitsWarper
from temp_processors.policies.combined import ProductLogitsWarper, RowsLogitsWarper, check_bounds
from temp_processors.policies.entropy_target import EntropyTargetLogitsWarper
from temp_processors.policies.fixed import FixedTemperatureLogitsWarper, check_temperatures
from temp_processors.policies.phase import BlockStartLogitsWarper, PhaseLogitsWarper, resolve_tag
from temp_processors.policies.policy_base import BasePolicy
from temp_processors.policies.policy_fields import (
    AnyTokenIds,
    Count,
    Curve,
    NotNegative,
    Points,
    Positive,
    Share,
    Steps,
    Temperature,
    TokenIds,
    Unit,
)
from temp_processors.policies.quadratic import QuadraticLogitsWarper
from temp_processors.policies.scheduled import (
    AnnealedTemperatureLogitsWarper,
    ScheduledTemperatureLogitsWarper,
    Shape,
    check_schedule,
)
from temp_processors.policies.truncation import TopPDecayLogitsWarper, TruncateThenTemperLogitsWarper, check_truncation

SeveralPolicies: TypeAlias = Annotated[
    tuple["PolicyConfig", ...],
    BeforeValidator(lambda value: tuple(value) if isinstance(value, list) else value),
    Field(min_length=1),
]


class FixedPolicy(BasePolicy):
    """See [`FixedTemperatureLogitsWarper`]."""

    warper = FixedTemperatureLogitsWarper
    kind: Literal["fixed"] = "fixed"
    temperature: Annotated[float | tuple[float, ...], BeforeValidator(check_temperatures)]

    @property
    def per_row(self) -> bool:
        return isinstance(self.temperature, tuple)


class ScheduledPolicy(BasePolicy):
    """See [`ScheduledTemperatureLogitsWarper`]."""

    warper = ScheduledTemperatureLogitsWarper
    kind: Literal["scheduled"] = "scheduled"
    shape: Shape
    start: Temperature | None = None
    end: Temperature | None = None
    steps: Steps | None = None
    points: Points | None = None
    decay: Positive | None = None
    warmup: Count = 0
    reset_ids: AnyTokenIds = ()

    @model_validator(mode="after")
    def _complete(self) -> ScheduledPolicy:
        names = ("start", "end", "steps", "points", "decay")
        check_schedule(self.shape, {name: getattr(self, name) for name in names})
        return self


class AnnealedPolicy(BasePolicy):
    """See [`AnnealedTemperatureLogitsWarper`]."""

    warper = AnnealedTemperatureLogitsWarper
    kind: Literal["annealed"] = "annealed"
    decay: Positive
    t_max: Temperature = 1.2
    t_min: Temperature = 0.1


class DynamicPolicy(BasePolicy):
    """See [`DynamicTemperatureLogitsWarper`]."""

    warper = DynamicTemperatureLogitsWarper
    kind: Literal["dynamic"] = "dynamic"
    temperature: Temperature
    range: NotNegative
    exponent: Positive = 1.0


class EDTPolicy(BasePolicy):
    """See [`EDTLogitsWarper`]."""

    warper = EDTLogitsWarper
    kind: Literal["edt"] = "edt"
    temperature: Temperature
    theta: NotNegative
    base: Share = 0.8


class EntropyThresholdPolicy(BasePolicy):
    """See [`EntropyThresholdLogitsWarper`]."""

    warper = EntropyThresholdLogitsWarper
    kind: Literal["entropy_threshold"] = "entropy_threshold"
    low: Temperature
    high: Temperature
    threshold: NotNegative = 0.672


class EntropyTargetPolicy(BasePolicy):
    """See [`EntropyTargetLogitsWarper`]."""

    warper = EntropyTargetLogitsWarper
    kind: Literal["entropy_target"] = "entropy_target"
    entropy: NotNegative
    min_temperature: Positive = 1e-4
    max_temperature: Positive = 1e4

    @model_validator(mode="after")
    def _rising(self) -> EntropyTargetPolicy:
        self.build()
        return self


class AdaptiveSharpeningPolicy(BasePolicy):
    """See [`AdaptiveSharpeningLogitsWarper`]."""

    warper = AdaptiveSharpeningLogitsWarper
    kind: Literal["adaptive_sharpening"] = "adaptive_sharpening"


class PhasePolicy(BasePolicy):
    """See [`PhaseLogitsWarper`]. Each tag is given as token ids, or as text for a tokenizer."""

    warper = PhaseLogitsWarper
    kind: Literal["phase"] = "phase"
    inside: PolicyConfig
    outside: PolicyConfig
    open: str | None = Field(default=None, min_length=1)
    close: str | None = Field(default=None, min_length=1)
    open_ids: TokenIds | None = None
    close_ids: TokenIds | None = None

    @model_validator(mode="after")
    def _one_of_each(self) -> PhasePolicy:
        for name in ("open", "close"):
            if (getattr(self, name) is None) == (getattr(self, f"{name}_ids") is None):
                raise ValueError(f"`{name}` (text) or `{name}_ids` (token ids) has to be given, and not both")
        if self.open == self.close and self.open_ids == self.close_ids:
            raise ValueError(f"`close` has to differ from `open`, but both are {self.open or self.open_ids!r}")
        return self

    def arguments(self, tokenizer: Any) -> dict[str, Any]:
        rest = super().arguments(tokenizer)
        for name in ("open", "close"):
            text = rest.pop(name)
            if text is not None:
                rest[f"{name}_ids"] = resolve_tag(tokenizer, name, text)
        return rest


class BlockStartPolicy(BasePolicy):
    """See [`BlockStartLogitsWarper`]."""

    warper = BlockStartLogitsWarper
    kind: Literal["block_start"] = "block_start"
    newline_ids: TokenIds
    indent_ids: TokenIds
    start_temperature: Temperature = 0.8
    temperature: Temperature = 0.6
    initial_temperature: Temperature | None = None


class QuadraticPolicy(BasePolicy):
    """See [`QuadraticLogitsWarper`]."""

    warper = QuadraticLogitsWarper
    kind: Literal["quadratic"] = "quadratic"
    factor: Positive
    curve: Curve = 1.0


class TopPDecayPolicy(BasePolicy):
    """See [`TopPDecayLogitsWarper`]."""

    warper = TopPDecayLogitsWarper
    kind: Literal["top_p_decay"] = "top_p_decay"
    top_p: Share = 0.9
    decay: Share = 0.9
    minimum: Unit = 0.3
    reset_ids: AnyTokenIds = ()


class ProductPolicy(BasePolicy):
    """See [`ProductLogitsWarper`]."""

    warper = ProductLogitsWarper
    kind: Literal["product"] = "product"
    policies: SeveralPolicies
    min_temperature: Temperature | None = None
    max_temperature: Temperature | None = None

    @model_validator(mode="after")
    def _bounds(self) -> ProductPolicy:
        check_bounds(self.min_temperature, self.max_temperature)
        return self


class RowsPolicy(BasePolicy):
    """See [`RowsLogitsWarper`]."""

    warper = RowsLogitsWarper
    kind: Literal["rows"] = "rows"
    policies: SeveralPolicies

    @property
    def per_row(self) -> bool:
        return True


class TruncateThenTemperPolicy(BasePolicy):
    """See [`TruncateThenTemperLogitsWarper`]."""

    warper = TruncateThenTemperLogitsWarper
    kind: Literal["truncate_then_temper"] = "truncate_then_temper"
    policy: PolicyConfig
    top_k: Steps | None = None
    top_p: Share | None = None
    min_p: Unit | None = None

    @model_validator(mode="after")
    def _something(self) -> TruncateThenTemperPolicy:
        check_truncation(self.top_k, self.top_p, self.min_p)
        return self


PolicyConfig: TypeAlias = Annotated[
    FixedPolicy
    | ScheduledPolicy
    | AnnealedPolicy
    | DynamicPolicy
    | EDTPolicy
    | EntropyThresholdPolicy
    | EntropyTargetPolicy
    | AdaptiveSharpeningPolicy
    | PhasePolicy
    | BlockStartPolicy
    | QuadraticPolicy
    | TopPDecayPolicy
    | ProductPolicy
    | RowsPolicy
    | TruncateThenTemperPolicy,
    Field(discriminator="kind"),
]
for _nested in (PhasePolicy, ProductPolicy, RowsPolicy, TruncateThenTemperPolicy):
    _nested.model_rebuild()
_ADAPTER: TypeAdapter[PolicyConfig] = TypeAdapter(PolicyConfig)


def build_policy(
    config: Mapping[str, Any] | BasePolicy, *, prompt_length: int | Tensor = 0, tokenizer: Any = None
) -> PolicyLogitsWarper:
    """A policy from `{"kind": ..., parameters}` or from its model.

    Args:
        config: The kind and its parameters, named as the arguments of the class that it builds.
        prompt_length: Width of the prompt in tokens, padding included; needed by policies that count steps.
        tokenizer: For tags given as text. With one, token ids that it does not have are refused; else they never match.

    Raises:
        ValueError: a tag that is not tokenised the same inside a text, a token id outside the tokenizer.
        pydantic.ValidationError: an unknown kind or key, a missing one, a value out of its interval; all at once.
    """
    model = config if isinstance(config, BasePolicy) else _ADAPTER.validate_python(dict(config))
    return model.build(prompt_length=prompt_length, tokenizer=tokenizer)
