"""`temp-processors list`: what a configuration can name, kinds of policy and metrics."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Annotated, Literal

import typer

from temp_processors.cli.console import say


def list_command(
    what: Annotated[Literal["policies", "metrics"], typer.Argument(help="Kinds of policy, or metrics.")],
) -> None:
    """Print the kinds of policy with their parameters, or the metrics, one paragraph or line each."""
    for line in policy_lines() if what == "policies" else metric_lines():
        say(line)


def policy_lines() -> Iterator[str]:
    """The kind, its parameters with their defaults, the formula and its source; last, what the letters of the formulas are.

    Example:
        >>> next(policy_lines())
        'fixed: temperature\\n    T, or one T per row of the batch (the softmax temperature)'
    """
    from temp_processors.policies.catalogue import entries, symbols

    for entry in entries():
        source = f" ({entry.source})" if entry.source else ""
        head = f"{entry.kind}: {entry.parameters or 'no parameters'}"
        yield f"{head}\n    {entry.formula}{source}".replace("`", "")
    yield f"\n{symbols()}".replace("`", "")


def metric_lines() -> Iterator[str]:
    """The metrics that a configuration may list: name, what a larger value means, and whether it gets an interval.

    Example:
        >>> next(metric_lines())
        'distinct_1: with an interval, larger values: more diverse'
    """
    from temp_processors.metrics.catalogue import CATALOGUE, METRIC_NAMES

    for name in METRIC_NAMES:
        metric = CATALOGUE[name]
        interval = "with an interval" if metric.influence else "without an interval"
        yield f"{name}: {interval}, larger values: {metric.larger}"
