"""`temp-processors report`: the page and the pictures of runs."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from temp_processors.cli.console import say
from temp_processors.cli.errors import told


def report_command(
    runs: Annotated[list[Path], typer.Argument(help="Run folders; several are shown side by side.")],
    out: Annotated[Path | None, typer.Option(help="Page to write; report.html in the (first) run folder.")] = None,
    plots: Annotated[bool, typer.Option(help="Write the pictures of each run too.")] = True,
    trace: Annotated[bool, typer.Option("--trace", help="Look at the tokens again with the run's model.")] = False,
    trust_remote_code: Annotated[
        bool,
        typer.Option("--trust-remote-code", help="With --trace: run Python files of the checkpoint where the run did."),
    ] = False,
) -> None:
    """Write the HTML page of one or several runs, and the pictures of each."""
    from temp_processors.datafiles import expanded_path
    from temp_processors.report.page import write_page
    from temp_processors.report.plots import write_plots
    from temp_processors.runs.lenient import own_file

    with told(OSError, ValueError):
        runs = [expanded_path(run) for run in runs]
        target = own_file(runs[0] / "report.html") if out is None else expanded_path(out)
        for run in runs if trace else []:
            _trace(run, trust_remote_code)
        write_page(runs, target)
        for run in runs if plots else []:
            write_plots(run)
    say(f"report: {target}")


def _trace(run: Path, trust_remote_code: bool) -> None:
    from temp_processors.experiment.traces import trace_again

    trace_again(run, trust_remote_code=trust_remote_code)
