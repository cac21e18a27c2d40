"""What will really be applied to the logits: the sampler stack of a run, and the refusal of values nobody asked for."""

from __future__ import annotations

from typing import Any

from temp_processors.config import ExperimentConfig
from temp_processors.experiment.models import LoadedModel, ModelError

NEUTRAL = {
    "temperature": (None, 1.0),
    "top_k": (None, 0),
    "top_p": (None, 1.0),
    "min_p": (None, 0.0),
    "top_h": (None, 1.0),
    "typical_p": (None, 1.0),
    "epsilon_cutoff": (None, 0.0),
    "eta_cutoff": (None, 0.0),
}


def checkpoint_sampling(model: Any) -> dict[str, Any]:
    """Sampling values that the checkpoint's own generation_config sets away from neutral."""
    values = {name: getattr(model.generation_config, name, None) for name in NEUTRAL}
    return {name: value for name, value in values.items() if value not in NEUTRAL[name]}


def refuse_checkpoint_sampling(model: Any, config: ExperimentConfig) -> None:
    """Raise `ModelError` when the checkpoint sets sampling values and the configuration does not say to neutralise them."""
    found = checkpoint_sampling(model)
    if found and config.checkpoint_sampling == "refuse":
        values = ", ".join(f"{name}={value}" for name, value in found.items())
        raise ModelError(
            f"model: the generation_config of {config.model!r} sets {values}, so temperature would be set twice; "
            "write `checkpoint_sampling: neutralise` to run with the policies alone"
        )


def sampler_stack(loaded: LoadedModel, config: ExperimentConfig) -> dict[str, Any]:
    """The stack of every policy, as printed before generating and written to `stack.json`."""
    neutralised = checkpoint_sampling(loaded.model)
    policies = {named.name: [_described(named.policy), "SeededSampling"] for named in config.policies}
    width = max(map(len, policies))
    lines = ["sampler stack (logits -> draw; top-k, top-p and every other built-in warper is off):"]
    lines += [f"  {name:<{width}}  {' -> '.join(stack)}" for name, stack in policies.items()]
    if neutralised:
        lines.append("  neutralised, from the checkpoint: " + ", ".join(f"{k}={v}" for k, v in neutralised.items()))
    return {"policies": policies, "neutralised": neutralised, "lines": lines}


def _described(policy: Any) -> str:
    parameters = policy.model_dump(mode="json", exclude_defaults=False)
    kind = parameters.pop("kind")
    shown = ", ".join(f"{name}={value}" for name, value in parameters.items() if value is not None)
    return f"{kind}({shown})"
