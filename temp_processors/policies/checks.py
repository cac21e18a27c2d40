"""Refuse a wrong argument by its name, the interval it has to lie in, and the value that was given."""

from __future__ import annotations

import math
import numbers
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor


@dataclass(frozen=True)
class Interval:
    """An interval of finite real numbers. `ends` says which ends belong to it, `note` is appended to the error."""

    low: float
    high: float = math.inf
    ends: str = "[)"
    note: str = ""

    def __contains__(self, value: float) -> bool:
        above = value >= self.low if self.ends[0] == "[" else value > self.low
        below = value <= self.high if self.ends[1] == "]" else value < self.high
        return above and below

    def __str__(self) -> str:
        if self.high == math.inf:
            if self.low == -math.inf:
                return f"a finite number{self.note}"
            return f"a number {'>=' if self.ends[0] == '[' else '>'} {self.low:g}{self.note}"
        return f"a number in {self.ends[0]}{self.low:g}, {self.high:g}{self.ends[1]}{self.note}"

    def check(self, name: str, value: object) -> float:
        """`value` as a float, or ValueError such as "`temperature` has to be a number >= 0, but is nan"."""
        if isinstance(value, bool) or not isinstance(value, numbers.Real) or float(value) not in self:
            raise ValueError(f"`{name}` has to be {self}, but is {value!r}")
        return float(value)


TEMPERATURE = Interval(0.0, note=" (0 is greedy)")
POSITIVE = Interval(0.0, ends="()")
FINITE = Interval(-math.inf, ends="()")
SHARE = Interval(0.0, 1.0, ends="(]")
STEPS = Interval(1.0)
COUNT = Interval(0.0)


def check_whole(name: str, value: object, interval: Interval = COUNT) -> int:
    """`value` as an int in `interval`; 3.0 and True are refused."""
    if isinstance(value, bool) or not isinstance(value, numbers.Integral) or int(value) not in interval:
        raise ValueError(f"`{name}` has to be a whole number, {interval}, but is {value!r}")
    return int(value)


def check_token_ids(name: str, value: object, *, empty: bool = False) -> tuple[int, ...]:
    """Token ids (a whole number or a sequence of them) as a tuple; `empty` says whether none is fine."""
    if isinstance(value, Tensor):
        value = value.tolist()
    items = list(value) if isinstance(value, Sequence) and not isinstance(value, str) else [value]
    if not items and not empty:
        raise ValueError(f"`{name}` has to name at least one token id, but is empty")
    return tuple(check_whole(f"{name}[{i}]", item) for i, item in enumerate(items))


def check_prompt_length(value: object) -> int | Tensor:
    """A prompt length in tokens: one for the whole batch, or a LongTensor (batch,) with one per row."""
    if not isinstance(value, Tensor):
        return check_whole("prompt_length", value)
    if value.ndim == 0:
        return check_whole("prompt_length", value.item())
    if value.ndim != 1 or value.dtype not in (torch.int64, torch.int32) or bool((value < 0).any()):
        raise ValueError(f"`prompt_length` has to be a whole number >= 0 or one per row, but is {value!r}")
    return value.long()
