"""A configuration from options of the command line: a model, prompts, temperatures and what its checkpoint says."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

CHECKPOINT = "checkpoint"
"""The word for the checkpoint's own setting among temperatures, and the kind of that policy."""


def config_data(
    model: str, prompts: list[str], temperatures: str, task: Path | None = None, *, samples: int | None = None
) -> dict[str, Any]:
    """The data of a configuration: one fixed temperature each, named `T=...`.

    Args:
        model: As in a configuration.
        prompts: Texts to continue.
        temperatures: `0.1,0.5,1`, or `0.1:1.5:0.2` for from, to and step; `checkpoint` in the list is what the model's
            generation_config says.
        task: A YAML file with what stands under `task:`, if any.
        samples: Texts for every prompt and policy; the default of a configuration by default.

    Raises:
        ValueError: Temperatures that are none, or a task file that cannot be read (`ConfigError`).

    Example:
        >>> data = config_data("org/small-model", ["The quick brown fox"], "0.1:0.5:0.2")
        >>> data["name"], data["policies"]
        ('small-model-temperatures', [{'kind': 'fixed', 'temperature': {'from': 0.1, 'to': 0.5, 'step': 0.2}}])
    """
    name = re.sub(r"[^\w.-]+", "-", model.rstrip("/").rsplit("/", 1)[-1]).strip(".-") or "model"
    data: dict[str, Any] = {
        "name": f"{name}-temperatures",
        "model": model,
        "prompts": prompts,
        "policies": _policies(temperatures),
    }
    if samples is not None:
        data["samples_per_prompt"] = samples
    if task is not None:
        from temp_processors.config.yaml_lines import read_yaml

        data["task"] = read_yaml(task).sound_data()
    return data


def _policies(temperatures: str) -> list[dict[str, Any]]:
    words = [word.strip() for word in temperatures.split(",")]
    numbers = ",".join(word for word in words if word != CHECKPOINT)
    fixed = [{"kind": "fixed", "temperature": _temperatures(numbers)}] if numbers else []
    return [*fixed, *[{"name": CHECKPOINT, "kind": CHECKPOINT}] * (CHECKPOINT in words)]


def _temperatures(text: str) -> dict[str, float] | list[float]:
    parts = text.split(":") if ":" in text else text.split(",")
    try:
        numbers = [float(part) for part in parts]
    except ValueError as error:
        raise ValueError(
            f"--temperatures: has to be numbers such as 0.1,0.5,1, or from:to:step such as 0.1:1.5:0.2, but is {text!r}"
        ) from error
    if ":" not in text:
        return numbers
    if len(numbers) != 3:
        raise ValueError(f"--temperatures: has to have three parts, from:to:step, but is {text!r}")
    return dict(zip(("from", "to", "step"), numbers, strict=True))
