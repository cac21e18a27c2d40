"""The whole text, without the white space around it."""

from __future__ import annotations

from typing import Literal

from temp_processors.tasks.answers.base import Answer, Extractor


class Whole(Extractor):
    """The whole text is the answer.

    Example:
        >>> Whole().extract(" a fox\\n").text
        'a fox'
    """

    kind: Literal["whole"] = "whole"

    def read(self, text: str) -> Answer:
        """The text; none where it is blank."""
        kept = text.strip()
        return Answer(kept) if kept else Answer(None, "the text is empty")
