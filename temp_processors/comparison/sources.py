"""Groups of texts from files, datasets and run folders: the sources of the commands `score` and `compare`."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from temp_processors.comparison.groups import Group
from temp_processors.datafiles import RowsError, column_of, read_dataset, read_rows

if TYPE_CHECKING:
    from temp_processors.runs.folder import Run


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
    refuse_repeated(sources)
    return by_name(
        {
            (source, name): group
            for source in sources
            for name, group in _groups(source, text_column, group_by, split).items()
        }
    )


def groups_of_run(run: Run, names: Sequence[str]) -> dict[str, Group]:
    """The samples of a run as groups, one for each policy of `names` that has any, in the order of prompts and samples."""
    found: dict[str, list[tuple[int, int, str, float, int]]] = {name: [] for name in names}
    for s in run.samples:
        found[s.policy].append((s.prompt_id, s.sample_id, s.text, s.log_prob, s.scored_tokens))
    groups = {}
    for name, samples in found.items():
        if samples:
            prompts, numbers, texts, log_probs, tokens = zip(*sorted(samples), strict=True)
            groups[name] = Group(texts, list(zip(prompts, numbers, strict=True)), log_probs, tokens)
    return groups


def read_texts(
    source: str, *, text_column: str = "text", group_by: str | None = None, split: str = "train", streaming: bool = True
) -> Iterator[tuple[str, str]]:
    """(group, text) of every row of one source, one at a time and at least one; arguments and errors as for `read_groups`.

    Args:
        streaming: Whether a dataset of the Hub is read as it comes instead of downloaded first.
    """
    run = Path(source, "samples.jsonl").is_file()
    rows = _of_run(Path(source)) if run else _of_rows(source, text_column, group_by, split, streaming)
    empty = True
    for name, text in rows:
        empty = False
        yield name, text
    if empty:
        raise RowsError(f"{source}: holds no {'samples' if run else 'texts'}")


def refuse_repeated(sources: Sequence[str]) -> None:
    """Raise `RowsError` when a source is named twice."""
    if len(set(sources)) < len(sources):
        raise RowsError(f"{', '.join(sources)}: a source is named twice")


def by_name(found: Mapping[tuple[str, str], Any]) -> dict[str, Any]:
    """(source, group) -> anything, by the name of the group; the source stands in front where several have a group of that name.

    Example:
        >>> by_name({("a.txt", "a"): 1, ("x", "warm"): 2, ("y", "warm"): 3})
        {'a': 1, 'x: warm': 2, 'y: warm': 3}
    """
    names = Counter(name for _, name in found)
    return {name if names[name] == 1 else f"{source}: {name}": held for (source, name), held in found.items()}


def _groups(source: str, text_column: str, group_by: str | None, split: str) -> dict[str, Group]:
    rows = read_texts(source, text_column=text_column, group_by=group_by, split=split, streaming=False)
    if Path(source, "samples.jsonl").is_file():
        from temp_processors.runs.folder import Run

        return groups_of_run(Run(Path(source)), list(dict.fromkeys(name for name, _ in rows)))
    texts: dict[str, list[str]] = {}
    for name, text in rows:
        texts.setdefault(name, []).append(text)
    return {name: Group(held, [(0, place) for place in range(len(held))]) for name, held in texts.items()}


def _of_rows(
    source: str, text_column: str, group_by: str | None, split: str, streaming: bool
) -> Iterator[tuple[str, str]]:
    path = Path(source)
    is_file = path.is_file() or bool(path.suffix)
    rows = read_rows(path, text_column) if is_file else read_dataset(source, None, split, streaming=streaming)
    for number, row in enumerate(rows, start=1):
        where = f"{source}: row {number}"
        text = column_of(row, text_column, where)
        if not isinstance(text, str):
            raise RowsError(f"{where}: {text_column!r} has to be a text, but is {text!r}")
        name = path.stem if path.is_file() else source
        yield name if group_by is None else str(column_of(row, group_by, where)), text


def _of_run(path: Path) -> Iterator[tuple[str, str]]:
    """Policies and texts of a run; one that is not complete is read as far as it came."""
    from temp_processors.runs.folder import Run

    try:
        for sample in Run(path).samples:
            yield sample.policy, sample.text
    except (json.JSONDecodeError, TypeError) as error:
        raise RowsError(f"{path / 'samples.jsonl'}: is damaged: {error}") from error
