"""`temp-processors run`: the configuration, the run, its table and page, and one line for whatever goes wrong."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.console import Console

from temp_processors.cli.console import InertConsole, say
from temp_processors.cli.errors import FAILED, INTERRUPTED, refused, told

if TYPE_CHECKING:
    from temp_processors.config.experiment import ExperimentConfig
    from temp_processors.experiment.plan import Plan
    from temp_processors.runs.folder import Run


Config = Annotated[Path, typer.Argument(help="A YAML file, or the name of a shipped configuration: fox.")]
Overrides = Annotated[list[str] | None, typer.Option("--set", help="policies.0.temperature=0.2; repeatable.")]
Out = Annotated[Path | None, typer.Option("--out", help="Run folder; runs/NAME by default.")]
Overwrite = Annotated[bool, typer.Option("--overwrite", help="Replace a run that is already in the folder.")]
AllowCode = Annotated[
    bool, typer.Option("--allow-code-execution", help="Let `score: python_tests` run programs that the model writes.")
]
Quiet = Annotated[bool, typer.Option("--quiet", help="Print errors only.")]
Source = tuple[Path | dict[str, Any], Sequence[str]]
"""Where a configuration comes from, its file or its data, and what `--set` changes of it."""


def run_command(
    config: Annotated[
        Path | None, typer.Argument(help="A YAML file, or the name of a shipped configuration: fox.")
    ] = None,
    overrides: Overrides = None,
    out: Out = None,
    model: Annotated[str | None, typer.Option(help="Without CONFIG: fox, a folder, a Hub id; fox by default.")] = None,
    prompt: Annotated[list[str] | None, typer.Option(help="Without CONFIG: a text to continue; repeatable.")] = None,
    temperatures: Annotated[
        str | None,
        typer.Option(help="Without CONFIG: 0.1,0.5,1 or 0.1:1.5:0.2 (from:to:step); with checkpoint: 1,checkpoint."),
    ] = None,
    task: Annotated[Path | None, typer.Option(help="Without CONFIG: a file with what stands under `task:`.")] = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Say what would run, and stop.")] = False,
    overwrite: Overwrite = False,
    resume: Annotated[bool, typer.Option("--resume", help="Go on with a run that stopped.")] = False,
    allow_code_execution: AllowCode = False,
    report: Annotated[bool, typer.Option(help="End with the page, the pictures and what they need.")] = True,
    quiet: Quiet = False,
    push_to_hub: Annotated[
        str | None, typer.Option("--push-to-hub", help="Upload run and page to this dataset repository: USER/NAME.")
    ] = None,
) -> None:
    """Generate continuations under every policy of CONFIG, or of --model at --temperatures, and compare their diversity."""
    first = os.environ.get("RANK", "0") == "0"
    from temp_processors.runs.folder import RunFolderError

    console = InertConsole(quiet=not first or (quiet and not dry_run))
    chosen = {"--model": model, "--prompt": prompt, "--temperatures": temperatures, "--task": task}
    source = _source(config, chosen), overrides or ()
    plan = planned(*source, out, console)
    if dry_run:
        _say_where(plan, console)
        return
    if push_to_hub is not None:
        _refuse_push(push_to_hub)
    how = {"overwrite": overwrite, "resume": resume, "allow_code_execution": allow_code_execution}
    run = run_planned(plan, source, console, **how)
    if not first:
        return
    page = _report(run) if report else None  # files before the terminal
    with told(OSError, RunFolderError):
        show_run(run, console)
    if report:
        _tell_report(run, page, console)
    if push_to_hub is not None:
        _push(run, push_to_hub, console)
    if run.failures:
        raise _failed(run.failures)


def _source(config: Path | None, chosen: dict[str, Any]) -> Path | dict[str, Any]:
    """The file of a configuration, or the data of one that options describe."""
    given = [option for option, value in chosen.items() if value]
    if config is not None:
        if given:
            raise refused(f"{given[0]}: CONFIG says it already; change it with --set, or leave CONFIG out")
        return config
    from temp_processors.cli.without_file import config_data

    missing = [option for option in ("--prompt", "--temperatures") if not chosen[option]]
    if missing:
        raise refused(f"give CONFIG, or a run without a file: {missing[0]} is missing")
    with told(ValueError):
        return config_data(chosen["--model"] or "fox", chosen["--prompt"], chosen["--temperatures"], chosen["--task"])


def planned(config: Path | dict[str, Any], overrides: Sequence[str], out: Path | None, console: Console) -> Plan:
    """What to run, after a line that says how much it is."""
    from temp_processors.config.experiment import load_config, located
    from temp_processors.config.prompts import PromptError
    from temp_processors.config.yaml_lines import ConfigError
    from temp_processors.experiment.plan import Plan

    try:
        plan = Plan(_with_checkpoint(load_config(config, overrides, out), (config, overrides)))
        console.print(f"{plan.config.name}: {plan}", soft_wrap=True)
        for note in plan.config.task.notes() if plan.config.task is not None else ():
            console.print(note, soft_wrap=True)
    except PromptError as error:
        raise refused(str(located(ConfigError([error.problem]), config, overrides))) from error
    except ConfigError as error:
        raise refused(str(error)) from error
    return plan


def _with_checkpoint(config: ExperimentConfig, source: Source) -> ExperimentConfig:
    """The configuration with every `kind: checkpoint` filled in."""
    if not any(named.policy.needs_model for named in config.policies):
        return config
    from temp_processors.config.experiment import located
    from temp_processors.config.yaml_lines import ConfigError
    from temp_processors.engines.model_errors import ModelError
    from temp_processors.experiment.checkpoint import before_loading

    try:
        return before_loading(config)
    except ConfigError as error:
        raise refused(str(located(error, *source))) from error
    except ModelError as error:
        raise refused(str(error)) from error


def _say_where(plan: Plan, console: Console) -> None:
    """Look up the model of a plan, without reading its weights."""
    from temp_processors.config.sections import model_spec
    from temp_processors.engines.model_errors import ModelError
    from temp_processors.engines.sources import find_model

    spec = model_spec(plan.config.model)
    with told(ModelError):
        console.print(f"model: {spec.name}: {find_model(spec).described}", markup=False, soft_wrap=True)
    if any(named.policy.of_checkpoint for named in plan.config.policies):
        from temp_processors.experiment.sampler_stack import checkpoint_lines

        for line in checkpoint_lines(plan.config):
            console.print(line, markup=False, soft_wrap=True)


def run_planned(plan: Plan, source: Source, console: Console, **how: bool) -> Run:
    """Run a plan, with one line for whatever goes wrong."""
    from transformers.utils import logging as transformers_logging

    from temp_processors.config.experiment import located
    from temp_processors.config.yaml_lines import ConfigError
    from temp_processors.engines.engine import ModelError
    from temp_processors.experiment.processes import LaunchError
    from temp_processors.experiment.run import run_experiment
    from temp_processors.runs.folder import RunFolderError

    transformers_logging.disable_progress_bar()  # one bar is enough: ours
    progress = InertConsole(stderr=True, quiet=console.quiet)
    try:
        return run_experiment(plan.config, console=console, progress=progress, plan=plan, **how)
    except ConfigError as error:
        raise refused(str(located(error, *source))) from error
    except (LaunchError, ModelError, RunFolderError) as error:
        raise refused(str(error)) from error
    except KeyboardInterrupt:
        line = f"\nstopped; finished texts are in {plan.config.folder}: go on with the same command and --resume"
        raise refused(line, INTERRUPTED) from None


def _report(run: Run) -> Path | OSError | ValueError:
    """Write page and pictures; what went wrong where that failed: the run is complete all the same."""
    from temp_processors.report.page import write_report

    try:
        return write_report(run.path)
    except (OSError, ValueError) as error:
        return error


def _tell_report(run: Run, page: Path | Exception | None, console: Console) -> None:
    if isinstance(page, Exception):
        again = f"the run is complete: write it again with `temp-processors report {run.path}`"
        raise refused(f"report: cannot be written: {page}; {again}", FAILED) from page
    console.print(f"report: {page}", soft_wrap=True)


def _refuse_push(repo: str) -> None:
    from temp_processors.runs.hub import PushError, refuse_push

    with told(PushError):
        refuse_push(repo)


def _push(run: Run, repo: str, console: Console) -> None:
    from temp_processors.runs.hub import PushError, push_run

    with told(PushError, code=FAILED):
        console.print(f"uploaded: {push_run(run, repo)}", soft_wrap=True)


def show_run(run: Run, console: Console) -> None:
    """Print a finished run: values, differences, two texts for each policy, where everything is."""
    from temp_processors.report.power_notes import power_notes
    from temp_processors.report.table import sample_lines, show_scores
    from temp_processors.report.verdict import verdict_lines
    from temp_processors.runs.writing import read_parquet

    scores = run.metrics
    show_scores(scores, console)
    console.print()
    for said in power_notes(map(vars, read_parquet(run.path / "samples.parquet"))):
        console.print(said, soft_wrap=True)
    for line in sample_lines(read_parquet(run.path / "samples.parquet"), list(scores)):
        console.print(line, soft_wrap=True)
    if (verdict := run.verdict) is not None:
        console.print()
        for said in verdict_lines(verdict):
            console.print(said, soft_wrap=True)
    console.print(f"run folder: {run.path}", soft_wrap=True)


def _failed(failures: Sequence[dict[str, Any]]) -> typer.Exit:
    for failure in failures[:5]:
        place = "policy {policy!r}, prompt {prompt_id}, sample {sample_id}, step {step}".format(**failure)
        say(f"{place}: {failure['reason']}", error=True)
    return refused(f"{len(failures)} texts could not be drawn (failures.json); the scores leave them out", FAILED)
