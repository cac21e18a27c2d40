"""Texts that something else generated, or finished runs, as groups to compare: behind the commands `score` and `compare`."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from temp_processors.comparison import Group, compare_groups
from temp_processors.experiment.store import Run
from temp_processors.rows import RowsError, column_of, read_dataset, read_rows

TEXT_METRICS = ("distinct_1", "distinct_2", "distinct_3", "distinct_4", "self_bleu_4", "unique_share", "mean_length")
"""What is measured when nobody names metrics."""


def read_groups(
    sources: Sequence[str], *, text_column: str = "text", group_by: str | None = None, split: str = "train"
) -> dict[str, Group]:
    """Groups of texts from files, run folders and datasets.

    Args:
        sources: Files (text, JSONL, CSV, Parquet), run folders (a group for each policy), datasets folders or Hub ids.
        text_column: Column that holds the text.
        group_by: Column whose values name the groups; by default every source is one group.
        split: Part of a dataset.

    Returns:
        Groups by name; names of groups that several sources share get the name of their source in front.

    Raises:
        RowsError: A source cannot be read, lacks a column, or holds something that is not a text.
    """
    found = [
        (source, name, group) for source in sources for name, group in _groups(source, text_column, group_by, split)
    ]
    names = [name for _, name, _ in found]
    groups = {name if names.count(name) == 1 else f"{source}: {name}": group for source, name, group in found}
    if len(groups) < len(found):
        raise RowsError(f"{', '.join(sources)}: a source is named twice")
    return groups


def score_sources(
    sources: Sequence[str],
    metrics: Sequence[str] = (),
    *,
    baseline: str | None = None,
    text_column: str = "text",
    group_by: str | None = None,
    split: str = "train",
) -> dict[str, dict[str, dict[str, Any]]]:
    """Scores of every group of the sources, as `compare_groups` gives them.

    Args:
        metrics: Names of metrics; the usual ones by default, with perplexity where all sources are runs.

    Raises:
        RowsError: As `read_groups`.
        ValueError: As `compare_groups`.

    Example:
        >>> path = tmp_path / "texts.jsonl"
        >>> _ = path.write_text('{"text": "a b", "T": 1}\\n{"text": "a c", "T": 1}\\n')
        >>> score_sources([str(path)], ["distinct_1"], group_by="T")["1"]["distinct_1"]["value"]
        0.75
    """
    groups = read_groups(sources, text_column=text_column, group_by=group_by, split=split)
    known = all(group.log_probs is not None for group in groups.values())
    chosen = metrics or (*TEXT_METRICS, *(["perplexity"] if known else []))
    return compare_groups(groups, chosen, baseline)


def _groups(source: str, text_column: str, group_by: str | None, split: str) -> Iterator[tuple[str, Group]]:
    path = Path(source)
    if (path / "samples.jsonl").is_file():
        yield from _of_run(path)
        return
    name = path.stem if path.is_file() else source
    rows = read_rows(path, text_column) if path.is_file() or path.suffix else iter(read_dataset(source, None, split))
    texts: dict[str, list[str]] = {}
    for number, row in enumerate(rows, start=1):
        where = f"{source}: row {number}"
        text = column_of(row, text_column, where)
        if not isinstance(text, str):
            raise RowsError(f"{where}: {text_column!r} has to be a text, but is {text!r}")
        group = name if group_by is None else str(column_of(row, group_by, where))
        texts.setdefault(group, []).append(text)
    if not texts:
        raise RowsError(f"{source}: holds no texts")
    for group, held in texts.items():
        yield group, Group(held, [(0, place) for place in range(len(held))])


def _of_run(path: Path) -> Iterator[tuple[str, Group]]:
    """The policies of a run; one that is not complete is scored as far as it came."""
    folder = Run(path)
    try:
        names = dict.fromkeys(sample.policy for sample in folder.samples)
    except (json.JSONDecodeError, TypeError) as error:
        raise RowsError(f"{path / 'samples.jsonl'}: is damaged: {error}") from error
    if not names:
        raise RowsError(f"{path}: holds no samples")
    yield from folder.groups(list(names)).items()
