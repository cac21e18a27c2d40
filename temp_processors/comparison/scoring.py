"""Scores of texts from files, datasets and runs: behind the commands `score` and `compare`."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from itertools import islice
from typing import Any

from rich.console import Console
from rich.progress import Progress, SpinnerColumn, TextColumn

from temp_processors.comparison.compare import compare_groups
from temp_processors.comparison.groups import cut_of
from temp_processors.comparison.notes import length_notes
from temp_processors.comparison.sources import Columns, by_name, read_sources, read_texts, refuse_repeated
from temp_processors.datafiles import expanded
from temp_processors.metrics import STREAMED, StreamedTexts, metric_by_name, stream_needs
from temp_processors.metrics.streaming import DECIDING
from temp_processors.metrics.tokenizers import TOKENIZERS, share_without_spaces, splitter

DEFAULT_METRICS = ("distinct_1", "distinct_2", "distinct_3", "distinct_4", "self_bleu_4", "unique_share", "mean_length")
"""Scored by default, with perplexity where it is known."""
UPDATE_EVERY = 10_000
"""Texts between two progress updates."""

Scores = dict[str, dict[str, dict[str, Any]]]


@dataclass(frozen=True)
class Scored:
    """Scores of groups, and what a reader of them has to know.

    Args:
        scores: Group -> metric -> score, as `compare_groups` gives them.
        notes: How texts were paired, cut or left out, in sentences.
    """

    scores: Scores
    notes: list[str]


def score_sources(sources: Sequence[str], metrics: Sequence[str] = (), **options: Any) -> Scores:
    """The scores of `scored_sources`, without the notes.

    Example:
        >>> path = tmp_path / "texts.jsonl"
        >>> _ = path.write_text('{"text": "a b", "T": 1}\\n{"text": "a c", "T": 1}\\n')
        >>> score_sources([str(path)], ["distinct_1"], group_by="T")["1"]["distinct_1"]["value"]
        0.75
    """
    return scored_sources(sources, metrics, **options).scores


def scored_sources(
    sources: Sequence[str],
    metrics: Sequence[str] = (),
    *,
    baseline: str | None = None,
    primary: str | None = None,
    text_column: str = "text",
    group_by: str | None = None,
    prompt_column: str | None = None,
    split: str = "train",
    length: str = "paired",
    tokenizer: Any = "auto",
) -> Scored:
    """Scores of every group of the sources, as `compare_groups` gives them; other arguments as for `read_groups`.

    Args:
        metrics: Names of metrics; the usual ones by default, with perplexity where all sources are runs.
        baseline: Name of the group that all others are compared with. By default that of the configuration for a run, for several
            sources with groups of one name the group of that name in the first, else the first group.
        primary, length: As for `compare_groups`.
        tokenizer: As for `temp_processors.metrics.tokenize`.

    Raises:
        RowsError: As `read_groups`.
        ValueError: As `compare_groups`.
    """
    sourced = read_sources(sources, Columns(text_column, group_by, prompt_column), split=split)
    groups = sourced.groups
    known = all(group.log_probs is not None for group in groups.values())
    chosen = metrics or (*DEFAULT_METRICS, *(["perplexity"] if known else []))
    scores = compare_groups(
        groups, chosen, baseline or sourced.baselines, length=length, tokenizer=tokenizer, primary=primary
    )
    return Scored(scores, [*sourced.notes, *length_notes(scores)])


def stream_sources(
    sources: Sequence[str],
    metrics: Sequence[str] = (),
    *,
    text_column: str = "text",
    group_by: str | None = None,
    split: str = "train",
    length: str = "full",
    tokenizer: Any = "auto",
) -> Scores:
    """Scores of every group of sources that may be larger than memory: texts are read once and not kept.

    There are no intervals and no differences, for which texts would be scored again and again. Other arguments as for `read_groups`.

    Args:
        metrics: Names of `temp_processors.metrics.STREAMED`; the usual ones among them by default.
        length: `full` or `first:K`.
        tokenizer: As for `temp_processors.metrics.tokenize`; `auto` decides once, by the first thousand texts of every source.

    Raises:
        RowsError: As `read_groups`.
        ValueError: A metric or a length that needs all texts at once.

    Example:
        >>> path = tmp_path / "texts.txt"
        >>> _ = path.write_text("a b\\na c\\n")
        >>> stream_sources([str(path)], ["distinct_1"])["texts"]["distinct_1"]["value"]
        0.75
    """
    if length in ("paired", "matched"):
        raise ValueError(f"`length` {length} needs all texts at once; a stream takes full or first:K")
    sources = [expanded(source) for source in sources]
    refuse_repeated(sources)
    chosen = metrics or [name for name in DEFAULT_METRICS if name in STREAMED]
    needs, first = stream_needs(chosen), cut_of(length)
    read = partial(read_texts, text_column=text_column, group_by=group_by, split=split)
    first_texts = (
        [text for source in sources for _, text in islice(read(source), DECIDING)] if tokenizer == "auto" else []
    )
    chosen_tokenizer, without_spaces = splitter(tokenizer, first_texts), share_without_spaces(first_texts)
    streams: dict[tuple[str, str], StreamedTexts] = {}
    for source in sources:
        for name, text in _with_progress(read(source)):
            if (source, name) not in streams:
                streams[source, name] = StreamedTexts(needs, tokenizer=chosen_tokenizer, first=first)
            streams[source, name].add([text])
    return by_name(
        {key: {name: _row(name, stream, without_spaces) for name in chosen} for key, stream in streams.items()}
    )


def streamed_sources(sources: Sequence[str], metrics: Sequence[str] = (), **options: Any) -> Scored:
    """The scores of `stream_sources` with their notes."""
    scores = stream_sources(sources, metrics, **options)
    return Scored(scores, length_notes(scores))


def tokenizer_named(name: str) -> Any:
    """What `tokenize` takes: a name that it knows, or the tokenizer of a model folder, of a Hub id or of `fox`.

    Raises:
        ValueError: There is no such tokenizer.
    """
    if name in TOKENIZERS:
        return name
    from transformers import AutoTokenizer

    from temp_processors.fox import FOX_PATH

    try:
        return AutoTokenizer.from_pretrained(FOX_PATH if name == "fox" else expanded(name))
    except (OSError, ValueError) as error:
        raise ValueError(f"{name}: is neither {' nor '.join(TOKENIZERS)} nor a model with a tokenizer") from error


def _row(metric: str, stream: StreamedTexts, without_spaces: float) -> dict[str, Any]:
    row = metric_by_name(metric)(stream).to_dict()
    share = {"letters_without_spaces": without_spaces} if without_spaces else {}
    return {**row, "counts": {**row["counts"], **share}, "interval": None, "difference": None}


def _with_progress(texts: Iterable[tuple[str, str]]) -> Iterator[tuple[str, str]]:
    """The texts, with their number on a terminal after every `UPDATE_EVERY`."""
    console = Console(stderr=True)
    if not console.is_terminal:
        yield from texts
        return
    with Progress(SpinnerColumn(), TextColumn("{task.completed:,.0f} texts"), console=console, transient=True) as bar:
        task = bar.add_task("scoring", total=None, visible=False)
        for number, item in enumerate(texts, start=1):
            if number % UPDATE_EVERY == 0:
                bar.update(task, completed=number, visible=True)
            yield item
