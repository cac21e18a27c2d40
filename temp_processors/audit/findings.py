"""What can be wrong with a sampler stack: one function for each finding of `audit`."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from temp_processors.audit.stack import StackEntry
from temp_processors.policies.base import PolicyLogitsWarper
from temp_processors.sampling import SeededSampling

TRUNCATION = frozenset({"top_h", "top_k", "top_p", "min_p", "typical_p", "epsilon_cutoff", "eta_cutoff"})
OFF = {"top_k": "0", "top_p": "1.0", "typical_p": "1.0", "epsilon_cutoff": "0.0", "eta_cutoff": "0.0"}
OWN_MODES = frozenset({"greedy_search", "sample", "beam_search", "beam_sample", "assisted_generation"})


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
    severity: Literal["error", "warning", "info"]


def find_problems(stack: Sequence[StackEntry], mode: str, processors: Sequence[Any]) -> Iterator[Finding]:
    """Every finding about a stack of `StackEntry`, in a fixed order; `mode` "paged" means continuous batching."""
    yield from _temperatures(stack)
    yield from _truncation(stack)
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


def _truncation(stack: Sequence[StackEntry]) -> Iterator[Finding]:
    for entry in stack:
        for name in TRUNCATION & set(entry.parameters):
            shown = f"{name}={entry.parameters[name]}"
            off = f"pass {name}={OFF.get(name, 'None')} to sample from every token"
            if entry.origin == "library default":
                message = f"{shown} is on unasked; {off}"
                yield Finding("truncation-by-default", message, "warning")
            elif entry.origin == "checkpoint":
                message = f"{shown} comes from the checkpoint's generation_config; {off}"
                yield Finding("truncation-from-checkpoint", message, "warning")


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
            f"{name} is dropped: continuous batching takes no processors from the call; use continuous.with_policy"
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
