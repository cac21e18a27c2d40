"""The kinds of score, by the name that a configuration gives: one line each."""

from __future__ import annotations

from typing import Annotated, Any

from pydantic import BeforeValidator, Discriminator

from temp_processors.tasks.naming import named_kind
from temp_processors.tasks.scorers.base import Item as Item
from temp_processors.tasks.scorers.base import Scorer
from temp_processors.tasks.scorers.choice_of import ChoiceOf
from temp_processors.tasks.scorers.contains import Contains
from temp_processors.tasks.scorers.exact import Exact
from temp_processors.tasks.scorers.function import Function
from temp_processors.tasks.scorers.json_checks import JsonSchema, JsonValid
from temp_processors.tasks.scorers.judge import Judge
from temp_processors.tasks.scorers.number_close import NumberClose
from temp_processors.tasks.scorers.one_of import OneOf
from temp_processors.tasks.scorers.python_tests import PythonTests
from temp_processors.tasks.scorers.similarity import Similarity

SCORERS: dict[str, type[Scorer]] = {
    "exact": Exact,
    "number": NumberClose,
    "contains": Contains,
    "one_of": OneOf,
    "choice": ChoiceOf,
    "json_valid": JsonValid,
    "json_schema": JsonSchema,
    "similarity": Similarity,
    "python_tests": PythonTests,
    "function": Function,
    "judge": Judge,
}


def _named(value: Any) -> Any:
    """`module:function` is the short form of a function."""
    if isinstance(value, str) and ":" in value:
        value = {"kind": "function", "function": value}
    return named_kind(value, SCORERS, "score")


ScorerConfig = Annotated[
    Annotated[
        Exact
        | NumberClose
        | Contains
        | OneOf
        | ChoiceOf
        | JsonValid
        | JsonSchema
        | Similarity
        | PythonTests
        | Function
        | Judge,
        Discriminator("kind"),
    ],
    BeforeValidator(_named),
]
"""In YAML the name of a kind, `module:function`, or a mapping with `kind` and its options."""


def scorer(kind: str, **options: Any) -> Scorer:
    """The scorer of a kind.

    Example:
        >>> scorer("exact").score(Item("fox", ("Fox",), {}, "")).value
        1.0
    """
    return SCORERS[kind](kind=kind, **options)
