"""Fields of a request to llama.cpp's server (`/completion`, `/v1/chat/completions`).

The server applies the samplers that `samplers` lists, in that order, each with its fields; a field that is left out has the
default of the server. `dynatemp_range` and `dynatemp_exponent` are `range` and `exponent` of `kind: dynamic`: both compute
T = lo + (hi - lo) (H / ln n)^exponent, lo = max(0, T - range), hi = T + range, over the tokens that the samplers before it left.

Source: tools/server/README.md and src/llama-sampler.cpp of ggml-org/llama.cpp, read in 2026.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from temp_processors.exchange.reading import number, on, unknown, whole
from temp_processors.exchange.result import Exported, Imported
from temp_processors.exchange.steps import Step, one, policy_of

NAME = "llama.cpp"
SAMPLERS = ("penalties", "dry", "top_n_sigma", "top_k", "typ_p", "top_p", "min_p", "xtc", "temperature")
"""The server's default order."""
LETTERS = dict(zip("edskypmxtia", (*SAMPLERS, "infill", "adaptive_p"), strict=True))
"""`samplers` as a text: one letter a sampler."""
KIND = {"typ_p": "typical_p"}
SAMPLER = {"typical_p": "typ_p", "fixed": "temperature", "dynamic": "temperature", "repetition_penalty": "penalties"}
BESIDE = (
    "cache_prompt",
    "id_slot",
    "logprobs",
    "max_tokens",
    "messages",
    "model",
    "n",
    "n_indent",
    "n_keep",
    "n_predict",
    "n_probs",
    "post_sampling_probs",
    "prompt",
    "return_tokens",
    "seed",
    "stop",
    "stream",
    "t_max_predict_ms",
    "timings_per_token",
    "top_logprobs",
    "user",
)
OFF: dict[str, tuple[Any, ...]] = {
    "mirostat": (0,),
    "grammar": ("",),
    "json_schema": ({},),
    "response_format": ({"type": "text"},),
    "ignore_eos": (False,),
    "min_keep": (0, 1),
}
"""Fields that act whatever `samplers` says, with the values with which they do not."""
OWN = (
    "samplers",
    "temperature",
    "dynatemp_range",
    "dynatemp_exponent",
    "top_k",
    "top_p",
    "min_p",
    "typical_p",
    "top_n_sigma",
    "xtc_probability",
    "xtc_threshold",
    "repeat_penalty",
    "repeat_last_n",
    "presence_penalty",
    "frequency_penalty",
    "logit_bias",
    "dry_multiplier",
    "dry_base",
    "dry_allowed_length",
    "dry_penalty_last_n",
    "dry_sequence_breakers",
    "mirostat_tau",
    "mirostat_eta",
    "adaptive_target",
    "adaptive_decay",
)


def write(steps: list[Step], policy: Mapping[str, Any]) -> Exported:
    """The fields of a request that does these steps; samplers that it does not list do not act."""
    samplers: list[str] = []
    fields: dict[str, Any] = {}
    problems: list[str] = []
    for place, step in enumerate(steps):
        if step.kind == "suppress_tokens" and all(before.kind == "repetition_penalty" for before in steps[:place]):
            fields["logit_bias"] = [[token, False] for token in step.value]
            continue
        found = _fields_of(step)
        sampler = SAMPLER.get(step.kind, step.kind)
        if found is None:
            problems.append(f"{step} has no counterpart in {NAME}")
        elif sampler in samplers:
            problems.append(f"{step} is the second {sampler}: {NAME} has one set of its parameters")
        else:
            samplers.append(sampler)
            fields.update(found)
    return Exported({"samplers": samplers, **fields}, tuple(problems))


def _fields_of(step: Step) -> dict[str, Any] | None:
    """The fields of one sampler; None where there is none."""
    if step.kind == "fixed":
        if isinstance(step.value, (list, tuple)):
            return None
        return {"temperature": step.value, "dynatemp_range": 0.0, "dynatemp_exponent": 1.0}
    if step.kind == "dynamic":
        names = {"temperature": "temperature", "range": "dynatemp_range", "exponent": "dynatemp_exponent"}
        return {names[name]: value for name, value in step.fields.items()}
    if step.kind == "xtc":
        return {f"xtc_{name}": value for name, value in step.fields.items()}
    if step.kind == "repetition_penalty":
        return {"repeat_penalty": step.value, "repeat_last_n": -1, "presence_penalty": 0.0, "frequency_penalty": 0.0}
    return {step.kind: step.value} if step.kind in ("top_n_sigma", "top_k", "top_p", "min_p", "typical_p") else None


