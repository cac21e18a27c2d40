"""A Ray cluster: connecting to it, and whether its nodes can hold a worker. What goes wrong is one line at its field."""

from __future__ import annotations

import os
import socket
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

from temp_processors.config.launcher import LauncherSpec
from temp_processors.config.yaml_lines import ConfigError
from temp_processors.engines.model_errors import ModelError, first_line

PATIENCE = 10.0
"""Seconds for a connection to the address: Ray itself tries one that nobody answers for minutes, and then ends the process."""
CONNECTIONS = 3
"""Attempts at a client's connection: the head starts a process for each client, and gives up on one that does not answer within 30 s."""
QUIET = {"logging_level": "ERROR", "log_to_driver": False}
DEFAULTS: dict[str, Any] = {"num_cpus": 1, "scheduling_strategy": "SPREAD"}
"""Options of a worker that the configuration does not give."""
PER_NODE = "node:"
"""What the names of resources begin with that tell one node from the others."""


def import_ray() -> Any:
    """The package `ray`.

    Raises:
        ModelError: It is not installed.
    """
    try:
        import ray
    except ImportError as error:
        raise ModelError(
            f"launcher: ray cannot be imported ({first_line(error)}): pip install 'temp_processors[ray]'"
        ) from error
    return ray


def wrong(field: str, message: str) -> ConfigError:
    """A mistake at a field of the launcher."""
    return ConfigError.at(("launcher", field), message)


@contextmanager
def connected(spec: LauncherSpec) -> Iterator[Any]:
    """`ray`, connected to the cluster of the launcher; a connection that this process has already is used and kept.

    Raises:
        ModelError: Ray is not installed.
        ConfigError: Nobody answers at the address, or Ray does not take the settings.
    """
    ray = import_ray()
    if ray.is_initialized():
        yield ray
        return
    address = spec.address or os.environ.get("RAY_ADDRESS") or None
    _refuse_unreachable(address)
    try:
        _init(ray, address=address, **{**QUIET, **spec.init})
    except (OSError, RuntimeError, TypeError, ValueError) as error:
        field = "init" if isinstance(error, TypeError) or "keyword" in str(error) else "address"
        shown = f" at {address!r}" if field == "address" and address else ""
        raise wrong(field, f"no connection to a Ray cluster{shown}: {_reason(error)}") from error
    try:
        yield ray
    finally:
        ray.shutdown()


def _init(ray: Any, **settings: Any) -> None:
    """`ray.init`, again where the head has not brought up the process that serves this client."""
    for attempts_left in reversed(range(CONNECTIONS)):
        try:
            ray.init(**settings)
            return
        except ConnectionAbortedError:
            if not attempts_left:
                raise


def _reason(error: Exception) -> str:
    """What went wrong: the first line of the error, of a traceback that the head sent its last."""
    lines = str(error).strip().splitlines()
    return lines[-1] if any(line.startswith("Traceback ") for line in lines) else first_line(error)


def _refuse_unreachable(address: str | None) -> None:
    """Raise `ConfigError` where the address names a machine that does not answer."""
    host, colon, port = (address or "").removeprefix("ray://").rpartition(":")
    if not colon or not port.isdecimal():
        return
    try:
        socket.create_connection((host.strip("[]"), int(port)), timeout=PATIENCE).close()
    except (OSError, OverflowError) as error:
        reason = getattr(error, "strerror", None) or first_line(error)
        hint = "its head starts with `ray start --head`, and listens at port 6379, for ray:// at 10001"
        raise wrong("address", f"no Ray cluster answers at {address!r}: {reason}; {hint}") from error


def asked_of_a_node(options: Mapping[str, Any]) -> dict[str, float]:
    """What a worker with these options needs, by the names that nodes have for it.

    Example:
        >>> asked_of_a_node({"num_cpus": 1, "num_gpus": 2, "resources": {"fast": 1}})
        {'CPU': 1, 'GPU': 2, 'fast': 1}
    """
    names = {"num_cpus": "CPU", "num_gpus": "GPU", "memory": "memory", "object_store_memory": "object_store_memory"}
    asked = {there: options[name] for name, there in names.items() if options.get(name)}
    if options.get("accelerator_type"):
        asked[f"accelerator_type:{options['accelerator_type']}"] = 0.001  # as Ray itself asks for it
    return {**asked, **(options.get("resources") or {})}


def nodes_that_hold(nodes: list[dict[str, Any]], options: Mapping[str, Any], autoscaling: bool) -> int:
    """How many of the living nodes can hold a worker, were they idle.

    Args:
        nodes: As `ray.nodes()` gives them.
        options: Of a worker.
        autoscaling: Whether others may come, so that none is no mistake.

    Raises:
        ConfigError: None of them can, and no others may come.
    """
    asked = asked_of_a_node(options)
    here = [node["Resources"] for node in nodes if node["Alive"]]
    fitting = sum(all(node.get(name, 0) >= amount for name, amount in asked.items()) for node in here)
    if not fitting and not autoscaling:
        shown = "; ".join(_listed(node) for node in here) or "nothing"
        unknown = [name for name in asked if not any(name in node for node in here)]
        known = f", and none has any {', '.join(unknown)}" if unknown else ""
        raise wrong(
            "options",
            f"no node of the cluster can hold a worker with {_listed(asked)}{known}; the nodes have {shown} "
            "(`autoscaling: true` waits for nodes that are not there yet)",
        )
    return fitting


def _listed(resources: Mapping[str, float]) -> str:
    """Names and amounts in alphabetical order, without what every node has for itself."""
    shown = {n: v for n, v in resources.items() if not n.startswith(PER_NODE) and n != "object_store_memory"}
    return ", ".join(f"{name} {amount:g}" for name, amount in sorted(shown.items())) or "nothing"
