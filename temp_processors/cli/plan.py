"""`temp-processors plan`: how many prompts and samples show a difference."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from temp_processors.cli.console import InertConsole
from temp_processors.cli.errors import refused, told
from temp_processors.cli.run import Config, Overrides, planned


def plan_command(
    config: Config,
    difference: Annotated[float, typer.Option(help="Difference of the mean score to be shown: 0.02 is 2 points.")],
    overrides: Overrides = None,
    accuracy: Annotated[
        float | None, typer.Option(help="Expected mean score, without a pilot; 0.5 by default.")
    ] = None,
    pilot: Annotated[
        Path | None, typer.Option(help="A finished run with a task, from which the spread is taken.")
    ] = None,
) -> None:
    """Say how many prompts x samples show a difference between the policies of CONFIG in 4 of 5 runs."""
    from temp_processors.comparison.sample_size import spread_from_accuracy
    from temp_processors.tuning.planning import pilot_spread, plan_lines

    if accuracy is not None and pilot is not None:
        raise refused("--accuracy: the pilot says it already; leave out one of --accuracy and --pilot")
    plan = planned(config, overrides or (), None, InertConsole(quiet=True))
    with told(ValueError):
        if pilot is not None:
            spread, source = pilot_spread(pilot), f"as spread as {pilot}"
        else:
            expected = 0.5 if accuracy is None else accuracy
            spread, source = spread_from_accuracy(expected), f"an accuracy of {expected:g} assumed"
        settings = plan.config
        counts = len(settings.policies), len(plan.prompts), settings.samples_per_prompt
        lines = plan_lines(spread, difference, *counts, told=source)
    for line in lines:
        InertConsole().print(line, soft_wrap=True)
