"""Scores and differences in words: as many digits as the interval allows, the interval itself, and the verdict.

The terminal, `comparison.md`, `comparison.tex` and the page take every word from here, and verdicts from `metrics.json`.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

from temp_processors.metrics.catalogue import described
from temp_processors.metrics.digits import bounds as bounds
from temp_processors.metrics.digits import described_interval as described_interval
from temp_processors.metrics.digits import half, together
from temp_processors.metrics.digits import interval_text as interval_text
from temp_processors.metrics.digits import number as number
from temp_processors.metrics.digits import rounded as rounded
from temp_processors.metrics.digits import value_text as value_text
from temp_processors.metrics.length import unit_of

Scores = Mapping[str, Mapping[str, Mapping[str, Any]]]
"""Policy -> metric -> score, the part `policies` of `metrics.json`."""
ARROWS = {"higher": "↑", "lower": "↓", "": ""}
EARLIER = {"higher": "higher", "lower": "lower", "no difference": "not resolved"}
"""Verdicts of runs that an earlier version scored, in today's words."""


def heading(metric: str, scores: Scores | None = None) -> str:
    """The heading of a column, with the direction of more diversity: `distinct` over `-2 ↑`; lengths of `scores` name their unit."""
    facts = described(metric)
    held = next(iter(scores.values()), {}).get(metric, {}) if scores else {}
    text = facts.heading_in(str(held["signature"])) if "signature" in held else facts.heading
    return f"{text} {ARROWS[facts.direction]}".rstrip()


def difference_text(change: Mapping[str, Any]) -> str:
    """A difference with its sign, `+0.075`, or the ratio of perplexities, `x 1.12`."""
    value = number(change.get("value"))
    text = rounded(value, half(bounds(change)))
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


def described_difference(change: Mapping[str, Any]) -> str:
    """Difference and interval on one line, as `described_interval`."""
    return together(difference_text(change), interval_text(change))


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


def display_with_unit(metric: str, policies: Scores) -> str:
    """The name of a metric for people, a length with what it is counted in.

    Example:
        >>> display_with_unit("mean_length", {"cold": {"mean_length": {"signature": "mean_length|tok:characters|len:full|v:1"}}})
        'mean length (characters)'
    """
    signatures = [str(row[metric].get("signature")) for row in policies.values() if metric in row]
    unit = f" ({unit_of(signatures[0])})" if metric == "mean_length" and signatures else ""
    return described(metric).display + unit
