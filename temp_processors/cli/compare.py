"""`temp-processors compare`: runs or files side by side, on the terminal."""

from __future__ import annotations

from rich.console import Console

from temp_processors.cli.scoring import (
    Baseline,
    GroupBy,
    Length,
    MetricNames,
    PromptColumn,
    Sources,
    Split,
    TextColumn,
    TokenizerName,
    show_scores,
)


def compare_command(
    sources: Sources,
    metrics: MetricNames = None,
    baseline: Baseline = None,
    text_column: TextColumn = "text",
    group_by: GroupBy = None,
    prompt_column: PromptColumn = None,
    split: Split = "train",
    length: Length = None,
    tokenizer: TokenizerName = "whitespace",
) -> None:
    """Put runs or files side by side: values, intervals, and which differences to the baseline are real."""
    options = {
        "text_column": text_column,
        "group_by": group_by,
        "prompt_column": prompt_column,
        "split": split,
        "length": length or "paired",
        "tokenizer": tokenizer,
    }
    scores = show_scores(sources, metrics, {**options, "baseline": baseline})
    from temp_processors.comparison.notes import by_baseline
    from temp_processors.report.table import difference_table

    for part in by_baseline(scores):
        Console(highlight=False).print(difference_table(part))
