"""The processors that a run applies, as `stack.json` keeps them, and the refusal of sampling values of a checkpoint."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from typing import Any

from temp_processors.audit.checkpoint import checkpoint_findings, described
from temp_processors.audit.neutral import SAMPLING_FIELDS, values_on
from temp_processors.audit.stack import plain
from temp_processors.config.experiment import ExperimentConfig
from temp_processors.config.sections import model_spec
from temp_processors.engines.engine import Engine, ModelError


def checkpoint_sampling(engine: Engine) -> dict[str, Any]:
    """What the checkpoint's own generation_config would do to the scores, as plain values."""
    return {name: plain(value) for name, value in values_on(engine.generation_config).items()}


def refuse_checkpoint_sampling(engine: Engine, config: ExperimentConfig) -> None:
    """Raise `ModelError` when the checkpoint sets sampling values and the configuration does not say what becomes of them.

    It says so by `checkpoint_sampling: neutralise`, and by a policy of `kind: checkpoint`: the values act there, and the policies
    compared with it are without them.
    """
    if any(named.policy.of_checkpoint for named in config.policies):
        return
    own = checkpoint_sampling(engine)
    acting = {name: value for name, value in own.items() if SAMPLING_FIELDS[name].effect != "clean-up"}
    if acting and config.checkpoint_sampling == "refuse":
        values = ", ".join(f"{name}={value}" for name, value in acting.items())
        why = "so temperature would be set twice" if "temperature" in acting else "which would act beside the policies"
        raise ModelError(
            f"model: the generation_config of {model_spec(config.model).name!r} sets {values}, {why}; "
            "write `checkpoint_sampling: neutralise` to run with the policies alone, or compare with them: "
            "`{name: checkpoint, kind: checkpoint}` among the policies"
        )


def sampler_stack(engine: Engine, config: ExperimentConfig, policies: Sequence[Any]) -> dict[str, Any]:
    """What is applied for every policy, as `stack.json` keeps it; `policies` are those that the engine prepared."""
    stacks = engine.sampler_stack(config, policies)
    found = [asdict(finding) for finding in checkpoint_findings(engine.generation_config)]
    for named in config.policies:
        if named.policy.of_checkpoint:
            own = stacks[named.name]
            stacks[named.name] = {**own, "findings": [*own["findings"], *found]}
    return {"policies": stacks, "neutralised": checkpoint_sampling(engine)}


def stack_lines(stack: dict[str, Any], config: ExperimentConfig) -> list[str]:
    """The stack for people: one line for each policy, then what was neutralised and what the audit found."""
    width = max(len(named.name) for named in config.policies)
    found = [stack["policies"][named.name]["findings"] for named in config.policies]
    of_all = [finding for finding in found[0] if len(found) > 1 and all(finding in other for other in found)]
    lines = ["sampler stack (the built-in temperature, top-k, top-p and every other built-in warper is off):"]
    for named in config.policies:
        drawn = [entry["name"] for entry in stack["policies"][named.name]["stack"][1:]]
        lines.append(
            f"  {named.name:<{width}}  " + " -> ".join([described(named.policy.model_dump(mode="json")), *drawn])
        )
        lines += [_told(one) for one in stack["policies"][named.name]["findings"] if one not in of_all]
    lines += map(_told, of_all)
    if stack["neutralised"]:
        values = ", ".join(f"{name}={value}" for name, value in stack["neutralised"].items())
        but = ", but where a policy is `checkpoint`" if any(n.policy.of_checkpoint for n in config.policies) else ""
        lines.append(f"  neutralised{but}: {values} of the checkpoint")
    return lines


def _told(finding: dict[str, Any]) -> str:
    return f"  {finding['severity']}: {finding['message']}"


def checkpoint_lines(config: ExperimentConfig) -> list[str]:
    """What every `kind: checkpoint` of a configuration that is filled in stands for, one line each."""
    return [
        f"policy {named.name!r}: {described(named.policy.model_dump(mode='json'))}"
        for named in config.policies
        if named.policy.of_checkpoint
    ]
