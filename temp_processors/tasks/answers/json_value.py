"""A JSON object or list inside a text, fenced or bare."""

from __future__ import annotations

import json
from typing import Any, Literal

import regex

from temp_processors.tasks.answers.base import Answer, Extractor

FENCED = regex.compile(r"```(?:json5?|JSON)?[ \t]*\n(.*?)(?:```|\Z)", regex.DOTALL)
MOST_STARTS = 200
"""Brackets from which a value is tried to be read, so that a text of brackets alone takes no time."""


class JsonValue(Extractor):
    """The last JSON object or list of a text: in its last fence, else bare; a text that is JSON as a whole is that value.

    The answer is written in one form (keys sorted, no spaces), so that equal values are equal answers. NaN and Infinity are no JSON.

    Example:
        >>> JsonValue().extract('Sure: {"b": 1.0, "a": [true]} - anything else?').text
        '{"a":[true],"b":1.0}'
    """

    kind: Literal["json"] = "json"

    def read(self, text: str) -> Answer:
        """The value, or why nothing parses."""
        for part in [text, *reversed(FENCED.findall(text))]:
            try:
                return Answer(canonical(parsed(part)))
            except ValueError:
                continue
        values = list(_embedded(text))
        return (
            Answer(canonical(values[-1])) if values else Answer(None, "no JSON object or list can be read in the text")
        )

    def reference(self, value: Any) -> Answer:
        """A cell that holds an object or a list is that value; a text is read as JSON."""
        if isinstance(value, (dict, list, bool, int, float)):
            try:
                return Answer(canonical(value))
            except (ValueError, TypeError) as error:
                return Answer(None, f"is no JSON value: {error}")
        return super().reference(value)


def parsed(text: str) -> Any:
    """The value of a whole text.

    Raises:
        ValueError: It is not JSON, or nested too deeply to be read.
    """
    try:
        return json.loads(text, parse_constant=_no_number)
    except RecursionError as error:
        raise ValueError("is nested too deeply") from error


def canonical(value: Any) -> str:
    """One text for equal values: keys sorted, no spaces."""
    return json.dumps(value, sort_keys=True, ensure_ascii=False, separators=(",", ":"), allow_nan=False)


def _no_number(name: str) -> Any:
    raise ValueError(f"{name} is no JSON number")


def _embedded(text: str) -> Any:
    """The outermost objects and lists of a text, in order."""
    decoder = json.JSONDecoder(parse_constant=_no_number)
    place = starts = 0
    while starts < MOST_STARTS and (match := regex.search(r"[{\[]", text, pos=place)):
        starts += 1
        try:
            value, place = decoder.raw_decode(text, match.start())
        except json.JSONDecodeError as error:
            if error.pos >= len(text.rstrip()) or error.msg.startswith("Unterminated string"):
                return  # cut off: what is whole inside of it is not the answer
            place = match.end()
            continue
        except (ValueError, RecursionError):
            place = match.end()
            continue
        yield value
