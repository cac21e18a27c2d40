"""`temp-processors softmax`: the textbook numbers of a few logits at several temperatures."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from temp_processors.cli.console import say
from temp_processors.cli.errors import told


def softmax_command(
    logits: Annotated[str, typer.Option(help="Numbers with commas between them.")] = "1,2,3,4",
    temperatures: Annotated[str, typer.Option(help="Numbers with commas between them; 0 is greedy.")] = "1,0.5,0.1",
    target: Annotated[int | None, typer.Option(help="Index of the right answer, from 0; default: the last.")] = None,
    out: Annotated[Path, typer.Option(help="Picture to write: .png, .svg or .pdf.")] = Path("softmax.png"),
) -> None:
    """Show what temperature does to a softmax: probabilities, variance, entropy, cross-entropy, and a picture."""
    from temp_processors.datafiles import expanded_path
    from temp_processors.report.figures import save
    from temp_processors.report.softmax import softmax_figure, softmax_lines, softmax_numbers

    with told(ValueError, OSError):
        values = _numbers("--logits", logits)
        index = len(values) - 1 if target is None else target
        rows = [softmax_numbers(values, temperature, index) for temperature in _numbers("--temperatures", temperatures)]
        save(softmax_figure(rows, values, index), expanded_path(out))
    for line in softmax_lines(rows, values, index):
        say(line)
    say(f"picture: {out}")


def _numbers(option: str, text: str) -> list[float]:
    try:
        return [float(part) for part in text.strip("[]() ").split(",")]
    except ValueError as error:
        raise ValueError(f"{option} has to be numbers with commas between them, but is {text!r}") from error
