"""A number close to the reference: |a - r| <= max(tolerance, relative * |r|), computed exactly on fractions."""

from __future__ import annotations

from fractions import Fraction
from typing import Annotated, Literal

from pydantic import Field

from temp_processors.tasks.answers.number import Number, value_of
from temp_processors.tasks.scorers.base import Item, Mark, Scorer


class NumberClose(Scorer):
    """Whether the number of the answer is the one of the reference, up to a tolerance.

    Args:
        tolerance: Absolute, in the unit of the reference.
        relative: As a part of the reference; the larger of both counts.

    Example:
        >>> [NumberClose(relative=0.01).score(Item(answer, ("3.14159",), {}, "")).value for answer in ("3.14", "3")]
        [1.0, 0.0]
    """

    kind: Literal["number"] = "number"
    tolerance: Annotated[float, Field(ge=0, allow_inf_nan=False)] = 0.0
    relative: Annotated[float, Field(ge=0, allow_inf_nan=False)] = 0.0

    def score(self, item: Item) -> Mark:
        """1.0 or 0.0; 0.0 with a reason where the answer holds no number."""
        answer, reference = (Number().extract(text) for text in (item.answer, item.references[0]))
        if reference.text is None:
            return Mark(None, f"the reference {item.references[0]!r} holds no number")
        if answer.text is None:
            return Mark(0.0, answer.reason)
        found, right = value_of(answer.text), value_of(reference.text)
        allowed = max(Fraction(str(self.tolerance)), Fraction(str(self.relative)) * abs(right))
        return Mark(float(abs(found - right) <= allowed))
