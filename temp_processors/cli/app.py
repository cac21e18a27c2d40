"""The console command `temp-processors`. Every subcommand is a thin door to a function that Python callers use too."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console

from temp_processors.cli.explore import explore_command
from temp_processors.cli.run import run_command
from temp_processors.report.page import report_command
from temp_processors.report.softmax import softmax_command
from temp_processors.version import __version__

app = typer.Typer(no_args_is_help=True, add_completion=False, pretty_exceptions_enable=False, rich_markup_mode=None)
USER_ERROR = 2
app.command("run")(run_command)
app.command("report")(report_command)
app.command("softmax")(softmax_command)
app.command("explore")(explore_command)


@app.callback(invoke_without_command=True)
def about(version: Annotated[bool, typer.Option("--version", help="Print the version.")] = False) -> None:
    """Temperature for Hugging Face generation: run experiments and score what they generate."""
    if version:
        typer.echo(__version__)
        raise typer.Exit


Sources = Annotated[list[str], typer.Argument(help="Files (text, JSONL, CSV, Parquet), run folders, datasets.")]
MetricNames = Annotated[list[str] | None, typer.Option("--metric", help="distinct_2, self_bleu_4...; repeatable.")]
Baseline = Annotated[str | None, typer.Option(help="Group that the others are compared with; the first by default.")]
TextColumn = Annotated[str, typer.Option(help="Column that holds the text.")]
GroupBy = Annotated[str | None, typer.Option(help="Column whose values make the groups.")]
Split = Annotated[str, typer.Option(help="Part of a dataset.")]
Length = Annotated[
    str | None,
    typer.Option(
        help="Tokens that are scored: paired, text i of every group cut to the shortest of these (what happens unless --stream is given); "
        "matched, all to the shortest of all; first:K; full."
    ),
]
TokenizerName = Annotated[
    str, typer.Option(help="whitespace, characters, or a model whose tokenizer counts: a folder, a Hub id, fox.")
]


@app.command()
def score(
    sources: Sources,
    metrics: MetricNames = None,
    baseline: Baseline = None,
    text_column: TextColumn = "text",
    group_by: GroupBy = None,
    split: Split = "train",
    length: Length = None,
    tokenizer: TokenizerName = "whitespace",
    stream: Annotated[
        bool, typer.Option("--stream", help="Read texts once and keep none: for files larger than memory.")
    ] = False,
    out: Annotated[Path, typer.Option(help="Folder for metrics.json and comparison.md, .tex.")] = Path("scores"),
) -> None:
    """Score texts that are already there, and write metrics.json and the table."""
    if stream and baseline is not None:
        raise _refused("--baseline: a stream has no differences; leave out --stream")
    cut = length or ("full" if stream else "paired")
    options = {"text_column": text_column, "group_by": group_by, "split": split, "length": cut, "tokenizer": tokenizer}
    scores = _scored(sources, metrics, options if stream else {**options, "baseline": baseline}, stream)
    from temp_processors.report.table import write_tables

    try:
        out.mkdir(parents=True, exist_ok=True)
        text = json.dumps({"policies": scores}, indent=2, ensure_ascii=False) + "\n"
        (out / "metrics.json").write_text(text, encoding="utf-8")
        write_tables(out)
    except OSError as error:
        raise _refused(f"{out}: cannot be written: {error.strerror}") from error
    typer.echo(f"scores: {out / 'metrics.json'}")


@app.command()
def compare(
    sources: Sources,
    metrics: MetricNames = None,
    baseline: Baseline = None,
    text_column: TextColumn = "text",
    group_by: GroupBy = None,
    split: Split = "train",
    length: Length = None,
    tokenizer: TokenizerName = "whitespace",
) -> None:
    """Put runs or files side by side: values, intervals, and which differences to the baseline are real."""
    options = {
        "text_column": text_column,
        "group_by": group_by,
        "split": split,
        "length": length or "paired",
        "tokenizer": tokenizer,
    }
    scores = _scored(sources, metrics, {**options, "baseline": baseline})
    from temp_processors.report.table import difference_table

    if len(scores) > 1:
        Console(highlight=False).print(difference_table(scores))


def _scored(
    sources: list[str], metrics: list[str] | None, options: dict[str, Any], stream: bool = False
) -> dict[str, Any]:
    """Scores of the sources, shown as a table."""
    from temp_processors.comparison.notes import length_notes
    from temp_processors.comparison.scoring import score_sources, stream_sources, tokenizer_named
    from temp_processors.report.table import footnotes, metric_table

    try:
        options["tokenizer"] = tokenizer_named(options["tokenizer"])
        scores = (stream_sources if stream else score_sources)(sources, metrics or (), **options)
    except ValueError as error:
        raise _refused(str(error)) from error
    console = Console(highlight=False)
    console.print(metric_table(scores))
    for note in [*footnotes(scores), *length_notes(scores)]:
        console.print(note, style="dim", markup=False)
    return scores


def _refused(message: str) -> typer.Exit:
    typer.echo(message, err=True)
    return typer.Exit(USER_ERROR)


def main() -> None:
    """Entry point of the console command."""
    app()
