"""What will really be applied to the logits: the sampler stack of a run, and the refusal of values nobody asked for."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from temp_processors.audit.audit import audit
from temp_processors.audit.neutral import SAMPLING_FIELDS, values_on
from temp_processors.audit.stack import plain
from temp_processors.config.experiment import ExperimentConfig
from temp_processors.config.sections import model_spec
from temp_processors.engines.decoding.decode import PolicyFactory, draw_kwargs
from temp_processors.engines.local import LoadedModel, ModelError
from temp_processors.sampling import SeededSampling


def checkpoint_sampling(model: Any) -> dict[str, Any]:
    """What the checkpoint's own generation_config would do to the scores, as plain values."""
    return {name: plain(value) for name, value in values_on(model.generation_config).items()}


def refuse_checkpoint_sampling(model: Any, config: ExperimentConfig) -> None:
    """Raise `ModelError` when the checkpoint sets sampling values and the configuration does not say to neutralise them."""
    found = checkpoint_sampling(model)
    acting = {name: value for name, value in found.items() if SAMPLING_FIELDS[name].effect != "clean-up"}
    if acting and config.checkpoint_sampling == "refuse":
        values = ", ".join(f"{name}={value}" for name, value in acting.items())
        why = "so temperature would be set twice" if "temperature" in acting else "which would act beside the policies"
        raise ModelError(
            f"model: the generation_config of {model_spec(config.model).name!r} sets {values}, {why}; "
            "write `checkpoint_sampling: neutralise` to run with the policies alone"
        )


def sampler_stack(loaded: LoadedModel, config: ExperimentConfig, policies: Sequence[PolicyFactory]) -> dict[str, Any]:
    """The stack that is applied for every policy, as `stack.json` keeps it."""
    if config.engine == "vllm":
        return {
            "policies": {named.name: engine_stack() for named in config.policies},
            "neutralised": checkpoint_sampling(loaded.model),
        }
    audits = {
        named.name: audit(
            loaded.model,
            None,
            [factory(1), SeededSampling([0], prompt_length=1, coupled=config.coupled)],
            **draw_kwargs(),
        ).to_dict()
        for named, factory in zip(config.policies, policies, strict=True)
    }
    return {"policies": audits, "neutralised": checkpoint_sampling(loaded.model)}


def engine_stack() -> dict[str, Any]:
    """What vLLM applies to a request of an experiment: the policy alone, then its own draw."""
    names = ("TemperaturePolicyLogitsProcessor", "vLLM's sampler")
    stack = [{"name": name, "parameters": {}, "origin": "experiment"} for name in names]
    return {"mode": "sample", "stack": stack, "effective_temperature": "by the policy", "findings": []}


def stack_lines(stack: dict[str, Any], config: ExperimentConfig) -> list[str]:
    """The stack for people: one line for each policy, then what was neutralised and what the audit found."""
    width = max(len(named.name) for named in config.policies)
    lines = ["sampler stack (the built-in temperature, top-k, top-p and every other built-in warper is off):"]
    for named in config.policies:
        drawn = [entry["name"] for entry in stack["policies"][named.name]["stack"][1:]]
        lines.append(f"  {named.name:<{width}}  " + " -> ".join([_described(named.policy), *drawn]))
        lines += [
            f"  {finding['severity']}: {finding['message']}" for finding in stack["policies"][named.name]["findings"]
        ]
    if stack["neutralised"]:
        lines.append(
            "  neutralised: " + ", ".join(f"{k}={v}" for k, v in stack["neutralised"].items()) + " of the checkpoint"
        )
    return lines


def _described(policy: Any) -> str:
    """`kind(parameter=value, ...)` without the parameters that are not in use."""
    parameters = policy.model_dump(mode="json")
    kind = parameters.pop("kind")
    shown = ", ".join(f"{name}={value}" for name, value in parameters.items() if value not in (None, [], 0))
    return f"{kind}({shown})"
