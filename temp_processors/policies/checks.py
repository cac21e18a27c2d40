"""Checks of arguments: each refuses a wrong value by its name, the range it has to lie in, and the value that was given.

A policy declares every parameter once, in its constructor: `exponent: Positive = 1.0`. [`checked`] applies the check that
stands in the annotation; a configuration file is held to the same one, because its model is made from the same signature.
"""

from __future__ import annotations

import functools
import inspect
import math
import numbers
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Annotated, Any, ParamSpec, TypeAlias, TypeGuard, get_args, get_origin, get_type_hints

import torch
from pydantic import BeforeValidator, GetCoreSchemaHandler, ValidationInfo
from pydantic_core import CoreSchema
from torch import Tensor

Parameters = ParamSpec("Parameters")


LARGEST = 1e9
"""Largest size of a number that a policy takes: beyond it the float32 arithmetic of schedules and products would overflow,
and scores divided by it are equal already."""


@dataclass(frozen=True)
class Range:
    """A range of real numbers. `ends` says which ends belong to it, `note` is appended to the error, `most` bounds the size."""

    low: float
    high: float = math.inf
    ends: str = "[)"
    note: str = ""
    most: float = LARGEST

    def __contains__(self, value: Any) -> bool:
        above = value >= self.low if self.ends[0] == "[" else value > self.low
        below = value <= self.high if self.ends[1] == "]" else value < self.high
        return bool(above and below)

    def __str__(self) -> str:
        if self.high == math.inf:
            if self.low == -math.inf:
                return f"a finite number{self.note}"
            return f"a number {'>=' if self.ends[0] == '[' else '>'} {self.low:g}{self.note}"
        return f"a number in {self.ends[0]}{self.low:g}, {self.high:g}{self.ends[1]}{self.note}"

    def check(self, name: str, value: object) -> float:
        """`value` as a float, or ValueError such as "`temperature` has to be a number >= 0, but is nan"."""
        if isinstance(value, bool) or not isinstance(value, numbers.Real) or value not in self:
            raise ValueError(f"`{name}` has to be {self}, but is {value!r}")
        self.refuse_too_large(name, value)
        return float(value)

    def refuse_too_large(self, name: str, value: numbers.Real | int) -> None:
        """Raise ValueError for a number that is allowed but for its size."""
        if not -self.most <= value <= self.most:  # type: ignore[operator]
            raise ValueError(f"`{name}` has to be at most {self.most:,.0f}, but is {value!r}")


TEMPERATURE = Range(0.0, note=" (0 is greedy)")
POSITIVE = Range(0.0, ends="()")
NOT_NEGATIVE = Range(0.0)
AT_LEAST_ONE = Range(1.0)
TOKEN_ID = Range(0.0, most=2**62)
SEED = Range(-(2**63), 2**64, ends="[)", note=" (64 bits)", most=math.inf)
FINITE = Range(-math.inf, ends="()", most=math.inf)
SHARE = Range(0.0, 1.0, ends="(]")
UNIT = Range(0.0, 1.0, ends="[]")
INSIDE = Range(0.0, 1.0, ends="()")
CURVE = Range(1.0, 3.0, ends="[]", note=" (outside it, the order of the tokens would change)")


def check_whole(name: str, value: object, allowed: Range = NOT_NEGATIVE) -> int:
    """`value` as an int in `allowed`; 3.0 and True are refused."""
    if isinstance(value, bool) or not isinstance(value, numbers.Integral) or int(value) not in allowed:
        raise ValueError(f"`{name}` has to be a whole number, {allowed}, but is {value!r}")
    allowed.refuse_too_large(name, value)
    return int(value)


def is_list(value: object) -> TypeGuard[Sequence[Any]]:
    """Whether a value holds other values, one after the other: text and bytes do not."""
    return isinstance(value, Sequence) and not isinstance(value, (str, bytes, bytearray))


def check_token_ids(name: str, value: object, *, empty: bool = False) -> tuple[int, ...]:
    """Token ids (a whole number or a sequence of them) as a tuple; `empty` says whether none is fine."""
    if isinstance(value, Tensor):
        value = value.tolist()
    items = list(value) if is_list(value) else [value]
    if not items and not empty:
        raise ValueError(f"`{name}` has to name at least one token id, but is empty")
    return tuple(check_whole(f"{name}[{i}]", item, TOKEN_ID) for i, item in enumerate(items))


def check_prompt_length(value: object) -> int | Tensor:
    """A prompt length in tokens: one for the whole batch, or a LongTensor (batch,) with one per row."""
    if not isinstance(value, Tensor):
        return check_whole("prompt_length", value)
    if value.ndim == 0:
        return check_whole("prompt_length", value.item())
    if value.ndim != 1 or value.dtype not in (torch.int64, torch.int32) or bool((value < 0).any()):
        raise ValueError(f"`prompt_length` has to be a whole number >= 0 or one per row, but is {value!r}")
    return value.long()


