"""How a score goes with temperature, where that can be said."""

from __future__ import annotations

from collections.abc import Mapping
from itertools import pairwise
from typing import Any

from temp_processors.metrics.catalogue import described
from temp_processors.runs.verdict import leading_metric
from temp_processors.runs.wording import Scores, bounds, number, value_text, verdict

RESOLVED = ("higher", "lower")


def trend_lines(scores: Scores, temperatures: Mapping[str, float]) -> list[str]:
    """The sentences on the metric that a run is judged by, and on perplexity where the run has it; see `trend_line`."""
    leading = leading_metric(scores)
    others = {metric for row in scores.values() for metric in row} & {"perplexity"}
    lines = [trend_line(scores, metric, temperatures) for metric in dict.fromkeys([*filter(None, [leading]), *others])]
    return [line for line in lines if line]


def trend_line(scores: Scores, metric: str, temperatures: Mapping[str, float]) -> str | None:
    """A sentence where a score rises or falls from each temperature to the next; None where it does not, or two are not told apart.

    Two temperatures are told apart by the verdict where one of them is the baseline, else by intervals that do not meet.

    Args:
        scores: Policy -> metric -> score.
        metric: Which score.
        temperatures: Of the policies that are one fixed temperature, two at least.

    Example:
        >>> scores = {name: {"distinct_2": {"value": v, "interval": [v - 0.02, v + 0.02]}} for name, v in {"cold": 0.1, "hot": 0.3}.items()}
        >>> trend_line(scores, "distinct_2", {"cold": 0.1, "hot": 1.0})
        'distinct-2 rises with temperature: 0.100 at 0.1, 0.300 at 1.'
        >>> trend_line(scores, "distinct_2", {"cold": 0.1}) is None
        True
    """
    ladder = sorted((name for name in temperatures if name in scores), key=lambda name: temperatures[name])
    held = {name: scores[name].get(metric, {}) for name in ladder}
    values = [number(score.get("value")) for score in held.values()]
    word = "rises" if all(a < b for a, b in pairwise(values)) else "falls"
    if len(ladder) < 2 or not (word == "rises" or all(a > b for a, b in pairwise(values))):
        return None
    if not all(_apart(a, held[a], b, held[b]) for a, b in pairwise(ladder)):
        return None
    steps = ", ".join(f"{value_text(held[name])} at {temperatures[name]:g}" for name in _ends(ladder))
    return f"{described(metric).display} {word} with temperature: {steps}."


def _ends(ladder: list[str]) -> list[str]:
    """All of a few, the ends of many."""
    return ladder if len(ladder) < 6 else [ladder[0], ladder[-1]]


def _apart(first: str, score: Mapping[str, Any], second: str, other: Mapping[str, Any]) -> bool:
    for change, name in ((score.get("difference"), second), (other.get("difference"), first)):
        if change and change.get("baseline") == name:
            return verdict(change) in RESOLVED
    ends, others = bounds(score), bounds(other)
    return bool(ends and others and (ends[1] < others[0] or others[1] < ends[0]))
