"""The fields of the policy models: checks of arguments.py as pydantic types, so that both speak the same words."""

from __future__ import annotations

from collections.abc import Callable
from typing import Annotated, Any, TypeAlias

from pydantic import BeforeValidator, ValidationInfo

from temp_processors.policies.checks import (
    COUNT,
    POSITIVE,
    SHARE,
    STEPS,
    TEMPERATURE,
    Interval,
    check_token_ids,
    check_whole,
)
from temp_processors.policies.quadratic import CURVE
from temp_processors.policies.scheduled import check_points
from temp_processors.policies.truncation import UNIT


def checked(check: Callable[..., Any], *more: Any) -> BeforeValidator:
    """A check of arguments.py as a pydantic validator that knows the name of its field. None is left alone."""

    def validate(value: Any, info: ValidationInfo) -> Any:
        return None if value is None else check(info.field_name, value, *more)

    return BeforeValidator(validate)


def number(interval: Interval) -> BeforeValidator:
    return checked(interval.check)


Temperature: TypeAlias = Annotated[float, number(TEMPERATURE)]
Positive: TypeAlias = Annotated[float, number(POSITIVE)]
NotNegative: TypeAlias = Annotated[float, number(COUNT)]
Share: TypeAlias = Annotated[float, number(SHARE)]
Steps: TypeAlias = Annotated[int, checked(check_whole, STEPS)]
Count: TypeAlias = Annotated[int, checked(check_whole, COUNT)]
Unit: TypeAlias = Annotated[float, number(UNIT)]
AnyTokenIds: TypeAlias = Annotated[
    tuple[int, ...], checked(lambda name, value: check_token_ids(name, value, empty=True))
]
TokenIds: TypeAlias = Annotated[tuple[int, ...], checked(check_token_ids)]
Curve: TypeAlias = Annotated[float, number(CURVE)]
Points: TypeAlias = Annotated[tuple[tuple[float, float], ...], checked(lambda _, value: check_points(value))]
