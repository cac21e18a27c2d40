"""Arguments of vLLM's `SamplingParams`, which a request to its server takes by the same names.

vLLM applies the repetition penalty, the temperature, min-p, then top-k and top-p. A policy in that order becomes those
arguments. Every other policy travels whole in `extra_args`, for the processor of `temp_processors.vllm`, and all of them are at the
values that change nothing; a server takes it as `vllm_xargs`, the policy as JSON text.

Source: `SamplingParams` and `Sampler` of vLLM (v1), read in 2026.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from temp_processors.exchange.reading import number, on, unknown, whole
from temp_processors.exchange.result import Exported, Imported
from temp_processors.exchange.steps import Step, fitted, one, policy_of, steps_of
from temp_processors.serving.rows import KEY, PolicyError, policy_of_request

NAME = "vLLM"
ORDER = ("repetition_penalty", "fixed", "min_p", "top_k", "top_p")
COLDEST = 0.01
"""Temperatures between 0 and this one are raised to it by vLLM."""
OFF: dict[str, Any] = {
    "temperature": 1.0,
    "top_p": 1.0,
    "top_k": 0,
    "min_p": 0.0,
    "repetition_penalty": 1.0,
    "presence_penalty": 0.0,
    "frequency_penalty": 0.0,
}
"""Given in full, since a server fills what is left out with the checkpoint's generation_config."""
NO_COUNTERPART: dict[str, tuple[Any, ...]] = {
    "presence_penalty": (0,),
    "frequency_penalty": (0,),
    "logit_bias": ({},),
    "allowed_token_ids": ([],),
    "bad_words": ([],),
    "min_tokens": (0,),
    "structured_outputs": (),
    "response_format": ({"type": "text"},),
    "thinking_token_budget": (-1,),
    "use_beam_search": (False,),
    "trace_decode_token_ids": (),
}
BESIDE = (
    "detokenize",
    "flat_logprobs",
    "ignore_eos",
    "include_stop_str_in_output",
    "logprob_token_ids",
    "logprobs",
    "max_completion_tokens",
    "max_tokens",
    "messages",
    "model",
    "n",
    "output_kind",
    "prompt",
    "prompt_logprobs",
    "repetition_detection",
    "return_token_ids",
    "seed",
    "skip_special_tokens",
    "spaces_between_special_tokens",
    "stop",
    "stop_token_ids",
    "stream",
    "stream_interval",
    "truncate_prompt_tokens",
)


def write(steps: list[Step], policy: Mapping[str, Any]) -> Exported:
    """Arguments of `SamplingParams`; `extra_args` with the policy where they cannot say it."""
    own = fitted(steps, ORDER, NAME)
    too_cold = any(step.kind == "fixed" and 0 < step.value < COLDEST for step in own.steps)
    if not own.not_carried and not too_cold:
        return Exported({**OFF, **{_argument(step): step.value for step in own.steps}})
    try:
        policy_of_request(dict(policy))
    except PolicyError as error:
        return Exported(dict(OFF), tuple(str(error).splitlines()))
    return Exported({**OFF, "extra_args": {KEY: dict(policy)}})


def _argument(step: Step) -> str:
    return "temperature" if step.kind == "fixed" else step.kind


def read(fields: Mapping[str, Any]) -> Imported:
    """The policy of these arguments, the one that travels in `extra_args` or `vllm_xargs` among them."""
    own = ("extra_args", "vllm_xargs", *OFF)
    problems = [
        *unknown(fields, (*own, *NO_COUNTERPART, *BESIDE), NAME),
        *on(fields, NO_COUNTERPART, "has no counterpart in a policy"),
    ]
    penalty, temperature = number(fields, "repetition_penalty", 1.0), number(fields, "temperature", 1.0)
    if temperature < 0:
        raise ValueError(f"temperature has to be a number >= 0 (0 is greedy), but is {temperature!r}")
    steps = [] if penalty == 1.0 else [one("repetition_penalty", penalty)]
    carried = _carried(fields, problems)
    if carried is not None and temperature not in (0, 1):
        raise ValueError(f"temperature has to be 1 (or 0) beside a policy in {KEY}, but is {temperature!r}")
    if temperature == 0:
        return Imported(policy_of([*steps, one("fixed", 0.0)]), tuple(problems), _beside(fields))
    if temperature != 1.0:
        steps.append(one("fixed", max(temperature, COLDEST)))
    cuts = (("min_p", 0.0), ("top_k", 0), ("top_p", 1.0))
    before, *after = (_cut(name, off, fields) for name, off in cuts)
    alone = not (steps or before or any(after))
    if carried is not None and alone:
        return Imported(dict(carried), tuple(problems), _beside(fields))
    inside = [] if carried is None else steps_of(carried)
    steps += [*before, *inside, *(step for cut in after for step in cut)]
    return Imported(policy_of(steps), tuple(problems), _beside(fields))


def _beside(fields: Mapping[str, Any]) -> tuple[str, ...]:
    return tuple(name for name in fields if name in BESIDE)


def _cut(name: str, off: float, fields: Mapping[str, Any]) -> list[Step]:
    value = whole(fields, name, 0) if name == "top_k" else number(fields, name, off)
    return [] if value == off or (name == "top_k" and value <= 0) else [one(name, value)]


def _carried(fields: Mapping[str, Any], problems: list[str]) -> Mapping[str, Any] | None:
    """The policy of our processor; whatever else travels there is another processor's."""
    found = None
    for name in ("extra_args", "vllm_xargs"):
        held = fields.get(name) or {}
        if not isinstance(held, Mapping):
            raise ValueError(f"{name} has to be a mapping, but is {held!r}")
        problems += [f"{name}.{key}: of another processor" for key in held if key != KEY]
        if KEY in held:
            policy_of_request(held[KEY])
            found = json.loads(held[KEY]) if isinstance(held[KEY], str) else held[KEY]
    return found
