"""The finaliser of SplitMix64 (Steele, Lea, Flood 2014) on words of 64 bits, for draws and for telling counted things apart."""

from __future__ import annotations

from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt

Words: TypeAlias = npt.NDArray[Any]

GOLDEN = 0x9E3779B97F4A7C15
"""2 ** 64 by the golden ratio: what the counter of SplitMix64 goes on by."""
FACTORS = (0xBF58476D1CE4E5B9, 0x94D049BB133111EB)
"""The two products of the finaliser."""
SHIFTS = (30, 27, 31)
"""How far bits are shifted to the right before each product, and at the end."""
# As words, made once: making one costs as much as multiplying a few numbers by it.
GOLDEN_WORD = np.uint64(GOLDEN)
_STEPS = tuple((np.uint64(bits), np.uint64(factor)) for bits, factor in zip(SHIFTS, FACTORS, strict=False))
_LAST = np.uint64(SHIFTS[-1])


def finalised(words: Words) -> Words:
    """Unsigned words whose bits are as good as random; equal where these are equal.

    Example:
        >>> [f"{word:016x}" for word in finalised(np.array([0, 1], dtype=np.uint64) + GOLDEN_WORD).tolist()]
        ['e220a8397b1dcdaf', '910a2dec89025cc1']
    """
    for bits, factor in _STEPS:
        words = (words ^ (words >> bits)) * factor
    found: Words = words ^ (words >> _LAST)
    return found
