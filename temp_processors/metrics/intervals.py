"""Confidence intervals of scores, and of paired differences of scores, by balanced half-samples.

The target is the expected score of a group of this size under the process that wrote the texts. A bootstrap is wrong here: it repeats
texts, and a repeated text has self-BLEU 1. A jackknife is too wide, because these scores are far from a mean of texts. Used instead are
balanced half-samples. Deal the texts into G groups (a power of 2) and cut them into two halves in G - 1 orthogonal ways (the rows of a
Hadamard matrix); the halves A and B share no text, so

    V(N / 2) = mean over the cuts of (score(A) - score(B)) ** 2 / 2

estimates the variance of a score of N / 2 texts without bias, whatever the score. Cutting the halves once more gives V(N / 4), and with
it the rate at which the variance shrinks: V(N) = V(N / 2) * r, r = V(N / 2) / V(N / 4), kept within 1/4 and 1/2 (1/2 is the rate of a
mean), for fewer than 16 groups within 1/3 and 1/2, because a rate from few groups is mostly noise, and one that is too small makes the
interval too short. The quantiles are those of Student's t at G - 1 degrees of freedom. With several prompts whole prompts are dealt,
because texts of one prompt are not independent; with few prompts the interval is as wide as few prompts make it, for two or three
infinite. With one prompt texts are dealt, and the interval speaks of that prompt only. Differences use the same halves on both sides, so
what both share (prompts, coupled draws) cancels.
Sources: McCarthy 1969 (balanced half-samples); Politis, Romano and Wolf 1999, Subsampling (estimated rates). `coverage.md`, written by
`scripts/check_coverage.py`, states how often the intervals hold the truth.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Hashable, Sequence
from dataclasses import dataclass
from typing import Any, Literal, NamedTuple

import numpy as np
from scipy.special import stdtr, stdtrit  # Student's t, as in scipy.stats, whose import takes seconds

from temp_processors.metrics.arrays import Floats, Ints
from temp_processors.metrics.score import Score
from temp_processors.metrics.texts import TokenizedTexts

GROUPS = 16
"""Most groups that texts are dealt into: 15 degrees of freedom, at the cost of scoring all texts about 30 times."""
FEWEST = 4
"""Fewest groups for an interval: two agree by accident too often to estimate a variance from."""
SLOWEST = 1 / 2
"""Largest factor by which the variance shrinks when the texts double: that of a mean."""
FASTEST, FASTEST_OF_FEW = 1 / 4, 1 / 3
"""Smallest such factor accepted from 16 groups, and from fewer: a smaller estimate from few noisy variances is mostly chance."""


@dataclass(frozen=True)
class Interval:
    """A confidence interval. `groups` is how many groups were dealt; the degrees of freedom are one fewer."""

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


def half_samples(clusters: Sequence[Hashable], groups: int = GROUPS) -> tuple[Ints, Ints]:
    """Which half every text belongs to in every cut, shape (cuts, texts): 1, -1, or 0 for the few that no equal cut can hold.

    Returns:
        The cuts, and for each of them the cut that crosses it into quarters (no rows where there are fewer than four groups).

    Example:
        >>> half_samples(["a", "a", "b", "b", "c"])[0].tolist()
        [[1, 1, -1, -1, 0]]
    """
    numbers = {cluster: number for number, cluster in enumerate(dict.fromkeys(clusters))}
    units = np.array([numbers[c] for c in clusters] if len(numbers) > 1 else range(len(clusters)), dtype=np.int64)
    available = int(units.max()) + 1 if len(units) else 0
    order = 1 << max(0, min(available, groups).bit_length() - 1)
    used = available - available % order
    signs = np.where(units < used, _hadamard(order)[1:, units % order], 0)
    return signs, np.roll(signs, -1, axis=0) if order >= 4 else signs[:0]


def _hadamard(order: int) -> Ints:
    matrix = np.ones((1, 1), dtype=np.int64)
    while len(matrix) < order:
        matrix = np.block([[matrix, matrix], [matrix, -matrix]])
    return matrix


class Replicates(NamedTuple):
    """A score of all texts and of parts of them: all that intervals and differences need of the texts.

    Args:
        score: Of all texts.
        halves: Scores of the halves, shape (cuts, 2).
        quarters: Scores of the quarters, shape (cuts, 4) or (0, 4).
        clusters: The prompt of every text.
    """

    score: Score
    halves: Floats
    quarters: Floats
    clusters: Sequence[Hashable]


def replicates(
    metric: Callable[[Any], Score],
    texts: Sequence[Any] | TokenizedTexts,
    clusters: Sequence[Hashable] | None = None,
    *,
    groups: int = GROUPS,
) -> Replicates:
    """Score the texts, their halves and their quarters, once for the interval and every difference; arguments as for `interval`."""
    named = _clusters(texts, clusters)
    cuts, crossings = half_samples(named, groups)

    def score(kept: Any) -> float:
        if isinstance(texts, TokenizedTexts):
            return metric(texts.take(kept)).value
        return metric([text for text, inside in zip(texts, kept, strict=True) if inside]).value

    halves = [[score(cut == side) for side in (1, -1)] for cut in cuts]
    quarters = [
        [score((cut == side) & (cross == other)) for side in (1, -1) for other in (1, -1)]
        for cut, cross in zip(cuts, crossings, strict=False)
    ]
    return Replicates(metric(texts), np.array(halves).reshape(-1, 2), np.array(quarters).reshape(-1, 4), named)


def interval_of(found: Replicates, confidence: float = 0.95) -> Interval:
    """The interval of a score from its replicates; see `interval`."""
    return _interval(found.score.value, found.halves, found.quarters, found.clusters, confidence)


def difference_of(found: Replicates, baseline: Replicates, confidence: float = 0.95) -> Difference:
    """The difference of two scores from their replicates; see `difference`."""
    if len(found.clusters) != len(baseline.clusters):
        raise ValueError(
            f"{len(found.clusters)} texts against {len(baseline.clusters)} of the baseline: scores move with the number of texts; "
            "compare equal numbers"
        )
    value = found.score.value - baseline.score.value
    halves, quarters = found.halves - baseline.halves, found.quarters - baseline.quarters
    reach = _interval(value, halves, quarters, found.clusters, confidence)
    return Difference(value, reach, _p_value(value, reach))


def interval(
    metric: Callable[[Any], Score],
    texts: Sequence[Any] | TokenizedTexts,
    clusters: Sequence[Hashable] | None = None,
    *,
    confidence: float = 0.95,
    groups: int = GROUPS,
) -> Interval:
    """Confidence interval of `metric(texts)`.

    Args:
        metric: From a sequence of texts to a `Score`.
        texts: The texts of one group; as `tokenize(texts)` it goes faster, for metrics of tokens.
        clusters: The prompt of every text; one prompt for all by default.
        confidence: Share of experiments whose interval should hold the expected score.
        groups: Most groups that texts or prompts are dealt into; a power of 2 is used.

    Returns:
        Infinite for fewer than four texts or for two or three prompts, and where the score of a half is undefined.

    Example:
        >>> from temp_processors.metrics import distinct_n
        >>> found = interval(distinct_n, ["a b c", "a b d", "a c d", "b c d"])
        >>> found.low < distinct_n(["a b c", "a b d", "a c d", "b c d"]).value < found.high
        True
    """
    return interval_of(replicates(metric, texts, clusters, groups=groups), confidence)


def difference(
    metric: Callable[[Any], Score],
    texts: Sequence[Any] | TokenizedTexts,
    baseline: Sequence[Any] | TokenizedTexts,
    clusters: Sequence[Hashable] | None = None,
    *,
    confidence: float = 0.95,
    groups: int = GROUPS,
) -> Difference:
    """`metric(texts) - metric(baseline)`, paired: text i of both belongs to the same prompt and sample number.

    Args:
        metric: From a sequence of texts to a `Score`.
        texts: The texts of one group; as `tokenize(texts)` it goes faster, for metrics of tokens.
        baseline: As many texts of the other group, in the same order of prompts and samples.
        clusters: The prompt of every pair; one prompt for all by default.
        confidence: As for `interval`.
        groups: As for `interval`.

    Raises:
        ValueError: The groups differ in size: most scores move with the number of texts, so the difference would not compare.
    """
    own, other = (replicates(metric, held, clusters, groups=groups) for held in (texts, baseline))
    return difference_of(own, other, confidence)


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


def _clusters(texts: Sequence[Any] | TokenizedTexts, clusters: Sequence[Hashable] | None) -> Sequence[Hashable]:
    if clusters is None:
        return [0] * len(texts)
    if len(clusters) != len(texts):
        raise ValueError(
            f"`clusters` has to name the prompt of each of the {len(texts)} texts, but holds {len(clusters)}"
        )
    return clusters


def _interval(
    value: float, halves: Floats, quarters: Floats, clusters: Sequence[Hashable], confidence: float
) -> Interval:
    groups = len(halves) + 1
    if groups < FEWEST or not math.isfinite(value) or not np.isfinite(halves).all():
        return Interval(-math.inf, math.inf, math.inf, groups, confidence)
    of_half = float(np.square(halves[:, 0] - halves[:, 1]).mean()) / 2
    units = len(set(clusters)) if len(set(clusters)) > 1 else len(clusters)
    doublings = math.log2(units / ((units - units % groups) / 2))
    error = math.sqrt(of_half * _rate(of_half, quarters, groups) ** doublings)
    reach = float(stdtrit(groups - 1, (1 + confidence) / 2)) * error
    return Interval(value - reach, value + reach, error, groups, confidence)


def _rate(of_half: float, quarters: Floats, groups: int) -> float:
    """The factor by which the variance shrinks when the texts double; that of a mean where quarters do not tell."""
    of_quarter = float(quarters.var(axis=1, ddof=1).mean()) if len(quarters) and np.isfinite(quarters).all() else 0.0
    fastest = FASTEST if groups >= GROUPS else FASTEST_OF_FEW
    return min(max(of_half / of_quarter, fastest), SLOWEST) if of_quarter > 0 else SLOWEST


def _p_value(value: float, found: Interval) -> float:
    if not math.isfinite(found.standard_error):
        return math.nan
    if found.standard_error == 0:
        return 1.0 if value == 0 else 0.0
    return float(2 * stdtr(found.groups - 1, -abs(value) / found.standard_error))
