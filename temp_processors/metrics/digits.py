"""Numbers in words: as many digits of a value as its interval allows, and the interval itself."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

NEARLY_ALIKE = 1.5
"""Longest arm of an interval over its shortest up to which one number stands for both."""


def number(value: object) -> float:
    """A number from a JSON file; NaN for anything else."""
    return float(value) if isinstance(value, (int, float)) and not isinstance(value, bool) else math.nan


def bounds(score: Mapping[str, Any] | None) -> tuple[float, float] | None:
    """The ends of the interval of a score or of a difference, None where there is none; an end that is not finite is infinite.

    Example:
        >>> bounds({"interval": [0.1, 0.3]}), bounds({"interval": [0.2, 0.2]}), bounds({"interval": [2.0, None]})
        ((0.1, 0.3), None, (2.0, inf))
    """
    ends = (score or {}).get("interval")
    if not isinstance(ends, (list, tuple)) or len(ends) != 2:
        return None
    low, high = map(number, ends)
    if math.isnan(low):
        return None
    high = math.inf if math.isnan(high) else high
    return (low, high) if low < high else None


def rounded(value: float, width: float = math.nan) -> str:
    """A number with the digits that an interval of this half width allows: two of the half width.

    Without one: three digits after the point below 10, one above; `undefined` for NaN.

    Example:
        >>> rounded(4940.0, 2066.6), rounded(0.27845, 0.0113), rounded(41.17), rounded(math.nan)
        ('4,900', '0.278', '41.2', 'undefined')
    """
    if math.isnan(value):
        return "undefined"
    if math.isinf(value):
        return "∞" if value > 0 else "-∞"
    if not 0 < width < math.inf:
        return f"{value:.3f}" if abs(value) < 10 else f"{value:,.1f}"
    places = 1 - math.floor(math.log10(float(f"{width:.1e}")))
    return f"{round(value, places) + 0.0:,.{max(places, 0)}f}"


def value_text(score: Mapping[str, Any]) -> str:
    """The value of a score."""
    return rounded(number(score.get("value")), half(bounds(score)))


def interval_text(score: Mapping[str, Any]) -> str:
    """The interval of a score or difference: `±0.012` where both arms are about equal, else its ends; empty where there is none.

    A value at the end of its interval is bounded on one side only: `≥0.994` where nothing repeats.

    Example:
        >>> interval_text({"value": 0.5, "interval": [0.4, 0.61]}), interval_text({"value": 4940.0, "interval": [3300.0, 7500.0]})
        ('±0.10', '3,300 to 7,500')
        >>> interval_text({"value": 1.0, "interval": [0.994, 1.0]}), interval_text({"value": 0.2, "interval": None})
        ('≥0.9940', '')
    """
    ends, value = bounds(score), number(score.get("value"))
    if ends is None or math.isnan(value):
        return ""
    low, high = ends
    if value >= high or math.isinf(high):
        return f"≥{rounded(low, half(ends) if math.isfinite(high) else value - low)}"
    if value <= low:
        return f"≤{rounded(high, half(ends))}"
    if max(value - low, high - value) <= NEARLY_ALIKE * min(value - low, high - value):
        return f"±{rounded(half(ends), half(ends))}"
    return f"{rounded(low, half(ends))} to {rounded(high, half(ends))}"


def described_interval(score: Mapping[str, Any]) -> str:
    """Value and interval on one line: `0.278 ±0.011`, `4,900 (3,300 to 7,500)`."""
    return together(value_text(score), interval_text(score))


def together(value: str, interval: str) -> str:
    """A value and its interval on one line; ends of an interval in brackets."""
    return f"{value} ({interval})" if " to " in interval else f"{value} {interval}".rstrip()


def half(ends: tuple[float, float] | None) -> float:
    """Half the width of an interval, NaN where there is none."""
    return math.nan if ends is None else (ends[1] - ends[0]) / 2
