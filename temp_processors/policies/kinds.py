"""Every kind of policy by its name in configuration files, its model made from the constructor of its class.

```python
>>> import torch
>>> from temp_processors import build_policy
>>> policy = build_policy({"kind": "scheduled", "shape": "linear", "start": 2, "end": 1, "steps": 4}, prompt_length=1)
>>> policy(torch.tensor([[7, 8]]), torch.tensor([[3.5, 7.0]]))
tensor([[2., 4.]])

```
"""

from __future__ import annotations

import inspect
from collections.abc import Mapping, Sequence
from functools import reduce
from operator import or_
from types import UnionType
from typing import (
    TYPE_CHECKING,
    Annotated,
    Any,
    ClassVar,
    ForwardRef,
    Literal,
    TypeAlias,
    Union,
    get_args,
    get_origin,
    get_type_hints,
)

from pydantic import (
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    TypeAdapter,
    ValidationError,
    create_model,
    model_validator,
)
from torch import Tensor

from temp_processors.policies.adaptive import (
    AdaptiveSharpeningLogitsWarper,
    DynamicTemperatureLogitsWarper,
    EDTLogitsWarper,
    EntropyThresholdLogitsWarper,
)
from temp_processors.policies.annealed import AnnealedTemperatureLogitsWarper
from temp_processors.policies.base import PolicyLogitsWarper
from temp_processors.policies.block_start import BlockStartLogitsWarper
from temp_processors.policies.chain import ChainLogitsWarper
from temp_processors.policies.checkpoint import CHECKPOINT, CheckpointLogitsWarper
from temp_processors.policies.checks import Checked
from temp_processors.policies.combined import ProductLogitsWarper, RowsLogitsWarper
from temp_processors.policies.cuts import (
    EpsilonCutLogitsWarper,
    EtaCutLogitsWarper,
    MinPCutLogitsWarper,
    TopHCutLogitsWarper,
    TopKCutLogitsWarper,
    TopPCutLogitsWarper,
    TypicalPCutLogitsWarper,
)
from temp_processors.policies.ees import EESLogitsWarper
from temp_processors.policies.entropy_target import EntropyTargetLogitsWarper
from temp_processors.policies.fixed import FixedTemperatureLogitsWarper
from temp_processors.policies.generate import GenerateLogitsWarper
from temp_processors.policies.min_k import MinKLogitsWarper
from temp_processors.policies.mistakes import PolicyMistakesError, mistakes_of, not_a_policy
from temp_processors.policies.monte_carlo import MonteCarloTemperatureLogitsWarper
from temp_processors.policies.p_less import PLessLogitsWarper
from temp_processors.policies.phase import PhaseLogitsWarper
from temp_processors.policies.quadratic import QuadraticLogitsWarper
from temp_processors.policies.scheduled import ScheduledTemperatureLogitsWarper
from temp_processors.policies.tags import AS_TEXT, CodePoints, check_known, check_tags, padding_of, resolve_tag
from temp_processors.policies.top_n_sigma import TopNSigmaLogitsWarper
from temp_processors.policies.truncation import TopPDecayLogitsWarper, TruncateThenTemperLogitsWarper
from temp_processors.policies.xtc import XTCLogitsWarper

WARPERS: dict[str, type[PolicyLogitsWarper]] = {
    "fixed": FixedTemperatureLogitsWarper,
    "scheduled": ScheduledTemperatureLogitsWarper,
    "annealed": AnnealedTemperatureLogitsWarper,
    "dynamic": DynamicTemperatureLogitsWarper,
    "edt": EDTLogitsWarper,
    "entropy_threshold": EntropyThresholdLogitsWarper,
    "entropy_target": EntropyTargetLogitsWarper,
    "monte_carlo": MonteCarloTemperatureLogitsWarper,
    "adaptive_sharpening": AdaptiveSharpeningLogitsWarper,
    "phase": PhaseLogitsWarper,
    "block_start": BlockStartLogitsWarper,
    "quadratic": QuadraticLogitsWarper,
    "top_p_decay": TopPDecayLogitsWarper,
    "product": ProductLogitsWarper,
    "rows": RowsLogitsWarper,
    "truncate_then_temper": TruncateThenTemperLogitsWarper,
    "chain": ChainLogitsWarper,
    "generate": GenerateLogitsWarper,
    CHECKPOINT: CheckpointLogitsWarper,
    "top_k": TopKCutLogitsWarper,
    "top_p": TopPCutLogitsWarper,
    "min_p": MinPCutLogitsWarper,
    "typical_p": TypicalPCutLogitsWarper,
    "top_h": TopHCutLogitsWarper,
    "epsilon": EpsilonCutLogitsWarper,
    "eta": EtaCutLogitsWarper,
    "top_n_sigma": TopNSigmaLogitsWarper,
    "p_less": PLessLogitsWarper,
    "min_k": MinKLogitsWarper,
    "ees": EESLogitsWarper,
    "xtc": XTCLogitsWarper,
}


