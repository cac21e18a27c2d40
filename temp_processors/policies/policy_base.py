"""What every model of a policy shares: strict and frozen, built by the class that it names, tokens checked by a tokenizer."""

from __future__ import annotations

from collections.abc import Callable, Sequence, Sized
from typing import Any, ClassVar

from pydantic import BaseModel, ConfigDict
from torch import Tensor

from temp_processors.policies.base import PolicyLogitsWarper
from temp_processors.policies.checks import Interval


class BasePolicy(BaseModel):
    """What every kind shares: unknown keys are refused, values are not converted, objects do not change.

    A kind names its class in `warper`; its fields are the arguments of that class.
    """

    model_config = ConfigDict(strict=True, frozen=True, extra="forbid")
    warper: ClassVar[Callable[..., PolicyLogitsWarper]]

    kind: str

    @property
    def per_row(self) -> bool:
        """Whether the position of a row in the batch decides about its temperature."""
        inside = [getattr(self, name) for name in type(self).model_fields]
        policies = [item for value in inside for item in (value if isinstance(value, tuple) else (value,))]
        return any(item.per_row for item in policies if isinstance(item, BasePolicy))

    def build(self, *, prompt_length: int | Tensor = 0, tokenizer: Any = None) -> PolicyLogitsWarper:
        """The policy for prompts of `prompt_length` tokens; `tokenizer` resolves tags given as text."""
        return type(self).warper(**self.arguments(tokenizer), prompt_length=prompt_length)

    def arguments(self, tokenizer: Any) -> dict[str, Any]:
        """The arguments of `warper`, policies among them built; `prompt_length` comes on top."""
        fields = {name: getattr(self, name) for name in type(self).model_fields if name != "kind"}
        for name, value in fields.items():
            if tokenizer is not None and name.endswith("_ids"):
                check_known(name, value or (), tokenizer)
        return {name: _built(value, tokenizer) for name, value in fields.items()}


def check_known(name: str, ids: Sequence[int], tokenizer: Sized) -> None:
    """Refuse token ids that the tokenizer does not have. Without one they pass, and never match."""
    for place, token in enumerate(ids):
        if token >= len(tokenizer):
            known = Interval(0, len(tokenizer) - 1, ends="[]", note=" (the ids of the tokenizer)")
            raise ValueError(f"`{name}[{place}]` has to be {known}, but is {token}")


def _built(value: Any, tokenizer: Any) -> Any:
    """Policy models as policies, also inside a tuple, equal ones as one object; anything else as it is."""
    if isinstance(value, BasePolicy):
        return value.build(tokenizer=tokenizer)
    if isinstance(value, tuple) and value and isinstance(value[0], BasePolicy):
        distinct = {model: model.build(tokenizer=tokenizer) for model in value}
        return [distinct[model] for model in value]
    return value
