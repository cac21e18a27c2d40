"""The interval of a difference from the intervals of its two sides and their correlation (MOVER, Zou and Donner 2008).

    low  = a - b - sqrt((a - a_low)^2 - 2 r (a - a_low) (b_high - b) + (b_high - b)^2), high likewise.

What both sides share (prompts, coupled draws) cancels, and the difference stays in the range that its sides allow. A p-value is the
smallest level at which the interval leaves out `no difference`.
"""

from __future__ import annotations

import math
from collections.abc import Callable

SMALLEST_P = 1e-12
"""p-values are not told apart below this."""
Ends = tuple[float, float]


def difference_ends(own: float, own_ends: Ends, other: float, other_ends: Ends, correlation: float) -> Ends:
    """Ends of the interval of `own - other`.

    Args:
        own: One value.
        own_ends: Ends of its interval.
        other: The value that is taken off.
        other_ends: Ends of its interval.
        correlation: Of the two estimates, in [-1, 1].

    Example:
        >>> difference_ends(0.5, (0.2, 0.8), 0.5, (0.1, 0.9), 0.0)
        (-0.5, 0.5)
    """
    (a, b), (c, d), value = own_ends, other_ends, own - other
    below = _together(own - a, d - other, correlation)
    above = _together(b - own, other - c, correlation)
    return value - below, value + above


def p_value(ends: Callable[[float], Ends], nothing: float = 0.0) -> float:
    """Smallest level at which `ends(1 - level)` leaves out `nothing`; never below `SMALLEST_P`."""
    low, high = math.log(SMALLEST_P), 0.0
    for _ in range(20):
        middle = (low + high) / 2
        left, right = ends(-math.expm1(middle))
        low, high = (middle, high) if left <= nothing <= right else (low, middle)
    return math.exp(high)


def _together(first: float, second: float, correlation: float) -> float:
    """Length of the difference of two arms with this correlation."""
    square = first * first - 2 * correlation * first * second + second * second
    return math.sqrt(max(0.0, square)) if math.isfinite(square) else math.inf
