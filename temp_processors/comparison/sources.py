"""Groups of texts from files, datasets and run folders: the sources of the commands `score` and `compare`."""

from __future__ import annotations

import math
import os
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import chain
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeAlias

from temp_processors.comparison.groups import Group
from temp_processors.comparison.pairing import (
    NO_PROMPT,
    PROMPT_COLUMN,
    Row,
    baselines_of,
    keys_of,
    pairing_notes,
    together_note,
    unnamed_prompts,
)
from temp_processors.comparison.progress import Meter
from temp_processors.config.yaml_lines import ConfigError, read_yaml
from temp_processors.datafiles import (
    DataFile,
    Position,
    RowsError,
    column_of,
    expanded,
    is_file_name,
    read_dataset,
    read_rows,
    text_of,
)
from temp_processors.inert import lines

if TYPE_CHECKING:
    from temp_processors.runs.sample import Sample
    from temp_processors.runs.writing import DrawnText


Configured: TypeAlias = tuple[list[str], str | None]
UPDATE_EVERY = 10_000
"""Texts between two progress updates."""


@dataclass(frozen=True)
class Sourced:
    """Groups of texts, and how they are to be compared.

    Args:
        groups: By name, in the order of the sources and of the configurations of runs.
        baselines: What every group is compared with; a group that is not here is a baseline.
        notes: What a reader of the comparison has to know, in sentences.
    """

    groups: dict[str, Group]
    baselines: dict[str, str]
    notes: list[str]


@dataclass(frozen=True)
class Columns:
    """Which columns of a file or dataset hold what.

    Args:
        text: The text.
        group: What names its group; None puts all texts of a source into one.
        prompt: What names its prompt; None takes `prompt_id` where there is one.
    """

    text: str = "text"
    group: str | None = None
    prompt: str | None = None


def read_sources(sources: Sequence[str], columns: Columns = Columns(), *, split: str = "train") -> Sourced:
    """Groups of texts from files, run folders and datasets, with their baselines.

    Args:
        sources: Files (text, JSONL, CSV, Parquet), run folders (a group for each policy), datasets folders or Hub ids.
        columns: What the columns of files and datasets hold.
        split: Part of a dataset.

    Raises:
        RowsError: A source cannot be read, lacks a column, or holds something that is not a text; or one source names the prompts of
            its texts and another does not.
    """
    sources = [expanded(source) for source in sources]
    refuse_repeated(sources)
    found, notes, configurations = {}, list[str](), dict[str, Configured]()
    for source, held in with_progress(
        sources, lambda source, position: _rows(source, columns, split, streaming=False, position=position)
    ):
        rows = list(held)
        configurations[source] = configured(source, columns.group)
        order, _ = configurations[source]
        found.update({(source, name): group for name, group in grouped(rows, order).items()})
        if columns.prompt is None and not is_run(source):
            notes.extend(together_note(source, len({row.prompt for row in rows})))
    found = _unnamed(found)
    groups = by_name(found)
    baselines = baselines_of(dict(zip(groups, found, strict=True)), configured_baselines(configurations))
    prompts = [{prompt for prompt, _ in group.keys} for group in groups.values()]
    return Sourced(groups, baselines, [*notes, *pairing_notes(prompts, baselines)])


def read_groups(
    sources: Sequence[str],
    *,
    text_column: str = "text",
    group_by: str | None = None,
    prompt_column: str | None = None,
    split: str = "train",
) -> dict[str, Group]:
    """Groups of texts from files, run folders and datasets, as `read_sources` gives them.

    Args:
        sources: As for `read_sources`.
        text_column: Column that holds the text.
        group_by: Column whose values name the groups; by default every source is one group.
        prompt_column: Column whose values name the prompts; `prompt_id` by default, where there is one.
        split: Part of a dataset.

    Returns:
        Groups by name; names of groups that several sources share get the name of their source in front.
    """
    return read_sources(sources, Columns(text_column, group_by, prompt_column), split=split).groups


def groups_of_run(samples: Iterable[Sample | DrawnText], names: Sequence[str]) -> dict[str, Group]:
    """The samples of a run as groups, one for each policy of `names` that has any, in the order of prompts and samples."""
    rows = list(_of_samples(samples))
    return {name: group for name, group in grouped(rows, names).items() if name in names}


