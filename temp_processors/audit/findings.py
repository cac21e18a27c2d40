"""What can be wrong with a call of `generate()`: one function for each kind of finding."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from temp_processors.audit.neutral import SAMPLING_FIELDS, values_on
from temp_processors.audit.stack import Asked, StackEntry
from temp_processors.policies.base import PolicyLogitsWarper
from temp_processors.sampling import SeededSampling

OWN_MODES = frozenset({"greedy_search", "sample", "beam_search", "beam_sample", "assisted_generation"})


Severity = Literal["error", "warning", "info"]


@dataclass(frozen=True)
class Finding:
    """One thing to know about a call.

    Args:
        code: Stable name, for programs.
        message: What happens and what to pass instead, for people.
        severity: "error" (the call fails or ignores what was asked), "warning" (the numbers are not what the
            arguments say), "info" (right, and worth knowing).
    """

    code: str
    message: str
    severity: Severity


def find_problems(
    stack: Sequence[StackEntry], mode: str, processors: Sequence[Any], dropped: Mapping[str, Any]
) -> Iterator[Finding]:
    """Every finding about a call, in a fixed order.

    Args:
        stack: What acts on the scores.
        mode: transformers' name of the decoding mode; "paged" for continuous batching.
        processors: Those of the caller.
        dropped: Fields and values that the call asks for and that do not act without sampling.
    """
    yield from _temperatures(stack)
    yield from _unasked(stack)
    yield from _without_sampling(dropped, mode)
    yield from _after_the_draw(stack)
    if mode == "paged":
        yield from _continuous_batching(processors)
    elif mode == "greedy_search":
        yield from _greedy(processors)
    elif mode.startswith("beam"):
        yield from _beams(stack)
    elif mode not in OWN_MODES:
        message = f"{mode} is not part of transformers any more; the code it is loaded from decides what is applied"
        yield Finding("mode-elsewhere", message, "error")


def refused(error: ValueError) -> Finding:
    """The finding for a call that `generate` refuses."""
    return Finding("generate-refuses", str(error), "error")


def _temperatures(stack: Sequence[StackEntry]) -> Iterator[Finding]:
    setting = [entry for entry in stack if entry.temperature is not None or entry.varies]
    if len(setting) > 1:
        product = " x ".join(f"{_value(entry)} ({entry.origin})" for entry in setting)
        message = f"temperatures multiply: {product}; pass temperature=1.0 to generate() to keep yours alone"
        yield Finding("temperatures-multiply", message, "warning")
    elif setting and setting[0].origin == "checkpoint":
        message = f"temperature={_value(setting[0])} comes from the checkpoint's generation_config, not from this call"
        yield Finding("temperature-from-checkpoint", message, "info")
    for entry in setting:
        if entry.temperature is not None and not math.isfinite(entry.temperature):
            message = f"temperature={entry.temperature} turns masked scores into nan; it must be finite and above 0"
            yield Finding("temperature-not-finite", message, "error")


def _unasked(stack: Sequence[StackEntry]) -> Iterator[Finding]:
    """Processors that nobody in this call asked for, but the temperature, which `_temperatures` knows."""
    for entry in stack:
        for name, value in entry.parameters.items():
            known = SAMPLING_FIELDS.get(name)
            if known is None or known.effect == "temperature" or entry.origin in ("yours", "call", "config"):
                continue
            truncates = known.effect == "truncation"
            off = f"pass {name}={known.off[0]}" + (" to sample from every token" if truncates else " to leave it out")
            severity: Severity = "info" if known.effect == "clean-up" else "warning"
            if entry.origin == "library default":
                yield Finding(f"{known.effect}-by-default", f"{name}={value} is on unasked; {off}", severity)
            else:
                message = f"{name}={value} comes from the checkpoint's generation_config; {off}"
                yield Finding(f"{known.effect}-from-checkpoint", message, severity)


def dropped_values(config: Any, asked: Mapping[str, Asked]) -> dict[str, Any]:
    """Fields that the caller sets and that only sampling looks at, for a call that does not sample."""
    return {
        name: value
        for name, value in values_on(config).items()
        if SAMPLING_FIELDS[name].only_sampling and asked[name].origin in ("call", "config")
    }


def _without_sampling(dropped: Mapping[str, Any], mode: str) -> Iterator[Finding]:
    for name, value in dropped.items():
        message = f"{name}={value} is dropped: {mode} does not sample; pass do_sample=True"
        yield Finding(f"{SAMPLING_FIELDS[name].effect}-without-sampling", message, "warning")


def _after_the_draw(stack: Sequence[StackEntry]) -> Iterator[Finding]:
    draws = [position for position, entry in enumerate(stack) if _draws(entry.processor)]
    late = [entry.name for entry in stack[draws[0] + 1 :]] if draws else []
    if late:
        message = f"{', '.join(late)} run after {stack[draws[0]].name} has drawn the token, so they change nothing"
        yield Finding("after-the-draw", message, "warning")


def _greedy(processors: Sequence[Any]) -> Iterator[Finding]:
    if not any(map(_draws, processors)):
        for name in map(_name, filter(_sets_temperature, processors)):
            message = f"{name} cannot change a token: greedy decoding takes the most probable one; pass do_sample=True"
            yield Finding("policy-without-sampling", message, "warning")


def _beams(stack: Sequence[StackEntry]) -> Iterator[Finding]:
    normalised = any(entry.name == "LogitNormalization" for entry in stack)
    for entry in stack:
        if _draws(entry.processor):
            message = f"{entry.name} is not valid under beam search: it leaves one token where beams compare several"
            yield Finding("draw-under-beams", message, "error")
        elif isinstance(entry.processor, PolicyLogitsWarper) and not entry.processor.only_scales:
            message = f"{entry.name} does more than scale the log-probabilities that beams add up: made for sampling"
            yield Finding("policy-under-beams", message, "warning")
        elif (entry.temperature is not None or entry.varies) and not normalised:
            message = f"{entry.name} also rescales the scores of whole beams; pass renormalize_logits=True to avoid it"
            yield Finding("policy-under-beams", message, "warning")


def _continuous_batching(processors: Sequence[Any]) -> Iterator[Finding]:
    for name in map(_name, processors):
        message = (
            f"{name} is dropped: continuous batching takes no processors from the call; use temp_processors.with_policy"
        )
        yield Finding("policy-under-continuous-batching", message, "error")


def _value(entry: StackEntry) -> str:
    return entry.name if entry.varies else f"{entry.temperature:g}"


def _sets_temperature(processor: Any) -> bool:
    return getattr(processor, "temperature", None) is not None


def _draws(processor: Any) -> bool:
    return isinstance(processor, SeededSampling)


def _name(processor: Any) -> str:
    return type(processor).__name__
