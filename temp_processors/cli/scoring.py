"""What `score` and `compare` share: their options, and the scores of the sources with their tables."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Annotated, Any

import typer

from temp_processors.cli.console import InertConsole
from temp_processors.cli.errors import refused, told

if TYPE_CHECKING:
    from temp_processors.comparison.scoring import Scored

Sources = Annotated[list[str], typer.Argument(help="Files (text, JSONL, CSV, Parquet), run folders, datasets.")]
MetricNames = Annotated[list[str] | None, typer.Option("--metric", help="distinct_2, self_bleu_4...; repeatable.")]
Baseline = Annotated[str | None, typer.Option(help="Group that the others are compared with; the first by default.")]
Primary = Annotated[
    str | None,
    typer.Option(
        help="The metric chosen beforehand: its p-values are corrected over the groups alone, not over the whole table."
    ),
]
TextColumn = Annotated[str, typer.Option(help="Column that holds the text.")]
GroupBy = Annotated[str | None, typer.Option(help="Column whose values make the groups.")]
PromptColumn = Annotated[
    str | None,
    typer.Option(
        help="Column whose values name the prompts; texts of one prompt are no independent ones.",
        show_default="prompt_id",
    ),
]
Split = Annotated[str | None, typer.Option(help="Part of a dataset.", show_default="train")]
Length = Annotated[
    str | None,
    typer.Option(
        help="Tokens that are scored: paired, whole texts, and differences of texts cut pair by pair to equal lengths (what happens unless "
        "--stream is given); matched, all cut to the shortest of all; first:K; full."
    ),
]
TokenizerName = Annotated[
    str,
    typer.Option(
        help="auto (by script: characters for Chinese, Japanese, Thai..., else whitespace), whitespace, characters, 13a, intl, or a model "
        "whose tokenizer counts: a folder, a Hub id, fox."
    ),
]

Verbose = Annotated[
    bool, typer.Option("--verbose", help="Show the signature of every score, and all differences of many groups.")
]


def split_of(split: str | None, sources: Sequence[str]) -> str:
    """The part of a dataset that is read, `train` by default; a choice of it ends the command where no source is a dataset."""
    if split is None:
        return "train"
    from temp_processors.comparison.sources import is_dataset
    from temp_processors.datafiles import expanded

    with told(ValueError):
        found = any(is_dataset(expanded(source)) for source in sources)
    if not found:
        raise refused(f"--split: is for datasets, but {', '.join(sources)} {'is' if len(sources) == 1 else 'are'} none")
    return split


def scores_of(
    sources: list[str], metrics: list[str] | None, options: dict[str, Any], *, stream: bool = False
) -> Scored:
    """The scores of the sources; a mistake in options or files ends the command."""
    named = metrics or []
    for place, name in enumerate(named):
        if name in named[:place]:
            raise refused(f"--metric: names {name} twice")
    from temp_processors.comparison.scoring import scored_sources, streamed_sources, tokenizer_named

    with told(ValueError):
        options["tokenizer"] = tokenizer_named(options["tokenizer"])
        return (streamed_sources if stream else scored_sources)(sources, metrics or (), **options)


def show(scored: Scored, *, verbose: bool = False) -> None:
    """Print values, differences and notes."""
    from temp_processors.report.table import show_scores

    show_scores(scored.scores, InertConsole(), scored.notes, verbose=verbose)
