"""The section `task:` of a configuration: what is taken out of a text, what it is compared with, and what it is worth.

Example:
    >>> from temp_processors.tasks.task import Task
    >>> task = Task.model_validate({"answer": "number", "reference": "answer", "score": "exact"})
    >>> found = score_texts(task, [("It is 12.", 0), ("13", 0), ("no idea", 0)], [{"answer": "6 + 6 = 12"}])
    >>> [(one.answer, one.marks["exact"].value) for one in found]
    [('12', 1.0), ('13', 0.0), (None, 0.0)]
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from functools import cached_property
from typing import Annotated, Any, NamedTuple

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, model_validator

from temp_processors.policies.mistakes import suggestion
from temp_processors.tasks.answers.base import Answer, Extractor
from temp_processors.tasks.answers.kinds import AnswerConfig
from temp_processors.tasks.answers.whole import Whole
from temp_processors.tasks.scorers.base import Item, Mark, Scorer, ScorerError, Tools
from temp_processors.tasks.scorers.kinds import ScorerConfig

MARGIN = 0.02
NO_TOOLS = Tools()
AT_ONCE = 1000
"""Texts that are given to a scorer together."""


class TaskError(ValueError):
    """The rows of the prompts do not go with the task; `below` is the field of `task` that is to blame."""

    def __init__(self, message: str, *below: str | int) -> None:
        self.below = below
        super().__init__(message)


class Reference(BaseModel):
    """Where the right answer of a prompt is.

    Args:
        column: Column of the rows.
        answer: How it is taken out of the cell; by default as the answer is out of a text, but for `regex` the cell as it is.
    """

    model_config = ConfigDict(strict=True, frozen=True, extra="forbid")

    column: Annotated[str, Field(min_length=1)]
    answer: AnswerConfig | None = None


def _reference(value: Any) -> Any:
    return {"column": value} if isinstance(value, str) else value


def _listed(value: Any) -> Any:
    return [value] if isinstance(value, (str, dict, Scorer)) else value


class Task(BaseModel):
    """What texts are scored on.

    Args:
        answer: What is taken out of a text; the whole text by default.
        reference: Column with the right answer, or a mapping with `column` and `answer` (see `Reference`).
        score: One scorer or several; the first one decides the votes and the verdict.
        margin: Difference of the mean score, in [0, 1], below which two policies are as good as each other: 2 points by default.
    """

    model_config = ConfigDict(strict=True, frozen=True, extra="forbid")

    answer: AnswerConfig = Whole()
    reference: Annotated[Reference | None, BeforeValidator(_reference)] = None
    score: Annotated[list[ScorerConfig], Field(min_length=1), BeforeValidator(_listed)]
    margin: Annotated[float, Field(gt=0, lt=1)] = MARGIN

    @model_validator(mode="after")
    def _scorers_go_together(self) -> Task:
        headings = [scorer.heading for scorer in self.score]
        if len(set(headings)) < len(headings):
            again = next(heading for heading in headings if headings.count(heading) > 1)
            raise ValueError(f"`score` has two named {again!r}: give each a `name`")
        for scorer in self.score:
            if scorer.needs_reference and self.reference is None:
                raise ValueError(
                    f"`reference` is required and missing: {scorer.kind!r} compares with it; name its column"
                )
        return self

    @property
    def scorers(self) -> dict[str, Scorer]:
        """By heading, the deciding one first."""
        return {scorer.heading: scorer for scorer in self.score}

    @cached_property
    def _reads_reference(self) -> Extractor:
        own = self.reference.answer if self.reference is not None else None
        return own or self.answer

    def references(self, row: Mapping[str, Any]) -> tuple[str, ...]:
        """The right answers of a row, in the form of answers.

        Raises:
            TaskError: No such column, an empty cell, or one that the extractor cannot read.
        """
        if self.reference is None:
            return ()
        value = _cell(row, self.reference.column, "reference")
        if isinstance(value, list) and any(scorer.takes_list for scorer in self.score):
            if len(self.score) > 1 and not all(
                scorer.takes_list or not scorer.needs_reference for scorer in self.score
            ):
                raise TaskError(f"column {self.reference.column!r} holds a list, which is for `one_of` alone", "score")
            if not value:
                raise TaskError(f"column {self.reference.column!r} holds an empty list", "reference")
            return tuple(self._read(item) for item in value)
        return (self._read(value),)

    def _read(self, value: Any) -> str:
        found: Answer = self._reads_reference.reference(value)
        if found.text is None:
            assert self.reference is not None
            shown = repr(value) if len(repr(value)) <= 60 else repr(value)[:57] + "..."
            raise TaskError(
                f"column {self.reference.column!r} holds {shown}, from which {self._reads_reference.kind!r} takes no answer: "
                f"{found.reason}",
                "reference",
            )
        return found.text

    def check_rows(self, rows: Sequence[Mapping[str, Any]], source: str) -> None:
        """Refuse what a score would stumble over, before anything is drawn.

        Args:
            rows: One a prompt.
            source: What they were read from, for errors.

        Raises:
            TaskError: A column is missing or empty, or a reference cannot be read; names the row, counted from 1.
        """
        for number, row in enumerate(rows, start=1):
            try:
                self.check_row(row)
            except TaskError as error:
                raise TaskError(f"row {number} of {source}: {error}", *error.below) from error

    def check_row(self, row: Mapping[str, Any]) -> None:
        """Refuse one row, as `check_rows` does."""
        self.references(row)
        for place, scorer in enumerate(self.score):
            for column in scorer.columns:
                _cell(row, column, *self._place(place))

    def _place(self, place: int) -> tuple[str | int, ...]:
        """Where in `task` a scorer stands."""
        return ("score", place) if len(self.score) > 1 else ("score",)

    def prepare(self, tools: Tools) -> None:
        """Check that every scorer can work here.

        Raises:
            TaskError: One cannot.
        """
        for place, scorer in enumerate(self.score):
            try:
                scorer.prepare(tools)
            except ScorerError as error:
                raise TaskError(str(error), *self._place(place)) from error

    def notes(self) -> list[str]:
        """What its scorers load, run or ask."""
        return [note for scorer in self.score for note in scorer.notes()]


def _cell(row: Mapping[str, Any], column: str, *below: str | int) -> Any:
    if column not in row:
        hint = suggestion(column, row) or f"; columns: {', '.join(map(str, row))}"
        raise TaskError(f"there is no column {column!r}{hint}", *below)
    value = row[column]
    if value is None or (isinstance(value, str) and not value.strip()):
        raise TaskError(f"column {column!r} is empty", *below)
    return value


class ScoredText(NamedTuple):
    """What a task found in one text.

    Args:
        answer: What was taken out of it; None where there was none.
        no_answer: Why there was none.
        vote: The answer in the form under which it votes.
        references: The right answers of its prompt.
        marks: By the heading of the scorer.
    """

    answer: str | None
    no_answer: str | None
    vote: str | None
    references: tuple[str, ...]
    marks: dict[str, Mark]

    @property
    def record(self) -> dict[str, Any]:
        """Its part of a line of `answers.jsonl`: the answer or why there is none, the right ones, score and reason of every scorer."""
        return {
            "answer": self.answer,
            "no_answer": self.no_answer,
            "references": list(self.references),
            "scores": {heading: mark.value for heading, mark in self.marks.items()},
            "reasons": {heading: mark.reason for heading, mark in self.marks.items() if mark.reason is not None},
        }


def score_texts(
    task: Task, texts: Sequence[tuple[str, int]], rows: Sequence[Mapping[str, Any]], tools: Tools = NO_TOOLS
) -> Iterator[ScoredText]:
    """What the task finds in texts, in order; equal texts of one prompt are scored once.

    A text without an answer is wrong (0, with the reason); one whose extractor gave up has no score.

    Args:
        task: What to score on.
        texts: Each with the position of its row.
        rows: One a prompt.
        tools: What scorers may use.
    """
    different = list(dict.fromkeys(texts))
    found: dict[tuple[str, int], ScoredText] = {}
    for start in range(0, len(different), AT_ONCE):
        some = different[start : start + AT_ONCE]
        found.update(zip(some, _scored(task, some, rows, tools), strict=True))
    return (found[text] for text in texts)


def _scored(
    task: Task, texts: Sequence[tuple[str, int]], rows: Sequence[Mapping[str, Any]], tools: Tools
) -> Iterator[ScoredText]:
    answers = [task.answer.extract(text) for text, _ in texts]
    references = [task.references(rows[row]) for _, row in texts]
    items = [
        Item(answer.text, reference, rows[row], text)
        for answer, reference, (text, row) in zip(answers, references, texts, strict=True)
        if answer.text is not None
    ]
    marks = [iter(list(scorer.score_all(items, tools))) for scorer in task.score]
    for answer, reference in zip(answers, references, strict=True):
        if answer.text is None:
            none = Mark(None if answer.failed else 0.0, answer.reason)
            yield ScoredText(None, answer.reason, None, reference, dict.fromkeys(task.scorers, none))
        else:
            own = {heading: next(column) for heading, column in zip(task.scorers, marks, strict=True)}
            yield ScoredText(answer.text, None, task.score[0].vote(answer.text), reference, own)
