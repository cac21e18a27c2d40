"""Scores of a task for texts that are already there: behind `score --task`."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from temp_processors.comparison.generated import PROMPTS, USUAL, Generated, Naming, read_generated
from temp_processors.comparison.task_scores import TaskScores, outcome_of
from temp_processors.datafiles import RowsError, read_rows
from temp_processors.tasks.scorers.base import Mark, Tools
from temp_processors.tasks.task import NO_TOOLS, ScoredText, Task, TaskError, score_texts


class ScoredSources(NamedTuple):
    """Outcomes by group, and the line of every text for `answers.jsonl`."""

    scores: TaskScores
    lines: list[str]


def score_sources_on(
    task: Task,
    sources: Sequence[str],
    naming: Naming = USUAL,
    *,
    rows: Path | None = None,
    tools: Tools = NO_TOOLS,
) -> ScoredSources:
    """Score every text of the sources.

    Args:
        task: What to score on.
        sources: Files as `generated.py` reads them.
        naming: Which columns hold what.
        rows: A file with more columns of the prompts, such as their tests, joined by the column that names them.
        tools: What scorers may use.

    Raises:
        RowsError: A source cannot be read, or two texts of one prompt have different references.
        TaskError: The rows do not go with the task, or a scorer cannot work here.

    Example:
        >>> path = tmp_path / "texts.jsonl"
        >>> _ = path.write_text('{"id": 1, "T": 0.1, "text": "It is 4.", "right": 4}\\n{"id": 1, "T": 1.0, "text": "5", "right": 4}\\n')
        >>> task = Task.model_validate({"answer": "number", "reference": "right", "score": "exact"})
        >>> found = score_sources_on(task, [str(path)], Naming(group="T")).scores.tables()
        >>> {group: [[outcome.score for outcome in row] for row in table] for group, table in found.items()}
        {'0.1': [[1.0]], '1.0': [[0.0]]}
    """
    texts = _joined(read_generated(sources, naming), rows, naming.prompt)
    prompts = {text.prompt: place for place, text in reversed(list(enumerate(texts)))}
    number = {prompt: position for position, prompt in enumerate(sorted(prompts, key=prompts.__getitem__))}
    _check(task, texts, prompts)
    task.prepare(tools)
    firsts = [texts[prompts[prompt]].row for prompt in number]
    whole = [(text.text, number[text.prompt]) for text in texts if text.error is None]
    found = score_texts(task, whole, firsts, tools)
    scores = TaskScores(task, list(dict.fromkeys(text.group for text in texts)), len(number))
    lines, drawn = list[str](), dict[tuple[str, Any], int]()
    for text in texts:
        scored = next(found) if text.error is None else _not_scored(task, text)
        sample = drawn[text.group, text.prompt] = drawn.get((text.group, text.prompt), -1) + 1
        outcomes = {heading: outcome_of(scored, heading, None, False) for heading in task.scorers}
        scores.add(text.group, number[text.prompt], sample, outcomes)
        lines.append(_line(text, sample, scored))
    return ScoredSources(scores, lines)


def _not_scored(task: Task, text: Generated) -> ScoredText:
    """For a text that a log has an error in place of."""
    reason = f"the log holds an error in place of a text: {text.error}"
    return ScoredText(None, reason, None, (), dict.fromkeys(task.scorers, Mark(None, reason)))


def _joined(texts: list[Generated], rows: Path | None, key: str | None) -> list[Generated]:
    """The texts with the columns that `rows` has of their prompts."""
    if rows is None:
        return texts
    held = {}
    for number, row in enumerate(read_rows(rows), start=1):
        name = key or next((name for name in PROMPTS if name in row), None)
        if name is None or name not in row:
            raise RowsError(f"row {number} of {rows}: has no column that names its prompt; columns: {', '.join(row)}")
        held[row[name]] = row
    missing = next((text for text in texts if text.prompt not in held), None)
    if missing is not None:
        raise RowsError(f"{missing.where}: {rows} has no row of its prompt {missing.prompt!r}")
    return [text._replace(row={**held[text.prompt], **text.row}) for text in texts]


def _check(task: Task, texts: Sequence[Generated], prompts: Mapping[Any, int]) -> None:
    for text in texts:
        first = texts[prompts[text.prompt]]
        try:
            task.check_row(text.row)
            same = task.references(text.row) == task.references(first.row)
        except TaskError as error:
            raise TaskError(f"{text.where}: {error}", *error.below) from error
        if not same:
            raise RowsError(f"{text.where}: is of prompt {text.prompt!r}, as {first.where}, but has another reference")


def _line(text: Generated, sample: int, found: ScoredText) -> str:
    """One line of `answers.jsonl`."""
    row = {
        "policy": text.group,
        "prompt": text.prompt,
        "sample_id": sample,
        **found.record,
    }
    return json.dumps(row, ensure_ascii=False) + "\n"


def failures_of(scores: TaskScores, most: int) -> Iterator[str]:
    """A line for the first samples that could not be scored, and how many there are."""
    yield from (f"not scored: {failure}" for failure in scores.failures[:most])
    if len(scores.failures) > most:
        yield f"not scored: {len(scores.failures):,} in all, see answers.jsonl"
