"""The whole text."""

from __future__ import annotations

from typing import Literal

from temp_processors.tasks.answers.base import Answer, Extractor


class Whole(Extractor):
    """The whole text is the answer.

    Args:
        strip: Whether white space around it is left out; without, even an empty text is an answer.

    Example:
        >>> Whole().extract(" a fox\\n").text
        'a fox'
    """

    kind: Literal["whole"] = "whole"
    strip: bool = True

    def read(self, text: str) -> Answer:
        """The text; none where it is blank."""
        if not self.strip:
            return Answer(text)
        kept = text.strip()
        return Answer(kept) if kept else Answer(None, "the text is empty")
