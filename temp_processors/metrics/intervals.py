"""Which differences are real: intervals and paired differences for scores of groups of texts.

The target is the expected score of a group of this size under the process that wrote the texts. A bootstrap is wrong here: it repeats
texts, and a repeated text has self-BLEU 1. Used instead is the delete-a-group jackknife: split the texts into G groups, leave out one
group at a time, and

    standard error = sqrt((G - 1) / G * sum over g of (score without g - mean of those) ** 2)

with the quantiles of Student's t at G - 1 degrees of freedom. Where there are several prompts a group is one or more whole prompts,
because texts of one prompt are not independent; with few prompts the interval is as wide as few prompts make it. Differences leave out
the same group on both sides, so what both share (prompts, coupled draws) cancels. Source: Shao and Tu 1995, The Jackknife and Bootstrap.
`coverage.md`, written by `scripts/check_coverage.py`, states how often the intervals hold the truth.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Hashable, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from scipy.stats import t as student

from temp_processors.metrics.score import Score
from temp_processors.metrics.tokenization import Ints

GROUPS = 32
"""Most groups that are left out: enough degrees of freedom, and a cost of 32 evaluations."""


@dataclass(frozen=True)
class Interval:
    """A confidence interval. `groups` is how many groups were left out; the degrees of freedom are one fewer."""

    low: float
    high: float
    standard_error: float
    groups: int
    confidence: float


@dataclass(frozen=True)
class Difference:
    """Score of a group minus the score of the baseline, its interval, and the two-sided p-value of `it is 0`."""

    value: float
    interval: Interval
    p_value: float

    @property
    def verdict(self) -> Literal["higher", "lower", "no difference"]:
        """`no difference` when the interval holds 0 or is unknown."""
        if self.interval.low > 0:
            return "higher"
        return "lower" if self.interval.high < 0 else "no difference"


def groups_of(clusters: Sequence[Hashable], groups: int = GROUPS) -> list[Ints]:
    """Indices of the texts of every group that is left out: whole clusters, or single texts where there is one cluster.

    Example:
        >>> [group.tolist() for group in groups_of(["a", "a", "b", "c"], groups=2)]
        [[0, 1, 3], [2]]
        >>> [group.tolist() for group in groups_of(["a", "a", "a"], groups=2)]
        [[0, 2], [1]]
    """
    numbers = {cluster: number for number, cluster in enumerate(dict.fromkeys(clusters))}
    units = [numbers[cluster] for cluster in clusters] if len(numbers) > 1 else range(len(clusters))
    places = np.array(units, dtype=np.int64) % groups
    return [
        np.flatnonzero(places == group) for group in range(min(groups, int(places.max()) + 1 if len(places) else 0))
    ]


def interval(
    metric: Callable[[Sequence[Any]], Score],
    texts: Sequence[Any],
    clusters: Sequence[Hashable] | None = None,
    *,
    confidence: float = 0.95,
    groups: int = GROUPS,
) -> Interval:
    """Confidence interval of `metric(texts)`.

    Args:
        metric: From a sequence of texts to a `Score`.
        texts: The texts of one group.
        clusters: The prompt of every text; one prompt for all by default.
        confidence: Share of experiments whose interval should hold the expected score.
        groups: Most groups that are left out.

    Returns:
        Infinite where there are fewer than three groups or the score is undefined without one of them.

    Example:
        >>> from temp_processors.metrics import distinct_n
        >>> found = interval(distinct_n, ["a b c", "a b d", "a c d", "b c d"])
        >>> found.low < distinct_n(["a b c", "a b d", "a c d", "b c d"]).value < found.high
        True
    """
    left_out = groups_of(_clusters(texts, clusters), groups)
    values = _without_each(metric, texts, left_out)
    return _interval(metric(texts).value, values, confidence)


def difference(
    metric: Callable[[Sequence[Any]], Score],
    texts: Sequence[Any],
    baseline: Sequence[Any],
    clusters: Sequence[Hashable] | None = None,
    *,
    confidence: float = 0.95,
    groups: int = GROUPS,
) -> Difference:
    """`metric(texts) - metric(baseline)`, paired: text i of both belongs to the same prompt and sample number.

    Args:
        metric: From a sequence of texts to a `Score`.
        texts: The texts of one group.
        baseline: As many texts of the other group, in the same order of prompts and samples.
        clusters: The prompt of every pair; one prompt for all by default.
        confidence: As for `interval`.
        groups: As for `interval`.

    Raises:
        ValueError: The groups differ in size: most scores move with the number of texts, so the difference would not compare.
    """
    if len(texts) != len(baseline):
        raise ValueError(
            f"{len(texts)} texts against {len(baseline)} of the baseline: scores move with the number of texts; compare equal numbers"
        )
    left_out = groups_of(_clusters(texts, clusters), groups)
    values = _without_each(metric, texts, left_out) - _without_each(metric, baseline, left_out)
    value = metric(texts).value - metric(baseline).value
    found = _interval(value, values, confidence)
    return Difference(value, found, _p_value(value, found))


def holm(p_values: Sequence[float]) -> list[float]:
    """p-values corrected for their number by Holm's method (1979); NaN stays NaN and does not count.

    Example:
        >>> holm([0.01, 0.04, 0.03])
        [0.03, 0.06, 0.06]
    """
    order = [i for i in np.argsort(p_values, kind="stable") if not math.isnan(p_values[i])]
    corrected, largest = list(p_values), 0.0
    for rank, i in enumerate(order):
        largest = max(largest, min(1.0, p_values[i] * (len(order) - rank)))
        corrected[i] = largest
    return corrected


def _clusters(texts: Sequence[Any], clusters: Sequence[Hashable] | None) -> Sequence[Hashable]:
    if clusters is None:
        return [0] * len(texts)
    if len(clusters) != len(texts):
        raise ValueError(
            f"`clusters` has to name the prompt of each of the {len(texts)} texts, but holds {len(clusters)}"
        )
    return clusters


def _without_each(metric: Callable[[Sequence[Any]], Score], texts: Sequence[Any], left_out: list[Ints]) -> Any:
    values = []
    for group in left_out:
        gone = set(group.tolist())
        values.append(metric([text for i, text in enumerate(texts) if i not in gone]).value)
    return np.array(values)


def _interval(value: float, without: Any, confidence: float) -> Interval:
    groups = len(without)
    if groups < 3 or not math.isfinite(value) or not np.isfinite(without).all():
        return Interval(-math.inf, math.inf, math.inf, groups, confidence)
    error = math.sqrt((groups - 1) / groups * float(np.square(without - without.mean()).sum()))
    reach = float(student.ppf((1 + confidence) / 2, groups - 1)) * error
    return Interval(value - reach, value + reach, error, groups, confidence)


def _p_value(value: float, found: Interval) -> float:
    if not math.isfinite(found.standard_error):
        return math.nan
    if found.standard_error == 0:
        return 1.0 if value == 0 else 0.0
    return float(2 * student.sf(abs(value) / found.standard_error, found.groups - 1))
