"""The sampler stack that `generate()` will really apply, where each value comes from, and what is wrong with it.

transformers runs your processors first and its own temperature, top-k, top-p and min-p after them, with values taken
from the call, from the `GenerationConfig` you pass, from the checkpoint's `generation_config.json`, or from its own
defaults (`top_k=50`). Nothing is printed when two temperatures multiply. `audit` asks `generate` itself for the stack:
it makes the same call with a decoding loop that records the processors and generates nothing.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

from transformers import GenerationConfig, LogitsProcessor

from temp_processors.audit.findings import Finding, dropped_values, find_problems, refused
from temp_processors.audit.neutral import SAMPLING_FIELDS, off_values
from temp_processors.audit.prompt_length import prompt_lengths
from temp_processors.audit.stack import StackEntry, asked_for, describe, record
from temp_processors.inert import shown
from temp_processors.sampling import SeededSampling


@dataclass(frozen=True)
class Audit:
    """What one call of `generate` applies to the scores, in order, and the findings about it.

    Args:
        mode: transformers' name of the decoding mode ("sample", "greedy_search", "beam_search", ...).
        stack: The processors in the order in which they act.
        temperature: The effective temperature: the product over the stack; None where a policy makes it vary.
        effective: The same in words, also where it varies.
        findings: What a person should know before trusting the run; empty when nothing is odd.
    """

    mode: str
    stack: tuple[StackEntry, ...]
    temperature: float | None
    effective: str
    findings: tuple[Finding, ...]

    @property
    def codes(self) -> tuple[str, ...]:
        """The codes of the findings, in order."""
        return tuple(finding.code for finding in self.findings)

    def to_dict(self) -> dict[str, Any]:
        """The audit as plain values that `json.dumps` takes."""
        stack = [{"name": e.name, "parameters": e.parameters, "origin": e.origin} for e in self.stack]
        findings = [asdict(finding) for finding in self.findings]
        return {"mode": self.mode, "stack": stack, "effective_temperature": self.effective, "findings": findings}

    def __str__(self) -> str:
        lines = [f"mode: {self.mode}", "stack:"]
        lines += [f"  {number}. {entry}" for number, entry in enumerate(self.stack, 1)] or ["  (nothing)"]
        lines.append(f"effective temperature: {self.effective}")
        return "\n".join(lines + [f"{f.severity}: {f.code}: {f.message}" for f in self.findings])


def audit(
    model: Any,
    generation_config: GenerationConfig | None = None,
    processors: Sequence[LogitsProcessor] = (),
    **generate_kwargs: Any,
) -> Audit:
    """The stack that `model.generate(generation_config=..., logits_processor=processors, **generate_kwargs)` applies.

    No token is generated and a streamer gets none; an encoder-decoder model runs its encoder once. Where the arguments
    carry no input, one token stands in for the prompt. Values that only the model's own forward pass would refuse are
    not seen.

    Args:
        model: A transformers model with `generate`.
        generation_config: As for `generate`.
        processors: As `logits_processor` of `generate`.
        generate_kwargs: Every other argument of the call. A pipeline adds arguments of its own, which belong here too:
            `pipeline("text-generation")` says `do_sample=True, temperature=0.7` where the call and the model do not.

    Raises:
        TypeError: `model` is none, such as the name of one, or `processors` is no list, such as a single one.
        ValueError: For `custom_generate`, whose code replaces the stack. What `generate` refuses with a ValueError does
            not raise here: it is the finding "generate-refuses".

    Example:
        >>> from transformers import LlamaConfig, LlamaForCausalLM
        >>> config = LlamaConfig(vocab_size=32, hidden_size=8, num_hidden_layers=1, num_attention_heads=1)
        >>> print(audit(LlamaForCausalLM(config), do_sample=True, temperature=0.5))
        mode: sample
        stack:
          1. TemperatureLogitsWarper(temperature=0.5)  [call]
          2. TopKLogitsWarper(top_k=50)  [library default]
        effective temperature: 0.5
        warning: truncation-by-default: top_k=50 is on unasked; pass top_k=0 to sample from every token
    """
    _check_types(model, processors)
    if generate_kwargs.get("custom_generate") is not None:
        raise ValueError("custom_generate runs its own decoding code, so there is no stack of generate() to audit")
    arguments = dict(generate_kwargs)
    paged = arguments.get("cache_implementation") == "paged"
    if paged:
        del arguments["cache_implementation"]
    try:
        seen = record(model, generation_config, [] if paged else list(processors), arguments)
    except ValueError as error:
        return Audit("refused", (), None, "none: generate() refuses this call", (refused(error),))
    asked = {name: asked_for(name, generate_kwargs, generation_config, model) for name in SAMPLING_FIELDS}
    stack = tuple(describe(processor, processors, seen.config, asked) for processor in seen.applied)
    temperature, effective = _effective(stack, seen.mode)
    dropped = {} if seen.config.do_sample else dropped_values(seen.config, asked)
    findings = list(find_problems(stack, "paged" if paged else seen.mode, list(processors), dropped))
    if not paged:
        findings += prompt_lengths(stack, seen.rows, seen.prompt)
    return Audit("continuous_batching" if paged else seen.mode, stack, temperature, effective, tuple(findings))


def _check_types(model: Any, processors: Any) -> None:
    if not callable(getattr(model, "generate", None)):
        raise TypeError(f"`model` has to be a model of transformers with `generate`, but is {shown(model)}")
    if not isinstance(processors, Sequence) or isinstance(processors, str):
        raise TypeError(
            f"`processors` has to be a list, as `logits_processor` of generate(), but is {shown(processors)}"
        )


def plain_sampling_kwargs() -> dict[str, Any]:
    """Arguments for `generate` that sample from the model itself: every built-in processor off (see `SAMPLING_FIELDS`).

    They override the checkpoint, its suppressed and forced tokens and its shortest length included: what acts on the
    scores is what you pass in `logits_processor`, alone. To keep one, write it after them:
    `{**plain_sampling_kwargs(), "min_new_tokens": 8}`.

    Example:
        >>> plain_sampling_kwargs()["top_k"], plain_sampling_kwargs()["temperature"]
        (0, 1.0)
    """
    return {"do_sample": True, "num_beams": 1, **off_values()}


def _effective(stack: Sequence[StackEntry], mode: str) -> tuple[float | None, str]:
    constants = [entry.temperature for entry in stack if entry.temperature is not None]
    product = math.prod(constants)
    varying = [entry.name for entry in stack if entry.varies]
    value = None if varying else product
    text = " x ".join(([f"{product:g}"] if constants or not varying else []) + [f"{name} (varies)" for name in varying])
    if mode == "greedy_search" and not any(isinstance(entry.processor, SeededSampling) for entry in stack):
        text += ", without effect: the most probable token is taken"
    return value, text
