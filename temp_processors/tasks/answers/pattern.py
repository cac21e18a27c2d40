"""What a regular expression of the user's own captures, in a limited time."""

from __future__ import annotations

from functools import cached_property
from typing import Annotated, Any, Literal

import regex
from pydantic import AfterValidator, Field

from temp_processors.tasks.answers.base import Answer, Extractor


def _with_a_group(pattern: str) -> str:
    try:
        compiled = regex.compile(pattern)
    except regex.error as error:
        raise ValueError(f"is no regular expression: {error}; it is {pattern!r}") from error
    if not compiled.groups:
        raise ValueError(f"has no group, so it says nothing of what to take: put ( ) around it in {pattern!r}")
    if compiled.groups > 1 and "answer" not in compiled.groupindex:
        raise ValueError(
            f"has {compiled.groups} groups: name the one to take (?P<answer>...), or write the others (?:...), in {pattern!r}"
        )
    return pattern


class Regex(Extractor):
    """What a group of a regular expression matches (the syntax of the `regex` package, which includes that of `re`).

    Args:
        pattern: With one group, or one that is named `answer`.
        take: The `first` or the `last` match.
        ignore_case: Whether `a` matches `A`.
        seconds: How long one text may take; a text that takes longer has no score, and the run says so.

    Example:
        >>> Regex(pattern=r"answer is (\\w+)", take="last").extract("The answer is B. No: the answer is C.").text
        'C'
    """

    kind: Literal["regex"] = "regex"
    pattern: Annotated[str, AfterValidator(_with_a_group)]
    take: Literal["first", "last"] = "first"
    ignore_case: bool = False
    seconds: Annotated[float, Field(gt=0, le=60)] = 1.0

    @cached_property
    def _compiled(self) -> Any:
        return regex.compile(self.pattern, regex.IGNORECASE if self.ignore_case else 0)

    def read(self, text: str) -> Answer:
        """The group, without the white space around it."""
        group = "answer" if "answer" in self._compiled.groupindex else 1
        found = None
        try:
            for match in self._compiled.finditer(text, timeout=self.seconds):
                if match[group] is not None:
                    found = match[group].strip()
                    if self.take == "first":
                        break
        except TimeoutError:
            return Answer(None, f"the pattern took more than {self.seconds:g} s on this text", failed=True)
        return Answer(found) if found else Answer(None, "the pattern matches nothing in the text")

    def reference(self, value: Any) -> Answer:
        """The cell as it is: a column holds the answer itself, not a text around it. `reference.answer` says otherwise."""
        from temp_processors.tasks.answers.whole import Whole

        return Whole().reference(value)
