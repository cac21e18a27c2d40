"""Fields of transformers' `GenerationConfig`: what a `generation_config.json` holds, and the keywords of `generate`.

`generate` samples with `do_sample=True` alone: penalties, temperature, then top-h, top-k, top-p, min-p, typical p, epsilon and eta. Without
it, it is greedy, and what `temperature` and the cuts say has no effect.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from temp_processors.audit.neutral import SAMPLING_FIELDS, values_on
from temp_processors.exchange.reading import on, unknown
from temp_processors.exchange.result import Exported, Imported
from temp_processors.exchange.steps import CUTS, FIELD, PENALTIES, Step, fitted, one, policy_of, steps_of
from temp_processors.policies.kinds import KINDS

NAME = "GenerationConfig"
KEY = "temperature_policy"
ORDER = (*PENALTIES, "fixed", *CUTS)
OFF: dict[str, Any] = {"temperature": 1.0, "top_k": 0, "top_p": 1.0, "min_p": 0.0, "typical_p": 1.0}
"""Given in full where `generate` samples, since a checkpoint may set them and the library's top-k is 50."""
DECODING: dict[str, tuple[Any, ...]] = {
    "num_beams": (1,),
    "num_beam_groups": (1,),
    "diversity_penalty": (0.0,),
    "penalty_alpha": (0.0,),
    "dola_layers": (),
    "constraints": (),
    "force_words_ids": (),
}
"""Ways to decode that are no sampling, with the values with which `generate` does without."""


def write(steps: list[Step], policy: Mapping[str, Any]) -> Exported:
    """Fields that `generate` and `GenerationConfig` take; `do_sample` is False for greedy."""
    own = fitted(steps, ORDER, NAME)
    values = {FIELD.get(step.kind, step.kind): step.value for step in own.steps}
    problems = list(own.not_carried)
    if values.get("temperature") == 0:
        kept = {
            name: value for name, value in values.items() if name in PENALTIES
        }  # cuts that fit leave the best token
        return Exported({"do_sample": False, **kept}, _with_hint(problems))
    return Exported({"do_sample": True, **OFF, "repetition_penalty": 1.0, **values}, _with_hint(problems))


def _with_hint(problems: list[str]) -> tuple[str, ...]:
    hint = "the recipe of custom_generate_path() carries every policy to `generate`"
    return tuple([*problems[:-1], f"{problems[-1]}; {hint}"] if problems else ())


def read(fields: Mapping[str, Any]) -> Imported:
    """The policy of these fields, with the library's defaults for what is left out (top-k 50)."""
    from transformers import GenerationConfig

    known = {*vars(GenerationConfig()), *DECODING, *SAMPLING_FIELDS, KEY}
    problems = [*unknown(fields, known, NAME), *on(fields, DECODING, "another way to decode, no policy")]
    acting = values_on(fields)
    ours = KINDS["generate"].model_fields
    if fields.get(KEY) is not None:
        return _carried(fields, acting, problems)
    problems += [
        f"{name} ({value!r}): has no counterpart in a policy" for name, value in acting.items() if name not in ours
    ]
    beside = tuple(
        name for name in fields if name in known - {*DECODING, *SAMPLING_FIELDS, "do_sample"} or fields[name] is None
    )
    if not fields.get("do_sample"):
        held = {name: acting[name] for name in PENALTIES if name in acting}
        idle = tuple(name for name in acting if SAMPLING_FIELDS[name].only_sampling)
        steps = [one(name, value) for name, value in held.items()]
        policy = policy_of([*steps, one("fixed", 0.0)])
        return Imported(policy, tuple(problems), (*beside, *idle), _without_sampling(fields, idle))
    given = {name: value for name, value in fields.items() if name in ours and name != "kind" and value is not None}
    return Imported({"kind": "generate", **given}, tuple(problems), beside)


def _without_sampling(fields: Mapping[str, Any], idle: Sequence[str]) -> tuple[str, ...]:
    """Why the policy is greedy, where the fields do not say so themselves or hold others that act on sampling alone."""
    said = fields.get("do_sample") is not None
    if said and not idle:
        return ()
    why = "do_sample is false" if said else "do_sample is not set, and transformers does not sample by default"
    without = f" and {', '.join(idle)} without effect" if idle else ""
    return (f"{why}: this is greedy (temperature 0){without}; to sample, set do_sample: true",)


def _carried(fields: Mapping[str, Any], acting: Mapping[str, Any], problems: list[str]) -> Imported:
    """The policy of the recipe; what acts beside it would act after it, and is no part of it."""
    steps_of(fields[KEY])
    problems += [f"{name} ({value!r}): acts beside {KEY}" for name, value in acting.items()]
    return Imported(dict(fields[KEY]), tuple(problems), tuple(name for name in fields if name not in (KEY, *acting)))
