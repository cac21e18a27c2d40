"""`temp-processors compare`: runs or files side by side, on the terminal."""

from __future__ import annotations

from typing import Annotated

import typer

from temp_processors.cli.errors import told
from temp_processors.cli.scoring import (
    Baseline,
    GroupBy,
    Length,
    MetricNames,
    Primary,
    PromptColumn,
    Sources,
    Split,
    TextColumn,
    TokenizerName,
    Verbose,
    scores_of,
    show,
    split_of,
)
from temp_processors.cli.traced import show_reweighted, show_traced


def compare_command(
    sources: Sources,
    metrics: MetricNames = None,
    baseline: Baseline = None,
    primary: Primary = None,
    text_column: TextColumn = "text",
    group_by: GroupBy = None,
    prompt_column: PromptColumn = None,
    split: Split = None,
    length: Length = None,
    tokenizer: TokenizerName = "auto",
    verbose: Verbose = False,
    at: Annotated[
        float | None,
        typer.Option(
            help="Scores at this temperature instead, reweighted from the traces of runs at fixed temperatures."
        ),
    ] = None,
) -> None:
    """Put runs or files side by side: values and differences to the baseline, with 95 % intervals and verdicts."""
    from temp_processors.datafiles import expanded

    with told(ValueError):
        sources = [expanded(source) for source in sources]
    part = split_of(split, sources)
    if at is not None:
        show_reweighted(sources, at, metrics, tokenizer)
        return
    options = {
        "text_column": text_column,
        "group_by": group_by,
        "prompt_column": prompt_column,
        "split": part,
        "length": length or "paired",
        "tokenizer": tokenizer,
    }
    show(scores_of(sources, metrics, {**options, "baseline": baseline, "primary": primary}), verbose=verbose)
    show_traced(sources)
