"""`temp-processors run`: the configuration, the run, its table and page, and one line for whatever goes wrong."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.console import Console

from temp_processors.cli.collector import keep_what_is_imported
from temp_processors.cli.console import InertConsole
from temp_processors.cli.errors import INTERRUPTED, refused, told
from temp_processors.cli.finished import (
    failed,
    fixed_temperatures,
    push,
    refuse_push,
    show_run,
    tell_report,
    written_report,
)
from temp_processors.cli.tracking import log_run, trackers

if TYPE_CHECKING:
    from temp_processors.config.experiment import ExperimentConfig
    from temp_processors.config.yaml_lines import YamlSource
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
Verbose = Annotated[
    bool, typer.Option("--verbose", help="Show the signature of every score, all differences and whole texts.")
]
Source = tuple["Path | YamlSource", Sequence[str], Path | None]
"""Where a configuration comes from, its file or its data, and what `--set` and `--out` change of it."""


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
    samples: Annotated[int | None, typer.Option(help="Without CONFIG: texts for every prompt and policy; 16.")] = None,
    task: Annotated[Path | None, typer.Option(help="Without CONFIG: a file with what stands under `task:`.")] = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Say what would run, and stop.")] = False,
    overwrite: Overwrite = False,
    resume: Annotated[bool, typer.Option("--resume", help="Go on with a run that stopped.")] = False,
    allow_code_execution: AllowCode = False,
    report: Annotated[bool, typer.Option(help="End with the page and the tables as files.")] = True,
    plots: Annotated[bool, typer.Option("--plots", help="Write the pictures for a paper too, into plots/.")] = False,
    show: Annotated[bool, typer.Option("--open", help="Open the page in the browser.")] = False,
    log: Annotated[
        list[str] | None, typer.Option("--log", help="Log the scores to trackio, wandb or tensorboard; repeatable.")
    ] = None,
    verbose: Verbose = False,
    quiet: Quiet = False,
    push_to_hub: Annotated[
        str | None, typer.Option("--push-to-hub", help="Upload run and page to this dataset repository: USER/NAME.")
    ] = None,
) -> None:
    """Generate continuations under every policy of CONFIG, or of --model at --temperatures, and compare their diversity."""
    first = os.environ.get("RANK", "0") == "0"
    from temp_processors.runs.folder import RunFolderError

    console = InertConsole(quiet=not first or (quiet and not dry_run))
    chosen = {
        "--model": model,
        "--prompt": prompt,
        "--temperatures": temperatures,
        "--samples": samples,
        "--task": task,
    }
    if not report and (plots or show):
        raise refused(f"{'--plots' if plots else '--open'}: --no-report leaves the page out")
    logged = trackers(log or ())
    source = _source(config, chosen), overrides or (), out
    plan = planned(*source, console)
    if dry_run:
        _say_where(plan, source, console)
        return
    if push_to_hub is not None:
        refuse_push(push_to_hub)
    how = {"overwrite": overwrite, "resume": resume, "allow_code_execution": allow_code_execution}
    run = run_planned(plan, source, console, **how)
    if not first:
        return
    progress = InertConsole(stderr=True, quiet=console.quiet)
    page = written_report(run, progress, plots=plots) if report else None  # files before the terminal
    with told(OSError, RunFolderError):
        show_run(run, fixed_temperatures(plan.config), console, verbose=verbose)
    if page is not None:
        tell_report(run, page, console, show=show)
    for tracker in logged:
        log_run(tracker, run, plan.config, console)
    if push_to_hub is not None:
        push(run, push_to_hub, console)
    if run.failures:
        raise failed(run.failures)


def _source(config: Path | None, chosen: dict[str, Any]) -> Path | YamlSource:
    """The file of a configuration, or the data of one that options describe."""
    given = [option for option, value in chosen.items() if value not in (None, [])]
    if config is not None:
        if given:
            raise refused(f"{given[0]}: CONFIG says it already; change it with --set, or leave CONFIG out")
        return config
    from temp_processors.cli.without_file import config_data

    missing = [option for option in ("--prompt", "--temperatures") if not chosen[option]]
    if missing:
        raise refused(f"give CONFIG, or a run without a file: {missing[0]} is missing")
    from temp_processors.config.yaml_lines import YamlSource

    with told(ValueError):
        data = config_data(
            chosen["--model"] or "fox",
            chosen["--prompt"],
            chosen["--temperatures"],
            chosen["--task"],
            samples=chosen["--samples"],
        )
    return YamlSource("the command line", data)


def planned(config: Path | YamlSource, overrides: Sequence[str], out: Path | None, console: Console) -> Plan:
    """What to run, after a line that says how much it is."""
    from temp_processors.config.loading import load_config, located
    from temp_processors.config.prompts import PromptError
    from temp_processors.config.yaml_lines import ConfigError
    from temp_processors.experiment.plan import Plan

    try:
        plan = Plan(_with_checkpoint(load_config(config, overrides, out), (config, overrides, out)))
        console.print(f"{plan.config.name}: {plan}", soft_wrap=True)
        for note in plan.config.task.notes() if plan.config.task is not None else ():
            console.print(note, soft_wrap=True)
    except PromptError as error:
        raise refused(str(located(ConfigError([error.problem]), config, overrides, out))) from error
    except ConfigError as error:
        raise refused(str(error)) from error
    return plan


def _with_checkpoint(config: ExperimentConfig, source: Source) -> ExperimentConfig:
    """The configuration with every `kind: checkpoint` filled in."""
    if not any(named.policy.needs_model for named in config.policies):
        return config
    from temp_processors.config.loading import located
    from temp_processors.config.yaml_lines import ConfigError
    from temp_processors.engines.model_errors import ModelError
    from temp_processors.experiment.checkpoint import before_loading

    try:
        return before_loading(config)
    except ConfigError as error:
        raise refused(str(located(error, *source))) from error
    except ModelError as error:
        raise refused(str(error)) from error


def _say_where(plan: Plan, source: Source, console: Console) -> None:
    """Look up the model of a plan, without reading its weights; refuse what the run itself would refuse before it draws."""
    from temp_processors.config.loading import located
    from temp_processors.config.sections import model_spec
    from temp_processors.config.yaml_lines import ConfigError
    from temp_processors.engines.model_errors import ModelError
    from temp_processors.engines.sources import find_model
    from temp_processors.experiment.early import check_prompts, refuse_unwritable, scored_by

    try:
        refuse_unwritable(plan.config)
        scored_by(plan.config)
    except ConfigError as error:
        raise refused(str(located(error, *source))) from error
    spec = model_spec(plan.config.model)
    if plan.config.engine == "openai":
        console.print(f"model: {spec.name}: at a server", markup=False, soft_wrap=True)
        return
    with told(ModelError):
        found = find_model(spec)
        console.print(f"model: {spec.name}: {found.described}", markup=False, soft_wrap=True)
        check_prompts(plan, found)
    if any(named.policy.of_checkpoint for named in plan.config.policies):
        from temp_processors.experiment.sampler_stack import checkpoint_lines

        for line in checkpoint_lines(plan.config):
            console.print(line, markup=False, soft_wrap=True)


def run_planned(plan: Plan, source: Source, console: Console, **how: bool) -> Run:
    """Run a plan, with one line for whatever goes wrong."""
    from transformers.utils import logging as transformers_logging

    from temp_processors.config.loading import located
    from temp_processors.config.yaml_lines import ConfigError
    from temp_processors.engines.engine import ModelError
    from temp_processors.experiment.processes import LaunchError
    from temp_processors.experiment.run import run_experiment
    from temp_processors.runs.folder import RunFolderError

    keep_what_is_imported()
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
