"""One of several right answers: the reference column holds a list of them."""

from __future__ import annotations

from typing import ClassVar, Literal

from temp_processors.tasks.scorers.base import Item, Mark
from temp_processors.tasks.scorers.exact import Exact


class OneOf(Exact):
    """Whether the answer is one of those in the reference, each compared as `exact` does.

    Example:
        >>> OneOf(kind="one_of").score(Item("hot", ("warm", "Hot"), {}, "")).value
        1.0
    """

    takes_list: ClassVar[bool] = True
    kind: Literal["one_of"] = "one_of"  # type: ignore[assignment]

    def score(self, item: Item) -> Mark:
        """1.0 or 0.0."""
        return Mark(float(self.vote(item.answer) in {self.vote(reference) for reference in item.references}))
