"""What `generate()` does for a checkpoint when it is told nothing, as a policy: `kind: checkpoint`.

A generation_config that samples is a policy of kind `generate` with its values, and the library's defaults for what it leaves out
(`top_k=50` among them). One that does not sample is greedy, after its penalties. What no policy can carry is refused by name.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import pydantic
from transformers import GenerationConfig
from transformers.generation import GenerationMode

from temp_processors.audit.findings import Finding
from temp_processors.audit.neutral import SAMPLING_FIELDS, values_on
from temp_processors.audit.stack import plain
from temp_processors.policies.checkpoint import CHECKPOINT
from temp_processors.policies.kinds import KINDS

CARRIED = tuple(name for name in KINDS["generate"].model_fields if name in SAMPLING_FIELDS)
"""Fields of a generation_config that `kind: generate` has too."""
GREEDY = {"kind": "fixed", "temperature": 0}


class CheckpointError(ValueError):
    """A generation_config that no policy can stand for; the message names every field and value."""


def checkpoint_policy(source: Any) -> dict[str, Any]:
    """The policy that a checkpoint asks for, as data for `build_policy` and for configurations.

    Args:
        source: A model, or a `GenerationConfig`.

    Raises:
        CheckpointError: It says something that no policy can carry (beams, forced tokens, a watermark...), or that `generate`
            refuses.

    Example:
        >>> checkpoint_policy(GenerationConfig(do_sample=True, temperature=0.6, top_p=0.9))
        {'kind': 'checkpoint', 'policy': {'kind': 'generate', 'temperature': 0.6, 'top_p': 0.9}}
        >>> checkpoint_policy(GenerationConfig(repetition_penalty=1.1))["policy"]["steps"][1]
        {'kind': 'fixed', 'temperature': 0}
    """
    config = _generation_config(source)
    mode = config.get_generation_mode()
    _refuse_what_is_not_carried(config, mode)
    values = {name: plain(getattr(config, name)) for name in CARRIED if getattr(config, name, None) is not None}
    if mode == GenerationMode.SAMPLE:
        return _checked({"kind": "generate", **values})
    kept = {name: value for name, value in values.items() if name in values_on(config)}
    penalties = {name: value for name, value in kept.items() if not SAMPLING_FIELDS[name].only_sampling}
    if not penalties:
        return _checked(GREEDY)
    return _checked({"kind": "chain", "steps": [{"kind": "generate", "top_k": 0, **penalties}, GREEDY]})


def checkpoint_findings(source: Any) -> list[Finding]:
    """What a person should know about `checkpoint_policy(source)`, which can be built."""
    config = _generation_config(source)
    on = values_on(config)
    found = [
        Finding(
            "clean-up-left-out",
            f"{name}={value} of the checkpoint is left out: it changes no valid distribution",
            "info",
        )
        for name, value in on.items()
        if SAMPLING_FIELDS[name].effect == "clean-up"
    ]
    if config.get_generation_mode() == GenerationMode.SAMPLE:
        if config.top_k is None:
            message = "top_k=50 is not in the checkpoint's generation_config: it is generate()'s own default"
            found.append(Finding("truncation-by-default", message, "info"))
        return found
    dropped = [f"{name}={plain(value)}" for name, value in on.items() if SAMPLING_FIELDS[name].only_sampling]
    without = f", and {', '.join(dropped)} there have no effect" if dropped else ""
    message = f"greedy: the checkpoint's generation_config does not sample (do_sample={config.do_sample}){without}"
    return [*found, Finding("greedy-checkpoint", f"{message}; all texts of a prompt are the same", "warning")]


def with_checkpoint(data: Any, source: Any) -> Any:
    """The data of a policy, or a list of such, with every `kind: checkpoint` filled in from a model, at any depth.

    Args:
        data: Of a policy, as in a configuration. A `checkpoint` whose `policy` is written out already is compared.
        source: A model, or a `GenerationConfig`.

    Raises:
        CheckpointError: As `checkpoint_policy`, and for a `policy` that is not what the model says.

    Example:
        >>> with_checkpoint({"kind": "checkpoint"}, GenerationConfig(do_sample=True, top_k=64))
        {'kind': 'checkpoint', 'policy': {'kind': 'generate', 'top_k': 64}}
    """
    if isinstance(data, list | tuple):
        return [with_checkpoint(item, source) for item in data]
    if not isinstance(data, Mapping):
        return data
    if data.get("kind") != CHECKPOINT:
        return {name: with_checkpoint(value, source) for name, value in data.items()}
    ours = checkpoint_policy(source)
    written = data.get("policy")
    if written is not None and _normal(written) != _normal(ours["policy"]):
        raise CheckpointError(
            f"`policy` is not what the model's generation_config says, {described(ours['policy'])}: leave it out"
        )
    return {**data, **ours}


def described(policy: Mapping[str, Any]) -> str:
    """A policy's data on one line, without the parameters that are not in use.

    Example:
        >>> described({"kind": "chain", "steps": [{"kind": "top_k", "top_k": 5}, {"kind": "fixed", "temperature": 0.5}]})
        'chain(steps=[top_k(top_k=5), fixed(temperature=0.5)])'
    """
    if policy.get("kind") == CHECKPOINT and policy.get("policy") is not None:
        return f"{CHECKPOINT}: {described(policy['policy'])}"
    shown = [
        f"{name}={_shown(value)}" for name, value in policy.items() if name != "kind" and _in_use(policy, name, value)
    ]
    return f"{policy['kind']}({', '.join(shown)})"


def _in_use(policy: Mapping[str, Any], name: str, value: Any) -> bool:
    if name in ("temperature", "top_k"):  # 0 and 1 say something there
        return value is not None
    off = SAMPLING_FIELDS[name].off if policy["kind"] == "generate" and name in SAMPLING_FIELDS else ()
    return value not in (None, [], (), 0, *off)


def _shown(value: Any) -> str:
    if isinstance(value, list | tuple):
        return f"[{', '.join(map(_shown, value))}]"
    return described(value) if isinstance(value, Mapping) and "kind" in value else str(value)


def _generation_config(source: Any) -> GenerationConfig:
    config = getattr(source, "generation_config", source)
    if not isinstance(config, GenerationConfig):
        raise TypeError(f"`source` has to be a model or a GenerationConfig, but is a {type(source).__name__}")
    return config


def _refuse_what_is_not_carried(config: GenerationConfig, mode: GenerationMode) -> None:
    found = list(_not_carried(config, mode))
    if found:
        raise CheckpointError(
            f"the model's generation_config sets {', '.join(found)}, which no policy can carry: leave this policy out, or write "
            "the rest of its setting as `kind: generate`"
        )


def _not_carried(config: GenerationConfig, mode: GenerationMode) -> Iterator[str]:
    if mode not in (GenerationMode.SAMPLE, GenerationMode.GREEDY_SEARCH):
        beams = f" (num_beams={config.num_beams})" if (config.num_beams or 1) > 1 else ""
        yield f"the decoding mode {mode.value}{beams}"
    for name, value in values_on(config).items():
        if name not in CARRIED and SAMPLING_FIELDS[name].effect != "clean-up":
            yield f"{name}={plain(value)}"


def _checked(policy: dict[str, Any]) -> dict[str, Any]:
    """The data of the checkpoint's policy, if its values are in range."""
    try:
        _normal(policy)
    except pydantic.ValidationError as error:
        wrong = [f"{item['loc'][-1]}={item['input']!r}, which {_reason(item)}" for item in error.errors()]
        raise CheckpointError(f"the model's generation_config sets {'; '.join(wrong)}") from error
    return {"kind": CHECKPOINT, "policy": policy}


def _reason(item: Any) -> str:
    return str(item["msg"]).removeprefix("Value error, ").partition("` ")[2] or str(item["msg"])


def _normal(policy: Any) -> Any:
    """A policy's model: equal for data that mean the same."""
    return KINDS[policy["kind"]].model_validate(dict(policy))