class BasePolicy(BaseModel):
    """A policy as data: unknown keys are refused, values are not converted, objects do not change.

    Each kind has a model of its own, made by [`policy_model`]: its fields are the parameters of the class `warper`.
    """

    model_config = ConfigDict(strict=True, frozen=True, extra="forbid")
    warper: ClassVar[type[PolicyLogitsWarper]]
    tags: ClassVar[tuple[str, ...]] = ()  # fields that hold a tag as text, each an alternative to the field NAME_ids

    kind: str

    @model_validator(mode="after")
    def _is_built(self) -> BasePolicy:
        """What one field needs of another is known to the constructor alone, so the policy is built once to see."""
        check_tags(self.tags, dict(self))
        if not self.needs_model:
            self.build(tokenizer=CodePoints())
        return self

    @property
    def parts(self) -> list[BasePolicy]:
        """The policies that it holds, those of a list among them."""
        values = [getattr(self, name) for name in type(self).model_fields]
        items = [item for value in values for item in (value if isinstance(value, tuple) else (value,))]
        return [item for item in items if isinstance(item, BasePolicy)]

    @property
    def of_checkpoint(self) -> bool:
        """Whether it is of kind `checkpoint`, or holds a policy that is."""
        return self.kind == CHECKPOINT or any(item.of_checkpoint for item in self.parts)

    @property
    def needs_model(self) -> bool:
        """Whether a model has to be asked before it can be built: here or inside is a `checkpoint` without its `policy`."""
        return (self.kind == CHECKPOINT and not self.parts) or any(item.needs_model for item in self.parts)

    @property
    def per_row(self) -> bool:
        """Whether the position of a row in the batch decides about its temperature, here or in a policy inside."""
        below = any(item.per_row for item in self.parts)
        return below or (not self.needs_model and self.build(tokenizer=CodePoints()).per_row)

    def build(self, *, prompt_length: int | Tensor = 0, tokenizer: Any = None) -> PolicyLogitsWarper:
        """The policy for prompts of `prompt_length` tokens; `tokenizer` resolves tags given as text."""
        return type(self).warper(**self.arguments(tokenizer), prompt_length=prompt_length)

    def check(self, tokenizer: Any) -> None:
        """Raise ValueError for a tag or a token id that does not go with the tokenizer."""
        self.build(tokenizer=tokenizer)

    def arguments(self, tokenizer: Any) -> dict[str, Any]:
        """The arguments of `warper`, policies among them built and tags resolved; `prompt_length` comes on top."""
        fields = {name: getattr(self, name) for name in type(self).model_fields if name != "kind"}
        for name in self.tags:
            text = fields.pop(name)
            if text is not None:
                fields[f"{name}_ids"] = resolve_tag(tokenizer, name, text)
        for name, value in fields.items():
            if tokenizer is not None and name.endswith("_ids"):
                check_known(name, value or (), tokenizer)
        if "pad_ids" in fields and not fields["pad_ids"]:
            fields["pad_ids"] = padding_of(tokenizer)
        return {name: _built(value, tokenizer) for name, value in fields.items()}


def _built(value: Any, tokenizer: Any) -> Any:
    """Policy models as policies, also inside a tuple, equal ones as one object; anything else as it is."""
    if isinstance(value, BasePolicy):
        return value.build(tokenizer=tokenizer)
    if isinstance(value, tuple) and value and isinstance(value[0], BasePolicy):
        distinct = {model: model.build(tokenizer=tokenizer) for model in value}
        return [distinct[model] for model in value]
    return value


