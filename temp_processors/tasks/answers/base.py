"""The contract of an extractor: it takes the answer out of a text, or says why there is none.

To add one: a class with its own `kind` in a file of this folder that overrides `read`, and its line in `kinds.py`.
"""

from __future__ import annotations

from typing import Any, NamedTuple

from pydantic import BaseModel, ConfigDict, Field


class Answer(NamedTuple):
    """What was taken out of a text.

    Args:
        text: The answer in the one form in which equal answers are equal texts (`1,000.0` is `1000`); None where there is none.
        reason: Why there is none.
        failed: Whether the extractor could not do its work (a time limit), which says nothing about the text.
    """

    text: str | None
    reason: str | None = None
    failed: bool = False


class Extractor(BaseModel):
    """What every extractor has.

    Args:
        after: The answer is looked for behind the last of these tags (`</think>`); a text without it has no answer, because
            it was cut off before it came to one.
    """

    model_config = ConfigDict(strict=True, frozen=True, extra="forbid")

    kind: str
    after: str | None = Field(default=None, min_length=1)

    def extract(self, text: str) -> Answer:
        """The answer that a text gives."""
        if self.after is not None:
            _, tag, text = text.rpartition(self.after)
            if not tag:
                return Answer(None, f"there is no {self.after!r} in the text")
        return self.read(text)

    def read(self, text: str) -> Answer:
        """The answer in `text`, what stands before `after` left out."""
        raise NotImplementedError

    def reference(self, value: Any) -> Answer:
        """A cell of the reference column in the form of an answer; a reference stands behind no tag."""
        text = str(value) if isinstance(value, (int, float)) and not isinstance(value, bool) else value
        if not isinstance(text, str):
            return Answer(None, f"is no text and no number, but {type(value).__name__}")
        return self.read(text) if text.strip() else Answer(None, "is empty")
