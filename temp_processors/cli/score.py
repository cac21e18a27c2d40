"""`temp-processors score`: metrics.json and the tables for texts that are already there."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated

import typer

from temp_processors.cli.console import say
from temp_processors.cli.errors import refused, told
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
    scores_of,
    show,
)


def score_command(
    sources: Sources,
    metrics: MetricNames = None,
    baseline: Baseline = None,
    primary: Primary = None,
    text_column: TextColumn = "text",
    group_by: GroupBy = None,
    prompt_column: PromptColumn = None,
    split: Split = "train",
    length: Length = None,
    tokenizer: TokenizerName = "auto",
    stream: Annotated[
        bool, typer.Option("--stream", help="Read texts once and keep none: for files larger than memory.")
    ] = False,
    out: Annotated[Path, typer.Option(help="Folder for metrics.json and comparison.csv, .md, .tex.")] = Path("scores"),
) -> None:
    """Score texts that are already there, and write metrics.json and the tables."""
    for option, value in {"--baseline": baseline, "--primary": primary}.items():
        if stream and value is not None:
            raise refused(f"{option}: a stream has no differences; leave out --stream")
    if stream and prompt_column is not None:
        raise refused("--prompt-column: a stream has no intervals, for which prompts matter; leave out --stream")
    from temp_processors.datafiles import expanded_path

    with told(ValueError):
        out = expanded_path(out)
    cut = length or ("full" if stream else "paired")
    options = {"text_column": text_column, "group_by": group_by, "split": split, "length": cut, "tokenizer": tokenizer}
    compared = {} if stream else {"baseline": baseline, "primary": primary, "prompt_column": prompt_column}
    scored = scores_of(sources, metrics, {**options, **compared}, stream=stream)
    from temp_processors.comparison.spreadsheet import as_csv
    from temp_processors.report.documents import write_tables

    try:
        out.mkdir(parents=True, exist_ok=True)
        text = json.dumps({"policies": scored.scores}, indent=2, ensure_ascii=False) + "\n"
        (out / "metrics.json").write_text(text, encoding="utf-8")
        (out / "comparison.csv").write_text(as_csv(scored.scores), encoding="utf-8")
        write_tables(out)
    except OSError as error:
        raise refused(f"{out}: cannot be written: {error.strerror}") from error
    show(scored)
    say(f"scores: {out / 'metrics.json'}")