def configured(source: str, group_by: str | None = None) -> Configured:
    """Names of the policies of a run, in the order of its configuration, and its baseline; the first policy by default.

    Args:
        source: A run folder, or the `samples.jsonl` of one that is grouped by policy; anything else is not configured.
        group_by: Column that makes the groups of a file.
    """
    path = Path(source)
    if not is_run(source):
        if path.name != "samples.jsonl" or group_by != "policy":
            return [], None
        path = path.parent
    held = configuration(path)
    names = [str(policy["name"]) for policy in held.get("policies", [])]
    return (names, held.get("baseline") or names[0]) if names else ([], None)


def configuration(run: Path) -> dict[str, Any]:
    """`config.yaml` of a run as data; empty where it is missing or damaged, since samples alone can be scored as well."""
    try:
        held = read_yaml(run / "config.yaml").data
    except ConfigError:
        return {}
    policies = held.get("policies") if isinstance(held, dict) else None
    named = isinstance(policies, list) and all(isinstance(policy, dict) and "name" in policy for policy in policies)
    return held if named else {}


def read_texts(
    source: str, columns: Columns = Columns(), *, split: str = "train", position: Position | None = None
) -> Iterator[Row]:
    """Every text of one source, one at a time and at least one; a dataset of the Hub is read as it comes instead of downloaded first.

    Other arguments and errors as for `read_sources`.

    Args:
        position: Is moved on as a file is read.
    """
    return _rows(expanded(source), columns, split, streaming=True, position=position)


def size_of(sources: Iterable[str]) -> int | None:
    """Bytes of all sources together where these are files; None where one is a run or a dataset, whose reading has no position."""
    paths = [Path(source) for source in sources]
    return sum(path.stat().st_size for path in paths) if all(path.is_file() for path in paths) else None


def configured_baselines(found: Mapping[str, Configured]) -> dict[str, str]:
    """The baseline of every source whose configuration names one, by source."""
    return {source: baseline for source, (_, baseline) in found.items() if baseline is not None}


def with_progress(
    sources: Sequence[str], read: Callable[[str, Position], Iterator[Row]]
) -> Iterator[tuple[str, Iterator[Row]]]:
    """Every source with its rows; how far reading came is shown on standard error, with the time left where all sources are files."""
    position, total, texts = Position(), size_of(sources), 0
    with Meter("reading", total, "texts" if total is None else "MB", 1 if total is None else 1e6) as meter:

        def counted(source: str) -> Iterator[Row]:
            nonlocal texts
            for row in read(source, position):
                texts += 1
                if texts % UPDATE_EVERY == 0:
                    meter.show(texts if total is None else position.done, Path(source).name)
                yield row

        for source in sources:
            yield source, counted(source)


def refuse_repeated(sources: Sequence[str]) -> None:
    """Raise `RowsError` when a source is named twice."""
    if len({os.path.realpath(source) for source in sources}) < len(sources):
        raise RowsError(f"{', '.join(sources)}: a source is named twice")


def by_name(found: Mapping[tuple[str, str], Any]) -> dict[str, Any]:
    """(source, group) -> anything, by the name of the group; the source stands in front where several have a group of that name.

    Example:
        >>> by_name({("a.txt", "a"): 1, ("x", "warm"): 2, ("y", "warm"): 3})
        {'a': 1, 'x: warm': 2, 'y: warm': 3}
    """
    names = Counter(name for _, name in found)
    return {name if names[name] == 1 else f"{source}: {name}": held for (source, name), held in found.items()}


def is_run(source: str) -> bool:
    """Whether a source is the folder of a run, also of one whose samples were lost: what else lies there are no texts."""
    return any(Path(source, name).is_file() for name in ("samples.jsonl", "stack.json"))


def is_dataset(source: str) -> bool:
    """Whether a source is read as a dataset, which has splits: a folder that is no run, or an id on the Hub."""
    return not (is_run(source) or is_file_name(source))


def grouped(rows: Sequence[Row], order: Sequence[str]) -> dict[str, Group]:
    """The rows of one source as groups: those of `order` first, then the others as they come."""
    held: dict[str, list[tuple[Row, tuple[Any, int]]]] = {name: [] for name in order}
    for row, key in sorted(zip(rows, keys_of(rows), strict=True), key=_place if _numbered(rows) else lambda pair: 0):
        held.setdefault(row.group, []).append((row, key))
    groups = {}
    for name, pairs in held.items():
        if pairs:
            own, keys = zip(*pairs, strict=True)
            known = all(row.log_prob is not None for row in own)
            log_probs, tokens = ([row.log_prob for row in own], [row.tokens for row in own]) if known else (None, None)
            groups[name] = Group([row.text for row in own], keys, log_probs, tokens)
    return groups


