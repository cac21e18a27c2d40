"""Exact match: 1 where the answer is the reference after a named normalisation, else 0."""

from __future__ import annotations

from typing import Literal

from temp_processors.tasks.scorers.base import Item, Mark, Scorer
from temp_processors.tasks.scorers.normalise import Normalisation, normalised


class Exact(Scorer):
    """Whether the answer is the reference.

    Args:
        normalise: How both are compared, see `normalise.py`.

    Example:
        >>> Exact().score(Item("Paris.", ("paris",), {}, "")).value
        1.0
    """

    kind: Literal["exact"] = "exact"
    normalise: Normalisation = "text"

    def score(self, item: Item) -> Mark:
        """1.0 or 0.0."""
        return Mark(float(self.vote(item.answer) == self.vote(item.references[0])))

    def vote(self, answer: str) -> str:
        """The normalised answer."""
        return normalised(answer, self.normalise)
