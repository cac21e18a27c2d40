"""Calibration of the vote share as a confidence: reliability curve, expected calibration error, Brier score, AUROC.

One forecast a prompt: the share of its samples that give the winning answer, against the score of that answer in [0, 1] (ties: the mean
score of the tied answers). With c forecasts and y scores:

* reliability curve: mean of c and mean of y in bins of (nearly) equal numbers of prompts; equal forecasts are never separated, so that the
  order of prompts does not matter, and vote shares have few values. Without ties and with a number of prompts that the bins divide it is
  scikit-learn's `calibration_curve(strategy="quantile")`.
* ECE = sum over bins of (prompts in the bin / prompts) |mean c - mean y|. It is biased upwards, by noise alone: a perfect forecaster
  on 100 prompts has about 0.1. Debiased (Kumar et al. 2019, arXiv 1909.10155, their normal approximation with its expectation written out
  in place of resampling): 2 ECE - E ECE, where mean y of a bin of m prompts is drawn from N(mean y, var(y) / (m - 1)); at least 0.
  Of a perfect forecaster it leaves about six tenths of what chance adds.
* Brier score = mean of (c - y)^2, scikit-learn's `brier_score_loss` where y is 0 or 1. Lower is better.
* AUROC: the chance that a right prompt has a larger c than a wrong one, ties half. A prompt of score y counts as right with weight y and as
  wrong with weight 1 - y; for y of 0 and 1 it is scikit-learn's `roc_auc_score`.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Hashable, Sequence
from typing import NamedTuple

import numpy as np

from temp_processors.metrics.arrays import Floats
from temp_processors.tasks.measures.table import Row, Table

BINS = 10
"""Bins of the reliability curve at most."""


class Forecast(NamedTuple):
    """The vote of all samples of one prompt: its share as a confidence, and the score of the winning answer."""

    confidence: float
    score: float


class Bin(NamedTuple):
    """One point of the reliability curve: mean confidence, mean score, their error of chance, prompts.

    `error` is the standard error of the mean score; NaN for one prompt.
    """

    confidence: float
    score: float
    error: float
    prompts: int


def forecast_of(row: Row) -> Forecast | None:
    """The forecast of one prompt; None where no sample has a score.

    Example:
        >>> from temp_processors.tasks.measures import Outcome
        >>> forecast_of([Outcome(1, "12"), Outcome(1, "12"), Outcome(0, "7"), Outcome(0)])
        Forecast(confidence=0.5, score=1.0)
    """
    scored = [outcome for outcome in row if outcome.score is not None]
    if not scored:
        return None
    counts = Counter(outcome.answer for outcome in scored if outcome.answer is not None)
    if not counts:
        return Forecast(0.0, 0.0)
    most = max(counts.values())
    winners: dict[Hashable, list[float]] = {answer: [] for answer, count in counts.items() if count == most}
    for outcome in scored:
        if outcome.answer in winners:
            winners[outcome.answer].append(float(outcome.score or 0.0))
    score = float(np.mean([np.mean(scores) for scores in winners.values()]))
    return Forecast(most / len(scored), score)


def forecasts_of(table: Table) -> list[Forecast]:
    """The forecast of every prompt that has one."""
    return [found for row in table if (found := forecast_of(row)) is not None]


def reliability_curve(forecasts: Sequence[Forecast] | Floats, bins: int = BINS) -> list[Bin]:
    """Points of the reliability curve, by rising confidence; at most `bins`, fewer where forecasts are equal.

    Forecasts may be an array (forecasts, 2) of confidences and scores, here and below: of tokens there are many.

    Example:
        >>> reliability_curve([Forecast(0.2, 0), Forecast(0.4, 1), Forecast(0.8, 1), Forecast(1.0, 1)], bins=2)[0][:2]
        (0.30000000000000004, 0.5)
    """
    pairs = np.asarray(forecasts, dtype=np.float64).reshape(-1, 2)
    pairs = pairs[np.lexsort((pairs[:, 1], pairs[:, 0]))]
    return [_bin(part) for part in np.split(pairs, _borders(pairs[:, 0], bins)) if len(part)]


def _borders(confidences: Floats, bins: int) -> list[int]:
    """Where sorted confidences are cut: at the change of value nearest to each quantile."""
    changes = np.flatnonzero(np.diff(confidences)) + 1
    if not len(changes):
        return []
    wanted = [len(confidences) * i / bins for i in range(1, bins)]
    return sorted({int(changes[np.abs(changes - place).argmin()]) for place in wanted})


def _bin(part: Floats) -> Bin:
    scores = part[:, 1]
    error = math.sqrt(scores.var(ddof=1) / len(part)) if len(part) > 1 else math.nan
    return Bin(float(part[:, 0].mean()), float(scores.mean()), error, len(part))


def calibration_error(forecasts: Sequence[Forecast] | Floats, bins: int = BINS, *, debiased: bool = True) -> float:
    """ECE with bins of equal numbers of prompts, in [0, 1]; lower is better; NaN without forecasts.

    Args:
        forecasts: One a prompt.
        bins: As for `reliability_curve`.
        debiased: Take off what chance adds. Where a bin holds one prompt that part is unknown and left in.

    Example:
        >>> calibration_error([Forecast(0.5, 1), Forecast(0.5, 0), Forecast(1.0, 1), Forecast(1.0, 0)], 2, debiased=False)
        0.25
    """
    if not len(forecasts):
        return math.nan
    points = reliability_curve(forecasts, bins)
    shares = np.array([point.prompts for point in points]) / len(forecasts)
    gaps = np.array([abs(point.confidence - point.score) for point in points])
    plain = float(shares @ gaps)
    if not debiased:
        return plain
    errors = [0.0 if math.isnan(point.error) else point.error for point in points]
    expected = float(shares @ np.array([_folded(gap, error) for gap, error in zip(gaps, errors, strict=True)]))
    return max(0.0, 2 * plain - expected)


def _folded(mean: float, error: float) -> float:
    """E |X| of X from N(mean, error^2)."""
    if error == 0:
        return abs(mean)
    ratio = mean / error
    return error * math.sqrt(2 / math.pi) * math.exp(-ratio * ratio / 2) + mean * math.erf(ratio / math.sqrt(2))


def brier_score(forecasts: Sequence[Forecast] | Floats) -> float:
    """Mean squared distance of confidence and score, in [0, 1]; lower is better; NaN without forecasts.

    Example:
        >>> brier_score([Forecast(0.5, 1), Forecast(1.0, 1)])
        0.125
    """
    pairs = np.asarray(forecasts, dtype=np.float64).reshape(-1, 2)
    return float(np.mean((pairs[:, 0] - pairs[:, 1]) ** 2)) if len(pairs) else math.nan


def auroc(forecasts: Sequence[Forecast]) -> float:
    """Chance that a right prompt has the larger confidence, in [0, 1], 0.5 without any information; NaN where all are right or all wrong.

    Example:
        >>> auroc([Forecast(0.9, 1), Forecast(0.6, 1), Forecast(0.6, 0), Forecast(0.3, 0)])
        0.875
    """
    pairs = np.array(forecasts, dtype=np.float64).reshape(-1, 2)
    _, place = np.unique(pairs[:, 0], return_inverse=True)
    right = np.bincount(place, weights=pairs[:, 1])
    wrong = np.bincount(place, weights=1 - pairs[:, 1])
    whole = right.sum() * wrong.sum()
    if not whole:
        return math.nan
    return float(right @ (np.cumsum(wrong) - wrong / 2) / whole)
