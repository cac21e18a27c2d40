"""A multiple choice: the letter of the answer against that of the reference, or the text of the option where that was written."""

from __future__ import annotations

from typing import Literal

from temp_processors.tasks.answers.choice import ALL, Choice
from temp_processors.tasks.scorers.base import Item, Mark, Scorer
from temp_processors.tasks.scorers.normalise import normalised


class ChoiceOf(Scorer):
    """Whether the answer chooses the option of the reference.

    Args:
        options: Column with the list of the options' texts: an answer that writes one of them out chooses it.

    Example:
        >>> row = {"options": ["Rome", "Paris"]}
        >>> [ChoiceOf(options="options").score(Item(answer, ("B",), row, "")).value for answer in ("(B)", "Paris", "Rome")]
        [1.0, 1.0, 0.0]
    """

    kind: Literal["choice"] = "choice"
    options: str | None = None

    @property
    def columns(self) -> tuple[str, ...]:
        """The column of the options."""
        return () if self.options is None else (self.options,)

    def score(self, item: Item) -> Mark:
        """1.0 or 0.0; 0.0 with a reason where nothing is chosen."""
        right = Choice().reference(item.references[0])
        if right.text is None:
            return Mark(None, f"the reference {item.references[0]!r} is no letter of an option")
        if (written := self._written_out(item)) is not None:
            return Mark(float(written == right.text))
        chosen = Choice().extract(item.answer)
        return Mark(0.0, chosen.reason) if chosen.text is None else Mark(float(chosen.text == right.text))

    def _written_out(self, item: Item) -> str | None:
        """The letter of the option that the answer is."""
        options = item.row[self.options] if self.options is not None else []
        texts = [normalised(str(option), "text") for option in options]
        answer = normalised(item.answer, "text")
        return ALL[texts.index(answer)] if answer in texts[: len(ALL)] else None
