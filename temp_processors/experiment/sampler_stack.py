"""The processors that a run applies, as `stack.json` keeps them, and the refusal of sampling values of a checkpoint."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from temp_processors.audit.neutral import SAMPLING_FIELDS, values_on
from temp_processors.audit.stack import plain
from temp_processors.config.experiment import ExperimentConfig
from temp_processors.config.sections import model_spec
from temp_processors.engines.engine import Engine, ModelError


def checkpoint_sampling(engine: Engine) -> dict[str, Any]:
    """What the checkpoint's own generation_config would do to the scores, as plain values."""
    return {name: plain(value) for name, value in values_on(engine.generation_config).items()}


def refuse_checkpoint_sampling(engine: Engine, config: ExperimentConfig) -> None:
    """Raise `ModelError` when the checkpoint sets sampling values and the configuration does not say to neutralise them."""
    own = checkpoint_sampling(engine)
    acting = {name: value for name, value in own.items() if SAMPLING_FIELDS[name].effect != "clean-up"}
    if acting and config.checkpoint_sampling == "refuse":
        values = ", ".join(f"{name}={value}" for name, value in acting.items())
        why = "so temperature would be set twice" if "temperature" in acting else "which would act beside the policies"
        raise ModelError(
            f"model: the generation_config of {model_spec(config.model).name!r} sets {values}, {why}; "
            "write `checkpoint_sampling: neutralise` to run with the policies alone"
        )


def sampler_stack(engine: Engine, config: ExperimentConfig, policies: Sequence[Any]) -> dict[str, Any]:
    """What is applied for every policy, as `stack.json` keeps it; `policies` are those that the engine prepared."""
    return {"policies": engine.sampler_stack(config, policies), "neutralised": checkpoint_sampling(engine)}


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
