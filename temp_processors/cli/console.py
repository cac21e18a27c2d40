"""What commands print on: nothing that a name or a text holds reaches the terminal as more than text."""

from __future__ import annotations

import io
import sys
from collections.abc import Iterable
from typing import Any

import typer
from rich.console import Console, ConsoleOptions, RenderableType
from rich.segment import Segment

from temp_processors import inert


class InertConsole(Console):
    """A rich console without markup, emoji codes and highlighting, on which control characters are shown as escapes."""

    def __init__(self, **options: Any) -> None:
        super().__init__(highlight=False, markup=False, emoji=False, **options)

    def render(self, renderable: RenderableType, options: ConsoleOptions | None = None) -> Iterable[Segment]:
        """The segments of a renderable; rich's own control segments stay."""
        for text, style, control in super().render(renderable, options):
            yield Segment(text if control else inert.lines(text), style, control)


def say(message: str, *, error: bool = False) -> None:
    """Print lines on stdout, or on stderr."""
    typer.echo(inert.lines(message), err=error)


def replace_what_cannot_be_written() -> None:
    """Characters that the encoding of the terminal lacks become `?`, where they would end the command."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="replace")