def read(fields: Mapping[str, Any]) -> Imported:
    """The policy of a request's fields, with the defaults of the server for what is left out."""
    problems = [
        *unknown(fields, (*OWN, *OFF, *BESIDE), NAME),
        *on(fields, OFF, "has no counterpart in a policy"),
    ]
    steps = _biased(fields.get("logit_bias"), problems)
    samplers = _samplers(fields.get("samplers"))
    if fields.get("mirostat"):
        samplers = [name for name in samplers if name == "temperature"]  # all that the server leaves in the chain
    for sampler in samplers:
        steps += _steps_of(sampler, fields, problems)
    return Imported(policy_of(steps), tuple(problems), tuple(name for name in fields if name in BESIDE))


def _samplers(given: Any) -> list[str]:
    if given is None:
        return list(SAMPLERS)
    named = [LETTERS.get(letter, letter) for letter in given] if isinstance(given, str) else given
    known = tuple(LETTERS.values())
    if not isinstance(named, (list, tuple)) or any(name not in known for name in named):
        raise ValueError(f"samplers has to list some of {', '.join(known)}, or their letters, but is {given!r}")
    return list(named)


def _biased(given: Any, problems: list[str]) -> list[Step]:
    """Tokens with the bias `false` are ruled out; any other bias has no counterpart."""
    if not given:
        return []
    pairs = list(given.items()) if isinstance(given, Mapping) else given
    if not isinstance(pairs, list) or any(not isinstance(pair, (list, tuple)) or len(pair) != 2 for pair in pairs):
        raise ValueError(f"logit_bias has to be a list of [token, bias], but is {given!r}")
    ruled_out = [pair[0] for pair in pairs if pair[1] is False and isinstance(pair[0], int)]
    others = [list(pair) for pair in pairs if not (pair[1] is False and isinstance(pair[0], int))]
    if others:
        problems.append(f"logit_bias ({others!r}): has no counterpart in a policy, unless it is [token id, false]")
    return [one("suppress_tokens", ruled_out)] if ruled_out else []


def _steps_of(sampler: str, fields: Mapping[str, Any], problems: list[str]) -> list[Step]:
    """The step that a sampler takes with these fields; none where they switch it off."""
    if sampler == "temperature":
        return _tempered(fields)
    if sampler == "penalties":
        return _penalised(fields, problems)
    if sampler == "xtc":
        chance, threshold = number(fields, "xtc_probability", 0.0), number(fields, "xtc_threshold", 0.1)
        idle = chance <= 0 or threshold > 0.5
        return [] if idle else [Step("xtc", {"probability": chance, "threshold": threshold})]
    if sampler in ("dry", "adaptive_p"):
        name, off = ("dry_multiplier", 0.0) if sampler == "dry" else ("adaptive_target", -1.0)
        value = number(fields, name, off)
        if value != 0.0 if sampler == "dry" else value >= 0.0:
            problems.append(f"{name} ({value!r}): the sampler {sampler} has no counterpart in a policy")
        return []
    if sampler == "infill":
        problems.append("samplers: infill has no counterpart in a policy")
        return []
    return _cut(KIND.get(sampler, sampler), fields)


def _cut(kind: str, fields: Mapping[str, Any]) -> list[Step]:
    defaults = {"top_p": 0.95, "min_p": 0.05, "typical_p": 1.0, "top_n_sigma": -1.0}
    value = whole(fields, kind, 40) if kind == "top_k" else number(fields, kind, defaults[kind])
    off = value >= 1.0 if kind in ("top_p", "typical_p") else value <= 0
    return [] if off else [one(kind, value)]


def _tempered(fields: Mapping[str, Any]) -> list[Step]:
    temperature, half = number(fields, "temperature", 0.8), number(fields, "dynatemp_range", 0.0)
    if half > 0:
        exponent = number(fields, "dynatemp_exponent", 1.0)
        return [Step("dynamic", {"temperature": temperature, "range": half, "exponent": exponent})]
    temperature = max(temperature, 0.0)  # below 0 is greedy too
    return [] if temperature == 1.0 else [one("fixed", temperature)]


def _penalised(fields: Mapping[str, Any], problems: list[str]) -> list[Step]:
    reach, value = whole(fields, "repeat_last_n", 64), number(fields, "repeat_penalty", 1.0)
    if reach == 0:
        return []
    for name in ("presence_penalty", "frequency_penalty"):
        if given := number(fields, name, 0.0):
            problems.append(f"{name} ({given!r}): has no counterpart in a policy")
    if value == 1.0:
        return []
    if reach > 0:
        problems.append(
            f"repeat_penalty ({value!r}): counts the last {reach} tokens (repeat_last_n), in a policy all of them (-1)"
        )
        return []
    return [one("repetition_penalty", value)]
