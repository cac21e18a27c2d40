"""Pydantic's errors as problems of a configuration, each at the line of the value that caused it."""

from __future__ import annotations

import re
from typing import Any

import pydantic

from temp_processors.config.yaml_lines import Problem, YamlSource
from temp_processors.policies.mistakes import mistakes_in

NAMED = re.compile(r"`(\w+)`")


def problems_of(error: pydantic.ValidationError, source: YamlSource, model: Any) -> list[Problem]:
    """One `Problem` for every mistake that pydantic found, at the line of the value that caused it.

    Args:
        error: What validation raised.
        source: The data that was validated, with its lines.
        model: The type it was validated against: a model, or an annotation such as a union of models.
    """
    return [problem_at(source, path, message) for path, message in mistakes_in(error, source.data, model)]


def problem_at(source: YamlSource, path: tuple[str | int, ...], message: str) -> Problem:
    """The problem at `path`; one of the whole configuration that begins with a field stands at the line of that field."""
    named = NAMED.match(message)
    if path or named is None or not isinstance(source.data, dict) or named[1] not in source.data:
        return source.problem(path, message)
    return source.problem((named[1],), message)._replace(path=())
