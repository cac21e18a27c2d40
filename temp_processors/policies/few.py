"""The few numbers of a call, one or a handful for each row: arrays of numpy in eager code on the CPU, else tensors.

An operation on ten numbers costs torch some 1.5 us and numpy 0.4: small vocabularies pay for little else. A formula is written
once, for both: operators, and the functions here. Arrays are float64, so that rounding to the working dtype is the last thing done.
What overflows is infinite, as a tensor's is, without a warning of numpy: divisions by what may be tiny are `divided`.
"""

from __future__ import annotations

from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from temp_processors.policies.distribution import precise_dtype

Few: TypeAlias = Any
"""`Tensor`, or `NDArray[float64]`; its shape broadcasts against (rows, 1), or (batch, steps, 1)."""


def as_tensor(values: Few, dtype: torch.dtype) -> Tensor:
    """The numbers as a tensor of `dtype`."""
    if isinstance(values, Tensor):
        return values.to(dtype)
    array: npt.NDArray[Any] = values
    if dtype == torch.float64:
        return torch.from_numpy(array)
    with np.errstate(over="ignore"):
        return torch.from_numpy(array.astype(np.float32))


def precise(values: Few) -> Few:
    """Tensors in float64, where the device has it; arrays are."""
    return values.to(precise_dtype(values)) if isinstance(values, Tensor) else values


def exp(values: Few) -> Few:
    if isinstance(values, Tensor):
        return values.exp()
    with np.errstate(over="ignore"):
        return np.exp(values)


def divided(values: Few, by: Few | float) -> Few:
    """values / by, where one of the two may be a number."""
    if isinstance(values, Tensor) or isinstance(by, Tensor):
        return values / by
    with np.errstate(over="ignore"):
        return values / by


def cos(values: Few) -> Few:
    return values.cos() if isinstance(values, Tensor) else np.cos(values)


def at_least(values: Few, bound: float) -> Few:
    return values.clamp(min=bound) if isinstance(values, Tensor) else np.maximum(values, bound)


def at_most(values: Few, bound: float) -> Few:
    return values.clamp(max=bound) if isinstance(values, Tensor) else np.minimum(values, bound)


def where(condition: Few, values: Few, other: Few) -> Few:
    """`values` where the condition holds; one of the two may be a number."""
    return (
        torch.where(condition, values, other) if isinstance(condition, Tensor) else np.where(condition, values, other)
    )


def filled(like: Few, value: float) -> Few:
    """Numbers of the shape of `like` that are all `value`."""
    return torch.full_like(like, value) if isinstance(like, Tensor) else np.full_like(like, value)
