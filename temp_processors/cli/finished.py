"""What follows a run: its page, its scores on the terminal, its upload, and one line for whatever goes wrong with these."""

from __future__ import annotations

import json
import webbrowser
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import typer
from rich.console import Console

from temp_processors.cli.console import say
from temp_processors.cli.errors import FAILED, refused, told
from temp_processors.config.counts import counted

if TYPE_CHECKING:
    from temp_processors.config.experiment import ExperimentConfig
    from temp_processors.runs.folder import Run


def written_report(run: Run, progress: Console, *, plots: bool) -> Path | OSError | ValueError:
    """Write the page, and the pictures where they are asked for; what went wrong where that failed: the run is complete all the same."""
    from temp_processors.experiment.stages import stage
    from temp_processors.report.page import write_report
    from temp_processors.report.plots import write_plots

    try:
        with stage(progress, "page"):
            page = write_report(run.path)
        if plots:
            with stage(progress, "pictures"):
                write_plots(run.path)
    except (OSError, ValueError) as error:
        return error
    return page


def tell_report(run: Run, page: Path | Exception, console: Console, *, show: bool) -> None:
    """Say where the page is, and open it in a browser where that is asked for; end the command where there is none."""
    if isinstance(page, Exception):
        again = f"the run is complete: write it again with `temp-processors report {run.path}`"
        raise refused(f"report: cannot be written: {page}; {again}", FAILED) from page
    console.print(f"report: {page}", soft_wrap=True)
    if show and not webbrowser.open(page.resolve().as_uri()):
        say("--open: no browser can be started here; open the page yourself", error=True)


def refuse_push(repo: str) -> None:
    """End the command where an upload cannot work."""
    from temp_processors.runs.hub import PushError
    from temp_processors.runs.hub import refuse_push as refuse

    with told(PushError):
        refuse(repo)


def push(run: Run, repo: str, console: Console) -> None:
    """Upload a run."""
    from temp_processors.runs.hub import PushError, push_run
    from temp_processors.runs.verdict import answer_lines

    judged = run.path / "verdict.json"
    of_task = [json.loads(judged.read_text(encoding="utf-8"))["sentence"]] if judged.exists() else []
    with told(PushError, code=FAILED):
        where = push_run(run, repo, verdict=[*of_task, *answer_lines(run.metrics)])
        console.print(f"uploaded: {where}", soft_wrap=True)


def show_run(run: Run, temperatures: Mapping[str, float], console: Console, *, verbose: bool = False) -> None:
    """Print a finished run: its verdict, values, differences, some texts of each policy, where everything is."""
    from temp_processors.report.power_notes import power_notes
    from temp_processors.report.table import show_scores
    from temp_processors.report.texts import sample_lines
    from temp_processors.runs.verdict import verdict_lines
    from temp_processors.runs.writing import read_parquet

    scores = run.metrics
    if (verdict := run.verdict) is not None:
        for said in verdict_lines(verdict):
            console.print(said, soft_wrap=True)
        console.print()
    show_scores(scores, console, temperatures=temperatures, verbose=verbose)
    console.print()
    for said in power_notes(map(vars, read_parquet(run.path / "samples.parquet"))):
        console.print(said, soft_wrap=True)
    for line in sample_lines(read_parquet(run.path / "samples.parquet"), list(scores), console.width, whole=verbose):
        console.print(line, soft_wrap=True)
    console.print(f"run folder: {run.path}", soft_wrap=True)
    console.print(f"configuration, every default written out: {run.path / 'config.yaml'}", soft_wrap=True)


def fixed_temperatures(config: ExperimentConfig) -> dict[str, float]:
    """The policies that are one fixed temperature, by name."""
    settings = {named.name: named.policy.model_dump() for named in config.policies if named.policy.kind == "fixed"}
    return {name: held["temperature"] for name, held in settings.items() if isinstance(held["temperature"], float)}


def failed(failures: Sequence[dict[str, Any]]) -> typer.Exit:
    """Tell which texts could not be drawn."""
    for failure in failures[:5]:
        place = "policy {policy!r}, prompt {prompt_id}, sample {sample_id}, step {step}".format(**failure)
        say(f"{place}: {failure['reason']}", error=True)
    return refused(
        f"{counted(len(failures), 'text')} could not be drawn (failures.json); the scores leave them out", FAILED
    )
