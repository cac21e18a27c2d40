"""`temp-processors explore`: serve the page, or write the folder of a Space; errors are one line each."""

from __future__ import annotations

import errno
import importlib.util
import ipaddress
import os
import socket
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated

import typer

from temp_processors.cli.console import say
from temp_processors.cli.errors import told

FIRST_PORT = 7860
PORTS = 100
INSTALL = "pip install 'temp-processors[explore]'"


class ExploreError(ValueError):
    """The page cannot be served; the message says why and what would work."""


class PortInUseError(ExploreError):
    """Another program listens there."""


def explore_command(
    model: Annotated[str, typer.Argument(help="`fox` (ships with the package), a folder, or a Hub id.")] = "fox",
    port: Annotated[
        int | None, typer.Option(min=0, max=65535, help=f"{FIRST_PORT} or the next free one by default.")
    ] = None,
    host: Annotated[str, typer.Option(help="Address to listen on; the default is this machine only.")] = "127.0.0.1",
    allow_host: Annotated[
        list[str] | None, typer.Option(help="Name under which others reach the page, such as a proxy's; repeatable.")
    ] = None,
    space: Annotated[
        Path | None, typer.Option(help="Write the folder of a Hugging Face Space that serves MODEL, and stop.")
    ] = None,
) -> None:
    """Play with temperature on a live page: the next token, texts as they grow, several policies side by side."""
    with told(ValueError, OSError):
        if space is None:
            serve(model, host, port, allow_host or ())
        else:
            from temp_processors.datafiles import expanded_path
            from temp_processors.explore.space import write_space

            say(f"space: {write_space(expanded_path(space), model)}")


def serve(model: str, host: str, port: int | None, names: Sequence[str] = ()) -> None:
    """Load the model and serve the page until Ctrl-C.

    Raises:
        ExploreError: gradio is not installed, or there is no listening at this address and port.
        ModelError: The model cannot be loaded.
    """
    if importlib.util.find_spec("gradio") is None:
        raise ExploreError(f"the explorer needs gradio, which is not installed: {INSTALL}")
    port = free_port(host) if port is None else port
    check_address(host, port)
    from transformers.utils import logging

    logging.disable_progress_bar()
    from temp_processors.explore.loading import load

    loaded = load(model)
    from temp_processors.explore.app import build_app, launch
    from temp_processors.explore.guard import LOOPBACK, Hosts

    page = build_app(loaded, model)
    os.environ["NO_PROXY"] = ",".join(filter(None, (os.environ.get("NO_PROXY"), host, *LOOPBACK)))
    try:
        address = launch(page, host=host, port=port, hosts=Hosts.of(host, names), wait=False)
    except ValueError as error:  # how gradio says that it cannot reach its own server
        raise ExploreError(
            f"the page on {host}, port {port}, does not answer: is a firewall or a proxy in between?"
        ) from error
    say(f"open {address} (Ctrl-C ends it)")
    if not is_local(host):
        say(f"listening on {host}: everybody who reaches this machine can use the page", error=True)
    page.block_thread()


def free_port(host: str) -> int:
    """The first free port from `FIRST_PORT`; raises `ExploreError` as `check_address`, or where a hundred of them are taken."""
    last = FIRST_PORT + PORTS - 1
    for port in range(FIRST_PORT, last + 1):
        try:
            check_address(host, port)
        except PortInUseError:
            continue
        return port
    raise ExploreError(f"no port from {FIRST_PORT} to {last} is free on {host}: choose another with --port")


def check_address(host: str, port: int | None) -> None:
    """Raise where the address cannot be listened on; called before the model is loaded, which takes long."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    with socket.socket(family, socket.SOCK_STREAM) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((host, port or 0))
        except OSError as error:
            kind = PortInUseError if error.errno == errno.EADDRINUSE else ExploreError
            raise kind(_why(host, port, error)) from error


def _why(host: str, port: int | None, error: OSError) -> str:
    if error.errno == errno.EADDRINUSE:
        return f"port {port} on {host} is in use: choose another with --port, or leave it out"
    if error.errno == errno.EACCES:
        return f"port {port} needs rights that you do not have: choose one from 1024 up"
    return (
        f"--host {host} is no address of this machine ({error.strerror}): 127.0.0.1 is for you, 0.0.0.0 for everybody"
    )


def is_local(host: str) -> bool:
    """Whether only this machine can reach `host`."""
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"