SeveralPolicies: TypeAlias = Annotated[
    tuple["PolicyConfig", ...],
    BeforeValidator(lambda value: tuple(value) if isinstance(value, list) else value),
    Field(min_length=1),
]


def policy_model(kind: str, warper: type[PolicyLogitsWarper]) -> type[BasePolicy]:
    """The model of a kind: a field for every parameter of the constructor of `warper` but `prompt_length`."""
    tags, fields = _tags_and_fields(warper)
    model = create_model(
        warper.__name__.removesuffix("LogitsWarper").removesuffix("Temperature") + "Policy",
        __base__=BasePolicy,
        __module__=__name__,
        __doc__=f"See [`{warper.__name__}`].",
        kind=(Literal[kind], kind),  # type: ignore[arg-type]
        **fields,
    )
    model.warper, model.tags = warper, tags
    return model


def _tags_and_fields(warper: type[PolicyLogitsWarper]) -> tuple[tuple[str, ...], dict[str, Any]]:
    """Names of the tags that may be text; name -> (type, default) of every field, tags last, as text and then as ids."""
    types = get_type_hints(warper.__init__, include_extras=True)
    parameters = inspect.signature(warper).parameters.values()
    defaults = {item.name: ... if item.default is item.empty else item.default for item in parameters}
    names = [name for name in defaults if name != "prompt_length"]
    ids = [name for name in names if AS_TEXT in getattr(types[name], "__metadata__", ())]
    tags = tuple(name.removesuffix("_ids") for name in ids)
    return tags, {
        **{name: (_field_type(types[name]), defaults[name]) for name in names if name not in ids},
        **{name: (str | None, Field(default=None, min_length=1)) for name in tags},
        **{name: (_field_type(types[name]) | None, None) for name in ids},
    }


def _field_type(parameter: Any) -> Any:
    """The type of a field from that of a parameter: what a check turns values into, and models in place of policies."""
    if get_origin(parameter) in (Union, UnionType):
        return Union[tuple(map(_field_type, get_args(parameter)))]  # noqa: UP007 (a ForwardRef takes no | in 3.10)
    if get_origin(parameter) is Annotated:
        mark = next(mark for mark in parameter.__metadata__ if isinstance(mark, Checked))
        return Annotated[mark.into, mark]
    return {PolicyLogitsWarper: ForwardRef("PolicyConfig"), Sequence[PolicyLogitsWarper]: SeveralPolicies}.get(
        parameter, parameter
    )


KINDS: dict[str, type[BasePolicy]] = {kind: policy_model(kind, warper) for kind, warper in WARPERS.items()}

if TYPE_CHECKING:
    PolicyConfig: TypeAlias = BasePolicy
else:
    PolicyConfig = Annotated[reduce(or_, KINDS.values()), Field(discriminator="kind")]
for _model in KINDS.values():
    _model.model_rebuild()
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
        PolicyMistakesError: a ValueError with a line for every unknown kind or key (with the one that was probably meant),
            every missing one, and every value out of its range.

    Example:
        >>> build_policy({"kind": "product", "policies": [{"kind": "fixed", "temprature": "0.5"}]})
        Traceback (most recent call last):
        temp_processors.policies.mistakes.PolicyMistakesError: policies.0.temperature: is required and missing
        policies.0.temprature: not a field of 'fixed' (did you mean 'temperature'?)
    """
    model = config if isinstance(config, BasePolicy) else validated(config)
    return model.build(prompt_length=prompt_length, tokenizer=tokenizer)


def validated(data: Mapping[str, Any]) -> BasePolicy:
    """The model of a policy from `{"kind": ..., parameters}`; errors as for `build_policy`."""
    if not isinstance(data, Mapping):
        raise PolicyMistakesError([((), not_a_policy(data))])
    held = dict(data)
    try:
        return _ADAPTER.validate_python(held)
    except ValidationError as error:
        raise mistakes_of(error, held, PolicyConfig) from None
