"""Which processors a call of `generate()` ends up with, and who asked for each."""

from __future__ import annotations

import copy
import math
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any, Literal, NamedTuple, cast

import torch
from torch import Tensor
from transformers import GenerationConfig, LogitsProcessor, LogitsProcessorList

from temp_processors.audit.neutral import FIELD_OF_PROCESSOR
from temp_processors.policies.base import PolicyLogitsWarper
from temp_processors.policies.chain import ChainLogitsWarper
from temp_processors.policies.fixed import FixedTemperatureLogitsWarper
from temp_processors.policies.generate import PenaltyLogitsWarper
from temp_processors.trace.recorder import TemperatureTrace

Origin = Literal["yours", "call", "config", "checkpoint", "library default"]


class _RecordedError(Exception):
    """Ends a call of `generate` once its stack is known, before a model's own `generate` looks at texts that are not there."""


@dataclass(frozen=True)
class StackEntry:
    """One processor of the stack.

    Args:
        name: Its class name.
        parameters: Its values, by the name of the `generate` argument for built-in processors, by attribute for yours.
        origin: "yours" (passed in `processors`), "call" (a keyword of `generate`), "config" (the `GenerationConfig`
            passed), "checkpoint" (`model.generation_config`) or "library default".
        temperature: The number it divides the scores by; None where it sets no temperature or one that varies.
        varies: True where it sets a temperature that is not one number.
        processor: The object itself.
    """

    name: str
    parameters: dict[str, Any]
    origin: Origin
    temperature: float | None = None
    varies: bool = False
    processor: Any = field(default=None, repr=False, compare=False)

    def __str__(self) -> str:
        values = ", ".join(f"{name}={value}" for name, value in self.parameters.items())
        return f"{self.name}({values})  [{self.origin}]"


class Recorded(NamedTuple):
    """What a call of `generate` hands to its decoding loop.

    Args:
        mode: transformers' name of the decoding mode.
        applied: The processors, in the order in which they act.
        config: The configuration that results from the call, the one it passes and that of the checkpoint.
        rows: Rows of the batch, beams and samples of one prompt included.
        prompt: Tokens that processors see before the first new one, padding included: 0 with `inputs_embeds`, the decoder's own for
            an encoder-decoder. None where the call has no input.
    """

    mode: str
    applied: list[LogitsProcessor]
    config: GenerationConfig
    rows: int
    prompt: int | None


def record(
    model: Any, config: GenerationConfig | None, processors: list[LogitsProcessor], arguments: dict[str, Any]
) -> Recorded:
    """What a call of `generate` hands to its decoding loop, which is replaced by one that notes it and stops."""
    seen: dict[str, Any] = {}

    def recorder(  # the signature that generate() calls its decoding loops with
        model: Any, input_ids: Tensor, logits_processor: Any, generation_config: GenerationConfig, **_: Any
    ) -> Tensor:
        seen.update(applied=list(logits_processor), config=generation_config, shape=input_ids.shape)
        raise _RecordedError

    if not any(
        _field(source, "max_length", "max_new_tokens") for source in (arguments, config, model.generation_config)
    ):
        config, arguments = _with_length(config, arguments)
    stand_in = not {"inputs", "input_ids", "inputs_embeds", model.main_input_name} & set(arguments)
    if stand_in:
        arguments["inputs"] = torch.zeros(1, 1, dtype=torch.long, device=model.device)
        arguments["attention_mask"] = torch.ones(1, 1, dtype=torch.long, device=model.device)
    arguments.pop("streamer", None)  # it would be handed the prompt, and changes nothing of the stack
    with suppress(_RecordedError):
        model.generate(
            generation_config=config,
            logits_processor=LogitsProcessorList(processors),
            custom_generate=recorder,
            **arguments,
        )
    mode = seen["config"].get_generation_mode(arguments.get("assistant_model"))
    rows, width = seen["shape"]
    known = not stand_in or model.config.is_encoder_decoder
    return Recorded(str(mode.value), seen["applied"], seen["config"], rows, width if known else None)


