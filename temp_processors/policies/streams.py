"""Random numbers that depend on a seed and a step alone: counter-based, so that nothing has to be remembered between calls."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from temp_processors.policies.checks import SEED, check_whole, is_list
from temp_processors.policies.distribution import without_sync
from temp_processors.splitmix import FACTORS, GOLDEN, GOLDEN_WORD, SHIFTS, finalised

_MASK = (1 << 64) - 1
SHIFT_11 = np.uint64(11)


def check_seeds(name: str, value: object) -> tuple[int, ...]:
    """Whole numbers, one per row of the batch, as a tuple; a tensor (batch,) or (batch, 1) too."""
    if isinstance(value, Tensor):
        value = value.flatten().tolist()
    if not is_list(value) or not value:
        raise ValueError(f"`{name}` has to hold one whole number per row of the batch, but is {value!r}")
    return tuple(check_whole(f"{name}[{row}]", seed, SEED) for row, seed in enumerate(value))


def as_tensor(seeds: Sequence[int]) -> Tensor:
    """Checked seeds as a LongTensor (batch,): the 64 bits of each."""
    return torch.tensor([signed(seed & _MASK) for seed in seeds], dtype=torch.long)


def signed(value: int) -> int:
    """A 64-bit pattern as the int64 that torch stores."""
    return value - (1 << 64) if value >= 1 << 63 else value


def uniform(seeds: Tensor, step: Tensor) -> Tensor:
    """A float64 in (0, 1) for every (seed, step), with 53 bits.

    Steps from 0 on are those of the draws of a text's tokens; -1 is what is drawn once for the whole text.
    """
    if not without_sync(seeds):
        return torch.from_numpy(uniform_words(seeds.numpy(), step.numpy()))
    return (_shift(substream(seeds, step), 11).double() + 0.5) * 2.0**-53


def uniform_words(seeds: npt.NDArray[Any], step: npt.NDArray[Any]) -> npt.NDArray[Any]:
    """[`uniform`] of arrays, bit by bit: operations on a few numbers cost numpy less than torch."""
    with np.errstate(over="ignore"):  # that of single numbers, which numpy tells
        counter = (step + 1).astype(np.uint64) * GOLDEN_WORD
        bits = finalised(finalised(seeds.astype(np.uint64) + GOLDEN_WORD) + counter)
    return ((bits >> SHIFT_11) + 0.5) * 2.0**-53


def stream_of(seed: int) -> int:
    """The part of [`uniform_number`] that depends on the seed alone."""
    return _mixed_number(seed + GOLDEN)


def uniform_number(stream: int, step: int) -> float:
    """[`uniform`] of one row, bit by bit: for up to a dozen rows Python's own numbers cost less than an array."""
    return ((_mixed_number(stream + (step + 1) * GOLDEN) >> 11) + 0.5) * 2.0**-53


def _mixed_number(x: int) -> int:
    """[`finalised`] on a whole number of any size, of which the lowest 64 bits count."""
    x &= _MASK
    x = (x ^ (x >> 30)) * FACTORS[0] & _MASK  # written out: a loop would cost as much again
    x = (x ^ (x >> 27)) * FACTORS[1] & _MASK
    return x ^ (x >> 31)


def substream(seeds: Tensor, number: Tensor | int) -> Tensor:
    """The seed of a further stream for every (seed, number), int64: streams of different numbers are independent.

    For draws that need more than one number a step: particles, moves, resampling. `number` is any whole number but -1.
    """
    golden = signed(GOLDEN)
    numbers = torch.as_tensor(number, dtype=torch.long, device=seeds.device)
    return _mix(_mix(seeds + golden) + (numbers + 1) * golden)


def _mix(x: Tensor) -> Tensor:
    """[`finalised`] on int64, whose products wrap as 64-bit words do."""
    for bits, factor in zip(SHIFTS, FACTORS, strict=False):
        x = (x ^ _shift(x, bits)) * signed(factor)
    return x ^ _shift(x, SHIFTS[-1])


def _shift(x: Tensor, bits: int) -> Tensor:
    """Logical right shift; torch's own keeps the sign."""
    return (x >> bits) & ((1 << (64 - bits)) - 1)
