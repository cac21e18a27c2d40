"""Influences: how far a score moves when one text (or all texts of one prompt) is left out, and what two of them do together.

A score of n-grams is far from a mean of texts. Its variance V splits into parts that stem from one text, from pairs, from triples
(Hoeffding 1948): V = V1 + V2 + V3 + ... Leaving out one text at a time gives A = V1 + 2 V2 + 3 V3 + ... (Efron and Stein 1981), which is
twice too much for hot texts, where repeats come from pairs. What two texts share and no third one has gives P = V2 + 3 V3 + 6 V4 + ...,
and three alike give T = V3 + 4 V4 + ..., so that

    V = A - P + T - ...

For n-grams that most texts hold this is the alternating series of Good and Toulmin (1956), which swings ever wider. An n-gram that is
held by a Poisson number of texts with mean m has P = A m / 2 and T = A m^2 / 6, and the whole series sums to A (1 - exp(-m)) / m. So
m is taken from T / P, and the series is summed:

    V = A - P g(3 T / P),   g(m) = 2 (m - 1 + exp(-m)) / m^2,   g(0) = 1

which is exact for means (P = 0), for pairs (T = 0) and for n-grams that are equally common, and never swings. Of U texts the correction
is taken in the share (U - 2) / U, and at most half of A: few texts say little about pairs.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from functools import cached_property

import numpy as np

from temp_processors.metrics.arrays import Floats, Ints
from temp_processors.metrics.sparse import Sets, Sparse
from temp_processors.metrics.spread import Spread

FEWEST = 4
"""Fewest texts (or prompts) from which anything is said about others."""
ROUNDING = 1e-12
"""Share of a score that is rounding."""


@dataclass(frozen=True)
class Influence:
    """A score and what every unit does to it. Units are texts, or prompts with all of their texts.

    Args:
        value: The score (for perplexity the mean negative log-likelihood).
        own: What each unit adds, on the scale of the score, shape (units,).
        pairs: What two units do together; the key is first * units + second.
        triples: What three units do together.
        contributing: Units that hold something that no other unit holds.
        different: Different texts.
        total: n-grams or the like that the score is a share of; 0 where it is no share.
        least: Smallest part of the one-at-a-time variance that is believed; 1 for means of texts and ratios of means.
        rare: Units that hold what no other unit holds: they tell how many units were not seen. None where they do not.
        lowest: A bound that the score cannot fall below where every unseen unit raises it; NaN where it lowers the score.
        short: Why there can be no interval, if the metric itself knows a reason.
        even: Units that weigh as much as these where all weigh alike (Kish 1965); NaN where every unit does.
    """

    value: float
    own: Floats
    pairs: Sets = field(default_factory=Sparse)
    triples: Sets = field(default_factory=Sparse)
    contributing: int = 0
    different: int = 0
    total: int = 0
    least: float = 0.5
    rare: int | None = None
    lowest: float = math.nan
    short: str | None = None
    even: float = math.nan

    @property
    def units(self) -> int:
        """Number of texts, or of prompts."""
        return len(self.own)

    @cached_property
    def order(self) -> float:
        """Mean number of units behind the variance: 1 for a mean of texts, 2 where it stems from pairs."""
        alone = self._alone
        return 1 + 2 * _unexplained(self.pairs, self.units) / alone if alone > 0 else 1.0

    @cached_property
    def variance(self) -> float:
        """Of the score over repeated experiments of this size; 0 where no unit moves it."""
        units, alone = self.units, self._alone
        if alone <= 0:
            return 0.0
        pairs, triples = _unexplained(self.pairs, units), _scatter(self.triples, units)
        together = pairs * _summed(3 * triples / pairs) if pairs > 0 else 0.0
        share = max(0.0, (units - 2) / units)
        floor = alone * (1 - share * (1 - self.least))
        return float(np.clip(alone - share * together, floor, alone)) * self._few

    @cached_property
    def degrees(self) -> float:
        """Degrees of freedom of the variance: fewer where few units make most of it (Satterthwaite 1946), or weigh most."""
        squares = np.square(self.own - self.own.mean())
        if not squares.any():
            return 1.0
        effective = squares.sum() ** 2 / np.square(squares).sum()
        most = self.units - 1 if math.isnan(self.even) else max(1.0, self.even - 1)
        return float(np.clip(3 * effective * (self.units - 1) / self.units - 1, 1, most))

    def minus(self, other: Influence) -> Influence:
        """The influence on the difference of two scores of the same units: what both share cancels."""
        return Influence(
            self.value - other.value,
            self.own - other.own,
            self.pairs.minus(other.pairs),
            self.triples.minus(other.triples),
            min(self.contributing, other.contributing),
            least=max(self.least, other.least),
        )

    @cached_property
    def _alone(self) -> float:
        """The variance by leaving out one unit at a time."""
        found = float(np.square(self.own - self.own.mean()).sum()) * self.units / (self.units - 1)
        return found if found > (ROUNDING * self.value) ** 2 else 0.0

    @property
    def _few(self) -> float:
        """What the variance of few contributing units is too small by, on average: rare ones were not seen."""
        counted = self.contributing or self.units
        return 1 + (2 - counted / self.units) / counted


def of_ratio(above: Floats, below: Floats, units: Ints, *, total: int = 0, different: int = 0) -> Influence:
    """Of sum(above) / sum(below), both one number a text; `units` says which unit each text belongs to."""
    count = int(units.max()) + 1
    up, down = (np.bincount(units, weights=values, minlength=count) for values in (above, below))
    value = float(up.sum() / down.sum())
    rest = np.maximum(down.sum() - down, np.finfo(float).tiny)
    own = (
        (up - value * down) / rest * (count - 1) / count
    )  # by leaving the unit out: more than its share where it is long
    even = float(down.sum() ** 2 / np.square(down).sum())
    return Influence(value, own, total=total, different=different, least=1.0, even=even)


def of_spread(spread: Spread, different: int) -> Influence:
    """Of the share of different n-grams over all texts, of which at least one has an n-gram."""
    value, contributing = spread.kinds / spread.total, int((spread.single > 0).sum())
    return Influence(
        value,
        (spread.single - value * spread.held) / spread.total,
        spread.pairs,
        spread.triples,
        contributing=contributing,
        different=different,
        total=spread.total,
        rare=contributing,
        lowest=1 / spread.total,
    )


def _unexplained(pairs: Sets, units: int) -> float:
    """Sum of squares over pairs of what the two of them do beyond what each does with everybody (a two-way layout)."""
    if units < FEWEST or not len(pairs):
        return 0.0
    whole, squares, with_all = pairs.sums(units)
    explained = 2 * whole**2 / (units * (units - 1)) + np.square(with_all - 2 * whole / units).sum() / (units - 2)
    return max(0.0, float(squares - explained))


def _scatter(triples: Sets, units: int) -> float:
    """Sum of squares over triples around their mean."""
    if units <= FEWEST or not len(triples):
        return 0.0
    possible = units * (units - 1) * (units - 2) / 6
    whole, squares, _ = triples.sums()
    return max(0.0, float(squares - whole**2 / possible))


def _summed(rate: float) -> float:
    """g of the formula above: pairs, triples and all further terms of the series, as a share of the pairs."""
    return 1.0 if rate < 1e-4 else 2 * (rate + math.expm1(-rate)) / rate**2
