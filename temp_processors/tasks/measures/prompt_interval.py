"""Intervals of a mean over prompts in [0, 1], and of paired differences of two; the prompt is the unit, whatever was drawn for it.

Wilson's interval with an effective number of prompts. Let v_1, ..., v_G be the values of the prompts (accuracy, pass@k, maj@k, ...), m
their mean and V their variance divided by G. A yes-or-no variable of mean m would need G' = m (1 - m) / V draws to be as certain, and with
z the Student quantile of G - 1 degrees the ends are

    (m + z^2 / 2G' -+ z sqrt(m (1 - m) / G' + z^2 / 4G'^2)) / (1 + z^2 / G').

They stay in [0, 1] and are honest at its ends: 0 of 20 right gives [0, 0.19]. V would be too small where few prompts differ from the rest,
so a tenth of a prompt is added on either side of what was seen (`UNSEEN`), half way between the largest value and 1, the smallest and 0;
at 1 where all values are 0, at 0 where all are 1. They count in V and in the m (1 - m) that it is compared with. A difference of two
policies on the same prompts is (mean gain) - (mean loss), where a prompt gains max(v - w, 0) and loses max(w - v, 0): two such means,
their intervals and covariance give its interval (`metrics/mover.py`), to which what the policies share adds nothing, and which is honest
where no prompt differs: two policies that agree on 20 prompts may differ by 0.19. `coverage.md`, written by
`scripts/check_task_coverage.py`, states how often the intervals hold the truth. Where fewer than `FEW` prompts differ from 0 (or from 1),
what is given is a bound: it holds the truth at least as often as it says.

Source: Wilson 1927; effective sample size in an interval of a clustered proportion: Korn and Graubard 1998; ours is the choice of `UNSEEN`.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from temp_processors.metrics.arrays import Floats
from temp_processors.metrics.influence import FEWEST
from temp_processors.metrics.intervals import CONFIDENCE, POWERFUL, Difference, Interval
from temp_processors.metrics.mover import difference_ends, p_value

UNSEEN = 0.1
"""Prompts that are added on either side of the values that were seen, for the variance."""
FEW = 5
"""Prompts that have to differ from 0, and from 1, for an interval that is no mere bound."""


@dataclass(frozen=True)
class PromptMean:
    """The mean of one value a prompt, each in [0, 1].

    Args:
        values: (prompts,); NaN where a prompt has none, such as one without a scored sample.
    """

    values: Floats

    @cached_property
    def known(self) -> Floats:
        """The values that there are."""
        return self.values[~np.isnan(self.values)]

    @cached_property
    def value(self) -> float:
        """The mean; NaN where no prompt has a value."""
        return float(self.known.mean()) if len(self.known) else math.nan

    @cached_property
    def variance(self) -> float:
        """Variance of the mean, with what may not have been seen."""
        return self._spread[0]

    @cached_property
    def effective(self) -> float:
        """Draws of a yes-or-no variable that would be as certain, at least 1."""
        variance, middle = self._spread
        return max(1.0, middle * (1 - middle) / variance)

    @cached_property
    def _spread(self) -> tuple[float, float]:
        """V, and the mean that goes with it."""
        seen, count = self.known, len(self.known)
        smallest, largest = float(seen.min()), float(seen.max())
        edges = np.array([smallest / 2 if smallest < 1 else 0.0, (1 + largest) / 2 if largest > 0 else 1.0])
        whole = count + 2 * UNSEEN
        middle = float(seen.sum() + UNSEEN * edges.sum()) / whole
        squares = float(((seen - middle) ** 2).sum() + UNSEEN * ((edges - middle) ** 2).sum())
        return squares / (whole - 1) / count, middle

    @cached_property
    def bound(self) -> bool:
        """Whether so few prompts differ from 0 or from 1 that the interval is a bound."""
        return bool(min((self.known > 0).sum(), (self.known < 1).sum()) < FEW)

    @property
    def refusal(self) -> str | None:
        """Why there is no interval; None where there is one."""
        return None if len(self.known) >= FEWEST else f"needs {FEWEST} prompts, but there are {len(self.known)}"

    def interval(self, confidence: float = CONFIDENCE) -> Interval:
        """The interval of the mean that prompts of this kind would have.

        Example:
            >>> none_right, half = PromptMean(np.zeros(20)), PromptMean(np.array([0.25, 0.5, 0.5, 0.75] * 5))
            >>> [[round(end, 2) for end in (found.low, found.high)] for found in (none_right.interval(), half.interval())]
            [[0.0, 0.19], [0.41, 0.59]]
        """
        if self.refusal is not None:
            return Interval(math.nan, math.nan, confidence, self.refusal)
        return Interval(*self.ends(confidence), confidence)

    def ends(self, confidence: float) -> tuple[float, float]:
        """Ends of the interval, where it is not refused."""
        return wilson(self.value, self.effective, _quantile(confidence, len(self.known) - 1))


def wilson(mean: float, draws: float, quantile: float) -> tuple[float, float]:
    """Ends of Wilson's interval.

    Example:
        >>> [round(end, 3) for end in wilson(0.0, 20, 1.96)]
        [0.0, 0.161]
    """
    part = quantile * quantile / draws
    middle = (mean + part / 2) / (1 + part)
    reach = math.sqrt(part * mean * (1 - mean) + part * part / 4) / (1 + part)
    low, high = middle - reach, middle + reach
    return 0.0 if mean == 0 else max(0.0, low), 1.0 if mean == 1 else min(1.0, high)  # exact there, up to rounding


def paired_difference(own: Floats, other: Floats, confidence: float = CONFIDENCE) -> Difference:
    """Mean of one policy minus that of another on the same prompts, with interval, p-value and smallest visible difference.

    Args:
        own: (prompts,), one policy's value of every prompt; prompts where either policy has NaN are left out.
        other: (prompts,), the other's, in the same order.
        confidence: Share of experiments whose interval holds the difference.

    Raises:
        ValueError: Different numbers of prompts.

    Example:
        >>> easy, hard = np.array([1, 1, 0, 1, 1, 0.5, 1, 1] * 3), np.array([0.5, 1, 0, 0.5, 0.5, 0, 1, 0.5] * 3)
        >>> found = paired_difference(easy, hard)
        >>> found.value, found.p_value < 0.05
        (0.3125, True)
    """
    if own.shape != other.shape:
        raise ValueError(f"{len(own)} prompts against {len(other)}: prompts have to be the same, in the same order")
    both = ~(np.isnan(own) | np.isnan(other))
    pair = PairedMeans.of(own[both] - other[both])
    value = pair.gains.value - pair.losses.value
    if (refusal := pair.gains.refusal) is not None:
        nothing = Interval(math.nan, math.nan, confidence, refusal)
        return Difference(value, nothing, math.nan, math.nan, False, nothing)
    wide, narrow = pair.ends(confidence), pair.ends(1 - 2 * (1 - confidence))
    return Difference(
        value,
        Interval(*wide, confidence),
        p_value(pair.ends),
        pair.smallest(confidence),
        False,
        Interval(*narrow, 1 - 2 * (1 - confidence)),
    )


@dataclass(frozen=True)
class PairedMeans:
    """What one policy gains over another prompt by prompt, and what it loses."""

    gains: PromptMean
    losses: PromptMean

    @classmethod
    def of(cls, differences: Floats) -> PairedMeans:
        """From one policy's value minus the other's, (prompts,), none NaN."""
        return cls(PromptMean(np.maximum(differences, 0.0)), PromptMean(np.maximum(-differences, 0.0)))

    @cached_property
    def covariance(self) -> float:
        """Of the two means; not positive, since a prompt is gained or lost."""
        (a, b), count = (self.gains.values, self.losses.values), len(self.gains.values)
        return float(((a - a.mean()) * (b - b.mean())).sum()) / (count - 1) / count

    @property
    def error(self) -> float:
        """Standard error of the difference; times the root of the number of prompts it is the spread over prompts."""
        return math.sqrt(self.gains.variance + self.losses.variance - 2 * self.covariance)

    def ends(self, confidence: float) -> tuple[float, float]:
        """Of the interval of the difference."""
        sides = self.gains, self.losses
        shared = self.covariance / math.sqrt(sides[0].variance * sides[1].variance)
        (gained, gained_ends), (lost, lost_ends) = ((side.value, side.ends(confidence)) for side in sides)
        return difference_ends(gained, gained_ends, lost, lost_ends, max(-1.0, shared))

    def smallest(self, confidence: float) -> float:
        """The difference that 4 of 5 experiments of this size would show."""
        return (_quantile(confidence, len(self.gains.values) - 1) + POWERFUL) * self.error


def _quantile(confidence: float, degrees: int) -> float:
    """Of Student's t, two-sided."""
    from scipy.special import stdtrit

    return float(stdtrit(degrees, (1 + confidence) / 2))