def _numbered(rows: Sequence[Row]) -> bool:
    return all(isinstance(row.number, int) and row.sample is not None for row in rows)


def _place(pair: tuple[Row, Any]) -> tuple[Any, Any]:
    return pair[0].number, pair[0].sample


def _unnamed(found: dict[tuple[str, str], Group]) -> dict[tuple[str, str], Group]:
    """The groups, with one name for the prompt where some name theirs and others do not.

    Raises:
        RowsError: Those that name theirs have several.
    """
    prompts = {place: {prompt for prompt, _ in group.keys} for place, group in found.items()}
    without = [source for (source, _), held in prompts.items() if held == {NO_PROMPT}]
    named = {prompt for held in prompts.values() for prompt in held} - {NO_PROMPT}
    if not without or not named:
        return found
    if len(named) > 1:
        raise unnamed_prompts(without[0], len(named))
    return {
        place: replace(group, keys=[(NO_PROMPT, number) for _, number in group.keys]) for place, group in found.items()
    }


def _rows(
    source: str, columns: Columns, split: str, *, streaming: bool, position: Position | None = None
) -> Iterator[Row]:
    """The rows of one source, at least one."""
    run = is_run(source)
    rows = _of_run(Path(source)) if run else _of_rows(source, columns, split, streaming, position)
    first = next(iter(rows), None)
    if first is None:
        raise RowsError(f"{source}: holds no {'samples' if run else 'texts'}")
    return chain([first], rows)


def _of_rows(source: str, columns: Columns, split: str, streaming: bool, position: Position | None) -> Iterator[Row]:
    path = Path(source)
    is_file = is_file_name(source)
    asked = [name for name in (columns.text, columns.group, columns.prompt) if name is not None]
    rows = (
        read_rows(path, columns.text, asked, (PROMPT_COLUMN, "prompt", "sample_id"), position=position)
        if is_file
        else read_dataset(source, None, split, streaming=streaming)
    )
    plain = lines(DataFile.named(path).stem) if is_file else source
    prompt_column = columns.prompt
    for number, row in enumerate(rows, start=1):
        where = f"{source}: row {number}"
        held = column_of(row, columns.text, where)
        text = text_of(held)
        if text is None:
            raise RowsError(f"{where}: {columns.text!r} has to be a text, but is {str(held)[:60]}")
        if number == 1 and prompt_column is None and PROMPT_COLUMN in row:
            prompt_column = PROMPT_COLUMN
        name = plain if columns.group is None else str(column_of(row, columns.group, where))
        if prompt_column is None:
            yield Row(name, text)
            continue
        own = str(column_of(row, prompt_column, where))
        shown = row.get("prompt") if columns.prompt is None else None
        prompt, place = shown if isinstance(shown, str) else own, _whole(own)
        yield Row(name, text, prompt, own if place is None else place, _whole(row.get("sample_id")))


def _whole(value: object) -> int | None:
    """A sample number, also from a CSV file, where it is a text."""
    if isinstance(value, str) and value.isdecimal():
        return int(value)
    return value if isinstance(value, int) and not isinstance(value, bool) else None


def _of_run(path: Path) -> Iterator[Row]:
    """The samples of a run; of one that is not complete, as far as it came.

    A complete run is read by columns, from `samples.parquet`, where that is as the run wrote it.
    """
    from temp_processors.runs.checksums import differing, read_sums
    from temp_processors.runs.folder import Run

    run, name = Run(path), "samples.parquet"
    if run.complete and name in (read_sums(path) or ()) and not differing(path, [name]):
        from temp_processors.runs.writing import read_drawn_texts

        yield from _of_samples(read_drawn_texts(path / name))
    else:
        yield from _of_samples(run.samples)


def _of_samples(samples: Iterable[Sample | DrawnText]) -> Iterator[Row]:
    prompts: dict[str, str] = {}  # one object for each prompt, however many samples it has
    for s in samples:
        prompt = prompts.setdefault(s.prompt, s.prompt)
        log_prob = math.nan if s.log_prob is None else s.log_prob  # a metric of it is undefined then, with the reason
        yield Row(s.policy, s.text, prompt, s.prompt_id, s.sample_id, log_prob, s.scored_tokens or 0)