def longest_prompt(prompt_length: int | Tensor) -> int:
    """The largest of checked prompt lengths, 0 where there is none."""
    if isinstance(prompt_length, Tensor):
        return int(prompt_length.max()) if prompt_length.numel() else 0
    return prompt_length


def check_points(name: str, value: object) -> tuple[tuple[float, float], ...]:
    """(step, temperature) pairs with strictly rising steps."""
    if not is_list(value) or not value:
        raise ValueError(f"`{name}` has to be a list of (step, temperature) pairs, but is {value!r}")
    points = tuple(_check_point(f"{name}[{place}]", point) for place, point in enumerate(value))
    for (left, _), (right, _) in pairwise(points):
        if right <= left:
            raise ValueError(f"`{name}` has to have strictly rising steps, but {right:g} follows {left:g}")
    return points


def _check_point(name: str, point: object) -> tuple[float, float]:
    if not is_list(point) or len(point) != 2:
        raise ValueError(f"`{name}` has to be a (step, temperature) pair, but is {point!r}")
    return NOT_NEGATIVE.check(f"{name}[0]", point[0]), TEMPERATURE.check(f"{name}[1]", point[1])


@dataclass(frozen=True)
class Checked:
    """Metadata of a parameter's type: the check of its values, and the type that a checked value has.

    Args:
        check: Called with the name of the parameter and a value; returns the value as `into`, or raises ValueError.
        into: Narrower than what a caller may give: a list of token ids becomes a tuple.
    """

    check: Callable[[str, Any], Any]
    into: Any

    def __get_pydantic_core_schema__(self, source: Any, handler: GetCoreSchemaHandler) -> CoreSchema:
        def validate(value: Any, info: ValidationInfo) -> Any:
            return self.check(str(info.field_name), value)

        return BeforeValidator(validate).__get_pydantic_core_schema__(source, handler)


Temperature: TypeAlias = Annotated[float, Checked(TEMPERATURE.check, float)]
Positive: TypeAlias = Annotated[float, Checked(POSITIVE.check, float)]
NotNegative: TypeAlias = Annotated[float, Checked(NOT_NEGATIVE.check, float)]
Share: TypeAlias = Annotated[float, Checked(SHARE.check, float)]
Unit: TypeAlias = Annotated[float, Checked(UNIT.check, float)]
Inside: TypeAlias = Annotated[float, Checked(INSIDE.check, float)]
Curve: TypeAlias = Annotated[float, Checked(CURVE.check, float)]
Count: TypeAlias = Annotated[int, Checked(check_whole, int)]
AtLeastOne: TypeAlias = Annotated[int, Checked(functools.partial(check_whole, allowed=AT_LEAST_ONE), int)]
TokenIds: TypeAlias = Annotated[Sequence[int] | int, Checked(check_token_ids, tuple[int, ...])]
AnyTokenIds: TypeAlias = Annotated[
    Sequence[int] | int, Checked(functools.partial(check_token_ids, empty=True), tuple[int, ...])
]
Points: TypeAlias = Annotated[Sequence[tuple[float, float]], Checked(check_points, tuple[tuple[float, float], ...])]


def as_ids(ids: Sequence[int] | int) -> tuple[int, ...]:
    """Checked token ids as what they are by then, a tuple."""
    return (ids,) if isinstance(ids, int) else tuple(ids)


def checked(constructor: Callable[Parameters, None]) -> Callable[Parameters, None]:
    """Decorator of a constructor: each argument passes the [`Checked`] of its annotation, and arrives as its `into`.

    What was given stays in the attribute `_given` (name -> value), for `repr` to show.
    """
    signature = inspect.signature(constructor)

    @functools.wraps(constructor)
    def checking(*args: Parameters.args, **kwargs: Parameters.kwargs) -> None:
        given = signature.bind(*args, **kwargs)
        (_, built), *arguments = given.arguments.items()
        vars(built).setdefault("_given", dict(arguments))  # the outermost constructor is the one that was called
        for name, (check, optional) in _checks_of(constructor).items():
            if name in given.arguments and not (optional and given.arguments[name] is None):
                given.arguments[name] = check(name, given.arguments[name])
        constructor(*given.args, **given.kwargs)

    return checking


@functools.cache
def _checks_of(constructor: Callable[..., None]) -> dict[str, tuple[Callable[[str, Any], Any], bool]]:
    """Name of each parameter with a check -> (the check, whether the parameter may be None)."""
    types = get_type_hints(constructor, include_extras=True)
    members = {name: get_args(kind) if type(None) in get_args(kind) else (kind,) for name, kind in types.items()}
    return {
        name: (mark.check, type(None) in kinds)
        for name, kinds in members.items()
        for kind in kinds
        if get_origin(kind) is Annotated
        for mark in kind.__metadata__
        if isinstance(mark, Checked)
    }
