"""`temp-processors tune`: which setting to take, with fewer texts than the full grid, or without any task."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer
from rich.console import Console

from temp_processors.cli.console import InertConsole
from temp_processors.cli.errors import INTERRUPTED, refused, told
from temp_processors.cli.run import AllowCode, Config, Out, Overrides, Overwrite, Quiet, Source, planned, run_planned

if TYPE_CHECKING:
    from temp_processors.experiment.plan import Plan


def tune_command(
    config: Config,
    overrides: Overrides = None,
    out: Out = None,
    method: Annotated[
        Literal["race", "turn"],
        typer.Option(
            help="race: policies meet in rounds of prompts and leave when they cannot be best; turn: where the entropy takes off."
        ),
    ] = "race",
    rounds: Annotated[int, typer.Option(min=1, help="Looks of a race.")] = 10,
    budget: Annotated[
        int | None, typer.Option(min=1, help="Tokens after which no further round of a race begins.")
    ] = None,
    compare_families: Annotated[
        bool,
        typer.Option(
            "--compare-families", help="Tune each family of policies on half of the prompts, judge on the other."
        ),
    ] = False,
    family: Annotated[
        list[str] | None,
        typer.Option(help="NAME=PATTERN of policy names; repeatable. By default the kinds are the families."),
    ] = None,
    overwrite: Overwrite = False,
    allow_code_execution: AllowCode = False,
    quiet: Quiet = False,
) -> None:
    """Find the setting to take: by a race of the policies of CONFIG on its task, or by the turning point of the entropy."""
    from temp_processors.tuning.tune import TuneError, grid_of, turning_lines, turning_point_of

    console = InertConsole(quiet=quiet)
    plan = planned(config, overrides or (), out, console)
    if compare_families or family:
        how = {"overwrite": overwrite, "resume": not overwrite, "allow_code_execution": allow_code_execution}
        lines = _families(plan, (config, overrides or (), out), console, family or [], how)
    elif method == "turn":
        with told(TuneError):
            grid_of(plan.config)
        run = run_planned(plan, (config, overrides or (), out), console, overwrite=overwrite, resume=not overwrite)
        with told(TuneError, ValueError):
            lines = list(turning_lines(turning_point_of(run, plan.config)))
    else:
        lines = _race(
            plan, (config, list(overrides or ()), out), console, rounds, budget, overwrite, allow_code_execution
        )
    for line in lines:
        InertConsole().print(line, soft_wrap=True)


def _families(plan: Plan, source: Source, console: Console, patterns: list[str], how: dict[str, bool]) -> list[str]:
    from temp_processors.runs.folder import RunFolderError
    from temp_processors.tuning.families import FEWEST_PROMPTS, FamilyError, families_of
    from temp_processors.tuning.planning import PilotError
    from temp_processors.tuning.tune import compare_families_of

    if plan.config.task is None:
        raise refused("--compare-families needs a `task`, which says what a text is worth")
    if len(plan.prompts) < FEWEST_PROMPTS:
        raise refused(f"--compare-families needs {FEWEST_PROMPTS} prompts, but there are {len(plan.prompts)}")
    with told(FamilyError):
        families = families_of({named.name: named.policy.kind for named in plan.config.policies}, patterns)
    run = run_planned(plan, source, console, **how)
    with told(FamilyError, PilotError, RunFolderError):
        return list(compare_families_of(run, plan.config, families).lines())


def _race(
    plan: Plan,
    source: Source,
    console: Console,
    rounds: int,
    budget: int | None,
    overwrite: bool,
    allow_code_execution: bool,
) -> list[str]:
    from transformers.utils import logging as transformers_logging

    from temp_processors.config.loading import located
    from temp_processors.config.yaml_lines import ConfigError
    from temp_processors.engines.engine import ModelError
    from temp_processors.runs.folder import Run, RunFolderError
    from temp_processors.tasks.task import TaskError
    from temp_processors.tuning.tune import TuneError, run_race

    if not plan.config.coupled and plan.config.engine == "transformers":
        console.print(
            "`coupled: true` would tell the policies apart sooner: they would share their random numbers",
            soft_wrap=True,
        )
    transformers_logging.disable_progress_bar()  # one bar is enough: ours
    folder = plan.config.folder if plan.config.out is not None else Path(f"{plan.config.folder}-tune")
    try:
        result = run_race(
            plan,
            Run(folder),
            rounds=rounds,
            budget=budget,
            overwrite=overwrite,
            allow_code_execution=allow_code_execution,
            say=lambda line: console.print(line, soft_wrap=True),
            progress=InertConsole(stderr=True, quiet=console.quiet),
        )
    except ConfigError as error:
        raise refused(str(located(error, *source))) from error
    except (ModelError, RunFolderError, TaskError, TuneError) as error:
        raise refused(str(error)) from error
    except KeyboardInterrupt:
        raise refused(f"\nstopped; finished texts are in {folder}", INTERRUPTED) from None
    return [*result.lines(), f"race: {folder / 'tune.json'}"]
