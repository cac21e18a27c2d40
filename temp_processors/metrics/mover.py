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


def difference_ends(
    own: float, own_ends: Ends, other: float, other_ends: Ends, correlation: float, *, skew_shared: bool = False
) -> Ends:
    """Ends of the interval of `own - other`.

    Args:
        own: One value.
        own_ends: Ends of its interval.
        other: The value that is taken off.
        other_ends: Ends of its interval.
        correlation: Of the two estimates, in [-1, 1].
        skew_shared: Whether what makes the intervals lopsided is shared too. MOVER cancels an arm of one side with the opposite arm of
            the other, which shifts the interval of two strongly correlated, skewed estimates; arms of one side cancel where both move
            together. Which is right depends on where the skew stems from: with this, the mean of the two.

    Example:
        >>> difference_ends(0.5, (0.2, 0.8), 0.5, (0.1, 0.9), 0.0)
        (-0.5, 0.5)
    """
    value, shared = own - other, max(0.0, correlation) if skew_shared else 0.0
    below, above = own - own_ends[0], own_ends[1] - own
    down, up = other - other_ends[0], other_ends[1] - other
    low = _together(below, up, correlation) - shared * _lopsided(below, up, down)
    high = _together(above, down, correlation) - shared * _lopsided(above, down, up)
    return value - math.sqrt(max(0.0, low)), value + math.sqrt(max(0.0, high))


def p_value(ends: Callable[[float], Ends], nothing: float = 0.0) -> float:
    """Smallest level at which `ends(1 - level)` leaves out `nothing`; never below `SMALLEST_P`."""
    low, high = math.log(SMALLEST_P), 0.0
    for _ in range(20):
        middle = (low + high) / 2
        left, right = ends(-math.expm1(middle))
        low, high = (middle, high) if left <= nothing <= right else (low, middle)
    return math.exp(high)


def _together(arm: float, against: float, correlation: float) -> float:
    """Square of the difference of two arms with this correlation."""
    square = arm * arm - 2 * correlation * arm * against + against * against
    return square if math.isfinite(square) else math.inf


def _lopsided(arm: float, against: float, along: float) -> float:
    """Half of what the square loses where arms of one side cancel in place of opposite ones."""
    opposite, same = arm - against, arm - along
    lost = (opposite * opposite - same * same) / 2  # a power would overflow with an error
    return lost if math.isfinite(lost) else 0.0
