"""The kinds of answer, by the name that a configuration gives: one line each."""

from __future__ import annotations

from typing import Annotated, Any

from pydantic import BeforeValidator, Discriminator

from temp_processors.tasks.answers.base import Extractor
from temp_processors.tasks.answers.choice import Choice
from temp_processors.tasks.answers.code import Code
from temp_processors.tasks.answers.first_line import FirstLine
from temp_processors.tasks.answers.json_value import JsonValue
from temp_processors.tasks.answers.number import Number
from temp_processors.tasks.answers.pattern import Regex
from temp_processors.tasks.answers.whole import Whole
from temp_processors.tasks.naming import named_kind

ANSWERS: dict[str, type[Extractor]] = {
    "whole": Whole,
    "first_line": FirstLine,
    "number": Number,
    "choice": Choice,
    "json": JsonValue,
    "code": Code,
    "regex": Regex,
}

AnswerConfig = Annotated[
    Annotated[Whole | FirstLine | Number | Choice | JsonValue | Code | Regex, Discriminator("kind")],
    BeforeValidator(lambda value: named_kind(value, ANSWERS, "answer")),
]
"""In YAML the name of a kind, or a mapping with `kind` and its options."""


def extractor(kind: str, **options: Any) -> Extractor:
    """The extractor of a kind.

    Example:
        >>> extractor("number").extract("It is 12.").text
        '12'
    """
    return ANSWERS[kind](kind=kind, **options)