def _field(source: Any, *names: str) -> bool:
    """Whether the call, or the configuration, sets one of the fields."""
    values = source if isinstance(source, dict) else vars(source) if source is not None else {}
    return any(values.get(name) is not None for name in names)


def _with_length(
    config: GenerationConfig | None, arguments: dict[str, Any]
) -> tuple[GenerationConfig | None, dict[str, Any]]:
    """A length as long as the library's default one, so that `generate` does not warn of a length that is not used."""
    if config is None:
        return None, {**arguments, "max_new_tokens": 20}
    config = copy.deepcopy(config)
    config.max_new_tokens = 20
    return config, arguments


class Asked(NamedTuple):
    """What a field was set to, and by whom; None by the library where nobody set it."""

    origin: Origin
    value: Any


def asked_for(name: str, call: Mapping[str, Any], config: GenerationConfig | None, model: Any) -> Asked:
    """Who set the field, in the order in which `generate` asks."""
    if name in call:
        return Asked("call", call[name])
    for origin, source in (("config", config), ("checkpoint", model.generation_config)):
        value = getattr(source, name, None)
        if value is not None:
            return Asked(cast(Origin, origin), value)
    return Asked("library default", None)


def describe(processor: Any, yours: Sequence[Any], config: GenerationConfig, asked: Mapping[str, Asked]) -> StackEntry:
    """The entry of one processor: yours with its attributes, a built-in one with the field that made it."""
    name = type(processor).__name__
    temperature, varies = _temperature(processor)
    if any(processor is own for own in yours):
        return StackEntry(name, _parameters(processor), "yours", temperature, varies, processor)
    if name not in FIELD_OF_PROCESSOR:  # prefix_allowed_tokens_fn has no field in the configuration
        return StackEntry(name, {}, "call", temperature, varies, processor)
    field_name = FIELD_OF_PROCESSOR[name].name
    prepared = getattr(config, field_name)
    # Whisper makes some processors itself and then clears their fields
    value = asked[field_name].value if prepared is None else prepared
    return StackEntry(name, {field_name: plain(value)}, asked[field_name].origin, temperature, varies, processor)


def _temperature(processor: Any) -> tuple[float | None, bool]:
    """(the constant temperature, whether it varies) of a processor; (None, False) where it sets none."""
    value = getattr(processor, "temperature", None)
    if value is None or isinstance(value, bool):
        return None, False
    if isinstance(value, (int, float)):
        return float(value), False
    policy = processor.policy if isinstance(processor, TemperatureTrace) else processor
    constant = _constant(policy)
    return constant, constant is None


def _constant(policy: Any) -> float | None:
    """The one number that a policy divides by, beside its cuts and penalties; None where there is none."""
    if isinstance(policy, FixedTemperatureLogitsWarper):
        return policy.value if isinstance(policy.value, float) else None
    if not isinstance(policy, ChainLogitsWarper):
        return None
    steps = [step for step in policy.links if not step.only_cuts and not isinstance(step, PenaltyLogitsWarper)]
    values = [value for value in map(_constant, steps) if value is not None]
    return math.prod(values) if values and len(values) == len(steps) else None


def _parameters(processor: Any) -> dict[str, Any]:
    hidden = {"prompt_length", *(name for name, value in vars(PolicyLogitsWarper).items() if not callable(value))}
    values = {key: value for key, value in vars(processor).items() if not key.startswith("_") and key not in hidden}
    return {key: plain(value) for key, value in values.items()}


def plain(value: Any) -> Any:
    """The value as JSON types; objects by their class name, their own values in brackets."""
    if isinstance(value, Tensor):
        return value.tolist()
    if isinstance(value, (list, tuple)):
        return [plain(item) for item in value]
    if isinstance(value, dict):
        return {str(key): plain(item) for key, item in value.items()}
    if isinstance(value, PolicyLogitsWarper):
        return {"name": type(value).__name__, **_parameters(value)}
    return value if value is None or isinstance(value, (bool, int, float, str)) else type(value).__name__
