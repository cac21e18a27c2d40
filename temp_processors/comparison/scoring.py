"""Scores of texts from files, datasets and runs: behind the commands `score` and `compare`."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from itertools import islice
from pathlib import Path
from typing import Any

from temp_processors.comparison.compare import compare_groups
from temp_processors.comparison.groups import cut_of
from temp_processors.comparison.notes import length_notes
from temp_processors.comparison.pairing import Row, baselines_of, pairing_notes, together_note
from temp_processors.comparison.places import Places, Source
from temp_processors.comparison.sources import (
    Columns,
    Configured,
    by_name,
    configured,
    configured_baselines,
    is_run,
    read_sources,
    read_texts,
    refuse_repeated,
    with_progress,
)
from temp_processors.comparison.streamed import StreamedGroup, score_streams
from temp_processors.datafiles import Position, expanded, is_there
from temp_processors.metrics import CATALOGUE, STREAMED, Needs, StreamedTexts, stream_needs
from temp_processors.metrics.scratch import Scratch
from temp_processors.metrics.streaming import DECIDING
from temp_processors.metrics.tokenizers import TOKENIZERS, share_without_spaces, splitter

DEFAULT_METRICS = ("distinct_1", "distinct_2", "distinct_3", "distinct_4", "self_bleu_4", "unique_share", "mean_length")
"""Scored by default, with perplexity where it is known."""

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


def stream_sources(sources: Sequence[str], metrics: Sequence[str] = (), **options: Any) -> Scores:
    """The scores of `streamed_sources`, without the notes.

    Example:
        >>> path = tmp_path / "texts.txt"
        >>> _ = path.write_text("a b\\na c\\n")
        >>> stream_sources([str(path)], ["distinct_1"])["texts"]["distinct_1"]["value"]
        0.75
    """
    return streamed_sources(sources, metrics, **options).scores


def streamed_sources(
    sources: Sequence[str],
    metrics: Sequence[str] = (),
    *,
    baseline: str | None = None,
    primary: str | None = None,
    text_column: str = "text",
    group_by: str | None = None,
    prompt_column: str | None = None,
    split: str = "train",
    length: str = "full",
    tokenizer: Any = "auto",
) -> Scored:
    """Scores of every group of sources that may be larger than memory: texts are read once, and their counts lie on disk.

    Values, intervals and differences equal those of `scored_sources` up to rounding. Other arguments as for `scored_sources`.

    Args:
        metrics: Names of `temp_processors.metrics.STREAMED`; the usual ones among them by default.
        length: `full`, `paired` or `first:K`.
        tokenizer: As for `temp_processors.metrics.tokenize`; `auto` decides once, by the first thousand texts of every source.

    Raises:
        RowsError: As `read_groups`.
        ValueError: A metric or a length that needs all texts at once, an unknown baseline or primary, groups that share no text, or no
            room for temporary files.
    """
    chosen = metrics or [name for name in DEFAULT_METRICS if name in STREAMED]
    needs, first = stream_needs(chosen), cut_of(length)
    whole = [name for name in chosen if CATALOGUE[name].takes == "strings"]
    if length == "matched" or (length == "paired" and whole):
        of = f" for {whole[0]}" if length == "paired" else ""
        raise ValueError(f"`length` {length} needs all texts at once{of}; a stream takes full or first:K")
    sources = [expanded(source) for source in sources]
    refuse_repeated(sources)
    columns = Columns(text_column, group_by, prompt_column)

    def read(source: str, position: Position | None = None) -> Iterator[Row]:
        return read_texts(source, columns, split=split, position=position)

    first_texts = (
        [row.text for source in sources for row in islice(read(source), DECIDING)] if tokenizer == "auto" else []
    )
    chosen_tokenizer, without_spaces = splitter(tokenizer, first_texts), share_without_spaces(first_texts)
    scratch, found, configurations, notes = Scratch(), {}, dict[str, Configured](), list[str]()
    for source, rows in with_progress(sources, read):
        configurations[source] = configured(source, group_by)
        order, _ = configurations[source]
        facts = Source(source)
        group_of = partial(_group, needs, chosen_tokenizer, first, scratch, facts)
        groups = {name: group_of() for name in order}
        for row in rows:
            if row.group not in groups:
                groups[row.group] = group_of()
            groups[row.group].add(row)
        others = sorted((name for name in groups if name not in order), key=lambda name: groups[name].places.first)
        kept = {(source, name): groups[name] for name in (*order, *others) if len(groups[name].texts)}
        found.update(kept)
        if prompt_column is None and not is_run(source):
            notes.extend(together_note(source, len(set().union(*map(_prompts, kept.values())))))
    named = by_name(found)
    baselines = baselines_of(dict(zip(named, found, strict=True)), configured_baselines(configurations))
    notes.extend(pairing_notes([_prompts(group) for group in named.values()], baselines))
    scores = score_streams(named, chosen, baseline or baselines, length=length, primary=primary)
    if without_spaces:
        for score in (score for row in scores.values() for score in row.values()):
            score["counts"]["letters_without_spaces"] = without_spaces
    return Scored(scores, [*notes, *length_notes(scores)])


def _group(needs: Needs, tokenizer: Any, first: int | None, scratch: Scratch, source: Source) -> StreamedGroup:
    texts = StreamedTexts(needs, tokenizer=tokenizer, first=first, scratch=scratch)
    return StreamedGroup(texts, Places(source, scratch))


def _prompts(group: StreamedGroup) -> set[int]:
    """A number for every prompt of a group."""
    return set(group.places.named.tolist())


def tokenizer_named(name: str) -> Any:
    """What `tokenize` takes: a name that it knows, or the tokenizer of a model folder, of a Hub id or of `fox`.

    Raises:
        ValueError: There is no such tokenizer.
    """
    if name in TOKENIZERS:
        return name
    from transformers import AutoTokenizer

    from temp_processors.datafiles.hub import only_in_cache
    from temp_processors.fox import FOX_PATH

    place, only_here = str(FOX_PATH) if name == "fox" else expanded(name), False
    try:
        only_here = not is_there(Path(place)) and only_in_cache(place)
        return AutoTokenizer.from_pretrained(place, local_files_only=only_here)
    except (OSError, ValueError) as error:
        why = " in the cache, and the Hub cannot be reached" if only_here else ""
        raise ValueError(f"{name}: is neither {' nor '.join(TOKENIZERS)} nor a model with a tokenizer{why}") from error
