"""The first line that holds something: base models go on with the next question after it."""

from __future__ import annotations

from typing import Literal

from temp_processors.tasks.answers.base import Answer, Extractor


class FirstLine(Extractor):
    """The first line with something in it.

    Example:
        >>> FirstLine().extract("\\n Paris.\\nQ: What").text
        'Paris.'
    """

    kind: Literal["first_line"] = "first_line"

    def read(self, text: str) -> Answer:
        """That line without the white space around it."""
        line = next((line.strip() for line in text.splitlines() if line.strip()), None)
        return Answer(line) if line is not None else Answer(None, "the text is empty")
