"""The contract of a scorer: an answer and the row of its prompt in, a number in [0, 1] or a reason why there is none out.

To add one: a class with its own `kind` in a file of this folder that overrides `score`, and its line in `kinds.py`.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, ClassVar, NamedTuple

from pydantic import BaseModel, ConfigDict, Field


class Mark(NamedTuple):
    """What one text is worth.

    Args:
        value: In [0, 1], 1 is right; None where it could not be found out.
        reason: Why there is no value, or why it is what it is where that helps (the error of a program).
    """

    value: float | None
    reason: str | None = None


class Item(NamedTuple):
    """What a scorer is given.

    Args:
        answer: What was taken out of the text; the whole text where the task says so.
        references: The right answer in the same form; several where the column holds a list; none without `reference`.
        row: The row of the prompt, with the `prompt` as the model read it.
        text: The whole text.
    """

    answer: str
    references: tuple[str, ...]
    row: Mapping[str, Any]
    text: str


@dataclass(frozen=True)
class Tools:
    """What a scorer may use.

    Args:
        allow_code_execution: Whether programs that a model wrote may run here.
        cache: Folder for what is costly to ask again; None keeps nothing.
    """

    allow_code_execution: bool = False
    cache: Path | None = None


class ScorerError(ValueError):
    """A scorer cannot work at all; the message says why and what would help."""


class Scorer(BaseModel):
    """What every scorer has.

    Args:
        name: Its heading; the kind by default.
    """

    model_config = ConfigDict(strict=True, frozen=True, extra="forbid")
    needs_reference: ClassVar[bool] = True
    takes_list: ClassVar[bool] = False
    """Whether a reference may be a list of right answers."""

    kind: str
    name: Annotated[str, Field(min_length=1)] | None = None

    @property
    def heading(self) -> str:
        """The name under which tables show it."""
        return self.name or self.kind

    @property
    def columns(self) -> tuple[str, ...]:
        """Columns that every row has to fill, beside the reference."""
        return ()

    def prepare(self, tools: Tools) -> None:
        """Check, before anything is drawn, what cannot be read off the configuration.

        Raises:
            ScorerError: It cannot work here.
        """

    def notes(self) -> list[str]:
        """What a user has to know before it runs, in sentences: what it loads or asks, and where."""
        return []

    def score(self, item: Item) -> Mark:
        """The mark of one answer."""
        raise NotImplementedError

    def score_all(self, items: Sequence[Item], tools: Tools) -> Iterator[Mark]:
        """The marks of many, in order; a scorer that is faster on many overrides it."""
        return map(self.score, items)

    def vote(self, answer: str) -> str:
        """The text under which an answer votes: equal for answers that this scorer takes for the same."""
        return answer


def filled(template: str, values: Mapping[str, Any]) -> str:
    """`template` with `{name}` replaced by the value of that name; other braces stay, so that code and JSON can stand in it.

    Example:
        >>> filled('{"a": {x}} {y}', {"x": 1})
        '{"a": 1} {y}'
    """
    parts, rest = list[str](), template
    while rest:
        before, brace, behind = rest.partition("{")
        name, closed, after = behind.partition("}")
        parts.append(before)
        if brace and closed and name in values:
            parts.append(str(values[name]))
            rest = after
        else:
            parts.append(brace)
            rest = behind
    return "".join(parts)
