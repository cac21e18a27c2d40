"""What a difference says: higher, lower, equal within a margin, not resolved, or not judged and why."""

from __future__ import annotations

import math
from typing import Any, Literal

from temp_processors.metrics.intervals import Difference

Verdict = Literal["higher", "lower", "equal", "not resolved", "not judged"]
MARGIN = 0.02
"""Difference of a share that is small enough to call two groups equal, at most 5 % of it; of lengths and perplexities the part."""


def verdict_of(
    change: Difference,
    p_value: float,
    *,
    baseline: float,
    confidence: float,
    scale: str,
    margin: float | None = None,
) -> tuple[Verdict, str]:
    """The verdict and the sentence that says it.

    Args:
        change: The difference.
        p_value: Its p-value, corrected for the number of comparisons; NaN where there is none.
        baseline: Score of the baseline.
        confidence: One minus the level of the test.
        scale: Of the metric.
        margin: Difference that is small enough to call both equal, chosen beforehand; by default what `MARGIN` says of the scale.

    Example:
        >>> from temp_processors.metrics.intervals import Interval
        >>> change = Difference(0.004, Interval(-0.02, 0.031), 0.6, 0.05, False, Interval(-0.016, 0.027))
        >>> verdict_of(change, 0.6, baseline=0.4, confidence=0.95, scale="share")
        ('not resolved', 'not resolved (could be up to 0.031)')
    """
    found = change.interval
    if not found.known:
        return "not judged", f"not judged: {found.reason}"
    if p_value < 1 - confidence:
        nothing = 1.0 if change.ratio else 0.0
        return ("higher", "higher") if change.value > nothing else ("lower", "lower")
    margin, said = _margin(change, baseline, scale) if margin is None else (margin, f"{margin:.2g}")
    ends = (change.equal_interval.low, change.equal_interval.high)
    if not math.isnan(p_value) and (1 / margin if change.ratio else -margin) < ends[0] and ends[1] < margin:
        return "equal", f"equal within {said}"
    return "not resolved", f"not resolved (could be up to {_largest(change)})"


def _margin(change: Difference, baseline: float, scale: str) -> tuple[float, str]:
    if change.ratio:
        return 1 + MARGIN, f"{100 * MARGIN:g} %"
    if scale == "positive":
        return MARGIN * baseline, f"{100 * MARGIN:g} %"
    margin = min(MARGIN, 2.5 * MARGIN * baseline)  # 5 % of a small share
    return margin, f"{margin:.2g}"


def _largest(change: Difference) -> str:
    """The largest difference that the interval leaves possible, in two digits."""
    found = change.interval
    if change.ratio:
        return f"{max(found.high, 1 / found.low) if found.low > 0 else math.inf:.3g} times"
    return f"{max(abs(found.low), abs(found.high)):.2g}"


def as_dict(
    change: Difference,
    corrected: float,
    *,
    baseline_name: str,
    baseline: float,
    confidence: float,
    scale: str,
    margin: float | None = None,
) -> dict[str, Any]:
    """A difference as `metrics.json` keeps it; numbers that are not known are null."""
    verdict, statement = verdict_of(
        change, corrected, baseline=baseline, confidence=confidence, scale=scale, margin=margin
    )
    return {
        "baseline": baseline_name,
        "value": _known(change.value),
        "ratio": change.ratio,
        "interval": [_known(change.interval.low), _known(change.interval.high)] if change.interval.known else None,
        "p_value": _known(change.p_value),
        "p_value_holm": _known(corrected),
        "verdict": verdict,
        "statement": statement,
        "smallest": _known(change.smallest),
    }


def _known(value: float) -> float | None:
    return value if math.isfinite(value) else None
