"""Scores and differences in words: as many digits as the interval allows, the interval itself, and the verdict.

The terminal, `comparison.md`, `comparison.tex` and the page take every word from here, and verdicts from `metrics.json`.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

from temp_processors.metrics.catalogue import described
from temp_processors.metrics.length import unit_of

Scores = Mapping[str, Mapping[str, Mapping[str, Any]]]
"""Policy -> metric -> score, the part `policies` of `metrics.json`."""
ARROWS = {"higher": "↑", "lower": "↓", "": ""}
NEARLY_ALIKE = 1.5
"""Longest arm of an interval over its shortest up to which one number stands for both."""
EARLIER = {"higher": "higher", "lower": "lower", "no difference": "not resolved"}
"""Verdicts of runs that an earlier version scored, in today's words."""


def heading(metric: str, scores: Scores | None = None) -> str:
    """The heading of a column, with the direction of more diversity: `distinct` over `-2 ↑`; lengths of `scores` name their unit."""
    facts = described(metric)
    held = next(iter(scores.values()), {}).get(metric, {}) if scores else {}
    text = facts.heading_in(str(held["signature"])) if "signature" in held else facts.heading
    return f"{text} {ARROWS[facts.direction]}".rstrip()


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
    return rounded(number(score.get("value")), _half(bounds(score)))


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
        return f"≥{rounded(low, _half(ends) if math.isfinite(high) else value - low)}"
    if value <= low:
        return f"≤{rounded(high, _half(ends))}"
    if max(value - low, high - value) <= NEARLY_ALIKE * min(value - low, high - value):
        return f"±{rounded(_half(ends), _half(ends))}"
    return f"{rounded(low, _half(ends))} to {rounded(high, _half(ends))}"


def difference_text(change: Mapping[str, Any]) -> str:
    """A difference with its sign, `+0.075`, or the ratio of perplexities, `x 1.12`."""
    value = number(change.get("value"))
    text = rounded(value, _half(bounds(change)))
    if math.isnan(value):
        return text
    if change.get("ratio"):
        return f"x {text}"
    return text if value < 0 and text.startswith("-") else f"+{text}"


def statement(change: Mapping[str, Any]) -> str:
    """What a difference says: `higher`, `lower`, `equal within ...`, `not resolved (...)` or `not judged: ...`."""
    said = change.get("statement")
    if isinstance(said, str):
        return said
    return EARLIER.get(str(change.get("verdict")), "not judged: scored by an earlier version")


def verdict(change: Mapping[str, Any]) -> str:
    """The verdict alone, for narrow columns: the statement without reason and numbers in brackets."""
    return statement(change).partition(":")[0].partition(" (")[0]


def smallest_text(change: Mapping[str, Any]) -> str:
    """The smallest difference that 4 of 5 experiments of this size would show; empty where unknown."""
    smallest = number(change.get("smallest"))
    if not math.isfinite(smallest):
        return ""
    return f"x {smallest:.3g}" if change.get("ratio") else f"{smallest:,.2g}" if smallest < 10 else f"{smallest:,.0f}"


def visible(scores: Scores) -> dict[str, str]:
    """The smallest difference that an experiment of this size would show, by metric: the largest over the policies, as text."""
    found = {}
    for metric in next(iter(scores.values()), {}):
        changes = [row[metric]["difference"] for row in scores.values() if row.get(metric, {}).get("difference")]
        known = [change for change in changes if smallest_text(change)]
        found[metric] = smallest_text(max(known, key=lambda change: number(change["smallest"]))) if known else ""
    return found


def by_baseline(scores: Scores) -> dict[str, Scores]:
    """The policies that are compared, by what they are compared with; empty where nothing is."""
    parts: dict[str, dict[str, Mapping[str, Mapping[str, Any]]]] = {}
    for name, row in scores.items():
        change = next((score["difference"] for score in row.values() if score.get("difference")), None)
        if change is not None:
            parts.setdefault(str(change.get("baseline")), {})[name] = row
    return dict(parts)


def described_interval(score: Mapping[str, Any]) -> str:
    """Value and interval on one line: `0.278 ±0.011`, `4,900 (3,300 to 7,500)`."""
    return _together(value_text(score), interval_text(score))


def described_difference(change: Mapping[str, Any]) -> str:
    """Difference and interval on one line, as `described_interval`."""
    return _together(difference_text(change), interval_text(change))


def score_words(score: Mapping[str, Any]) -> dict[str, Any]:
    """A score as the page holds it: the numbers for its charts, the words for its table.

    Returns:
        `value`, and `interval` (null where there is none), as numbers; `text`, both in words; `missing`, why there is no value or
        no interval; `difference` and `statement` in words, empty where nothing is compared; `signature`.
    """
    value, ends, change = number(score.get("value")), bounds(score), score.get("difference")
    reason = score.get("reason") or (score.get("no_interval") if ends is None else None)
    return {
        "value": value,
        "interval": None if ends is None else list(ends),
        "text": described_interval(score),
        "missing": reason or "",
        "difference": described_difference(change) if change else "",
        "statement": statement(change) if change else "",
        "signature": score.get("signature"),
    }


def _together(value: str, interval: str) -> str:
    return f"{value} ({interval})" if " to " in interval else f"{value} {interval}".rstrip()


def _half(ends: tuple[float, float] | None) -> float:
    return math.nan if ends is None else (ends[1] - ends[0]) / 2


def display_with_unit(metric: str, policies: Scores) -> str:
    """The name of a metric for people, a length with what it is counted in.

    Example:
        >>> display_with_unit("mean_length", {"cold": {"mean_length": {"signature": "mean_length|tok:characters|len:full|v:1"}}})
        'mean length (characters)'
    """
    signatures = [str(row[metric].get("signature")) for row in policies.values() if metric in row]
    unit = f" ({unit_of(signatures[0])})" if metric == "mean_length" and signatures else ""
    return described(metric).display + unit
