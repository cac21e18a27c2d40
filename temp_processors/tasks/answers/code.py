"""Code: the last fenced block of a text (``` or ~~~), else the text as it is, with its indentation."""

from __future__ import annotations

from typing import Literal

import regex

from temp_processors.tasks.answers.base import Answer, Extractor

FENCED = regex.compile(r"^[ \t]*(```|~~~)[^\n`]*\n(.*?)(?:^[ \t]*\1[ \t]*$|\Z)", regex.DOTALL | regex.MULTILINE)
"""A block that the length cut off ends with the text."""


class Code(Extractor):
    """The program in a text.

    A model that completes a function is not fenced: its text is kept from the first character, because the indentation of the
    first line counts.

    Example:
        >>> Code().extract("Here:\\n```python\\nx = 1\\n```\\nDone.").text
        'x = 1\\n'
        >>> Code().extract("    return 1").text
        '    return 1'
    """

    kind: Literal["code"] = "code"

    def read(self, text: str) -> Answer:
        """The block with its line ends."""
        blocks = FENCED.findall(text)
        found = blocks[-1][1] if blocks else text
        return Answer(found) if found.strip() else Answer(None, "there is no code in the text")
