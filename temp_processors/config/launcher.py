"""The section `launcher`: where the engine of a run stands, when that is not this process."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BaseModel, ConfigDict, Discriminator, Field, JsonValue, Tag

OURS = ("max_restarts", "max_task_retries", "name", "get_if_exists", "lifetime", "namespace", "max_concurrency")
"""Options of an actor that the launcher answers for: it starts lost workers anew and draws their texts again by itself."""
OWN_FIELDS = ("address",)
"""Arguments of `ray.init` that stand beside `init`."""


def _none_of_ours(options: dict[str, JsonValue]) -> dict[str, JsonValue]:
    for name in OURS:
        if name in options:
            raise ValueError(f"`{name}` is the launcher's own: it starts lost workers anew and draws their texts again")
    return options


def _none_of_beside(init: dict[str, JsonValue]) -> dict[str, JsonValue]:
    for name in OWN_FIELDS:
        if name in init:
            raise ValueError(f"`{name}` stands beside `init`: write `launcher.{name}`")
    return init


class LauncherSpec(BaseModel):
    """Workers of a Ray cluster, each with an engine of its own; this process hands out batches and alone writes the run folder.

    Args:
        kind: `ray`.
        address: As `ray.init` takes it: `auto`, `HOST:PORT`, `ray://HOST:PORT`, `local`. By default the environment variable
            RAY_ADDRESS, else a cluster that runs on this machine, else one that is started for this run.
        workers: How many; by default one for every node that can hold one.
        options: Of every worker, as `Actor.options` of Ray takes them: `num_cpus` (1 by default), `num_gpus`, `memory`, `resources`,
            `accelerator_type`, `label_selector`, `scheduling_strategy` (`SPREAD` by default), `runtime_env`...
        init: Further arguments of `ray.init`, such as `runtime_env` or `namespace`.
        autoscaling: Nodes may come that are not there yet: a worker that no node of now can hold is waited for, not refused.
        wait: Seconds for which no worker may be ready to work: while the first one loads its model, and where all are lost.
    """

    model_config = ConfigDict(strict=True, frozen=True, extra="forbid")

    kind: Literal["ray"] = "ray"
    address: Annotated[str, Field(pattern=r"\S")] | None = None
    workers: Annotated[int, Field(ge=1, le=10_000)] | None = None
    options: Annotated[dict[str, JsonValue], AfterValidator(_none_of_ours)] = {}
    init: Annotated[dict[str, JsonValue], AfterValidator(_none_of_beside)] = {}
    autoscaling: bool = False
    wait: Annotated[float, Field(gt=0)] = 1800.0


def _launcher_tag(value: Any) -> str:
    return "mapping" if isinstance(value, (dict, LauncherSpec)) else "name"


Launcher = Annotated[
    Annotated[Literal["ray"], Tag("name")] | Annotated[LauncherSpec, Tag("mapping")], Discriminator(_launcher_tag)
]
"""In YAML `ray`, or a mapping with its settings."""


def launcher_spec(launcher: Literal["ray"] | LauncherSpec) -> LauncherSpec:
    """The mapping that a name stands for."""
    return launcher if isinstance(launcher, LauncherSpec) else LauncherSpec(kind=launcher)
