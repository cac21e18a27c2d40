"""Whether the reference stands in the answer, as whole words."""

from __future__ import annotations

from typing import Literal

from temp_processors.tasks.scorers.base import Item, Mark, Scorer
from temp_processors.tasks.scorers.normalise import Normalisation, normalised


class Contains(Scorer):
    """Whether the reference stands in the answer: 5 is not in 15.

    Args:
        normalise: How both are compared, see `normalise.py`.
        words: Whether the reference has to begin and end where a word does.

    Example:
        >>> [Contains().score(Item(answer, ("Paris",), {}, "")).value for answer in ("It is Paris.", "Parisian")]
        [1.0, 0.0]
    """

    kind: Literal["contains"] = "contains"
    normalise: Normalisation = "text"
    words: bool = True

    def score(self, item: Item) -> Mark:
        """1.0 or 0.0."""
        inside, outside = (normalised(text, self.normalise) for text in (item.references[0], item.answer))
        place = outside.find(inside)
        while place >= 0 and self.words and _cuts_a_word(outside, place, place + len(inside)):
            place = outside.find(inside, place + 1)
        return Mark(float(place >= 0))

    def vote(self, answer: str) -> str:
        """The normalised answer."""
        return normalised(answer, self.normalise)


def _cuts_a_word(text: str, begin: int, end: int) -> bool:
    """Whether letters or digits go on across either end."""
    left = text[max(begin - 1, 0) : begin] + text[begin : begin + 1]
    right = text[end - 1 : end] + text[end : end + 1]
    return (begin > 0 and left.isalnum()) or (end < len(text) and right.isalnum())
