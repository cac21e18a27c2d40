"""Confidence intervals of scores and of their differences, from the influence of every text (or of every prompt).

The target is the expected score of a group of this size under the process that wrote the texts. `influence.py` gives the variance; here
it becomes an interval that stays in the range of the score, by `ends.py`. With several prompts the prompt is the unit, because texts of
one prompt are not independent. A difference takes the intervals of both sides and the covariance of their influences (`mover.py`): what
both share (prompts, coupled draws) cancels, and it stays in range. Where too little was seen to say anything honest, there is no
interval but a reason. `coverage.md`, written by `scripts/check_coverage.py`, states how often the intervals hold the truth.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Hashable, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, NamedTuple

import numpy as np

from temp_processors.metrics.arrays import Ints
from temp_processors.metrics.catalogue import CATALOGUE, Metric
from temp_processors.metrics.ends import Scale, at_the_edge, cold_ends, exp, few_events, score_ends, student
from temp_processors.metrics.influence import FEWEST, Influence
from temp_processors.metrics.mover import difference_ends, p_value
from temp_processors.metrics.score import Score
from temp_processors.metrics.statistics import TextStatistics
from temp_processors.metrics.texts import TokenizedTexts

CONFIDENCE = 0.95
FEWEST_COMPARED = 8
"""Fewest texts for a score of what texts have in common: that fewer all differ says little."""
FEWEST_DIFFERENT = 5
"""Fewest texts that have to differ, and units that have to hold something of their own: of fewer, rare texts were not seen."""
POWERFUL = 0.8416
"""Standard errors between the edge of significance and a difference that 80 % of experiments show."""


@dataclass(frozen=True)
class Interval:
    """A confidence interval of a score, of a difference, or (for perplexity) of a ratio.

    Args:
        low, high: Its ends; NaN where there is none.
        confidence: Share of experiments whose interval holds the expected score.
        reason: Why there is none; None where there is one.
    """

    low: float
    high: float
    confidence: float = CONFIDENCE
    reason: str | None = None

    @property
    def known(self) -> bool:
        """Whether there is one."""
        return self.reason is None


@dataclass(frozen=True)
class Difference:
    """Score of a group minus that of the baseline; for perplexity their ratio.

    Args:
        value: The difference or ratio.
        interval: Its interval.
        p_value: Two-sided, of `there is none`; NaN where it cannot be told. Never 0.
        smallest: The smallest difference (factor above 1) that this many texts would show in 4 of 5 experiments; NaN where unknown.
        ratio: Whether it is a ratio, where 1 says that there is none.
        equal_interval: The interval that has to lie within a margin to call both equal: two one-sided tests at 5 %.
    """

    value: float
    interval: Interval
    p_value: float
    smallest: float
    ratio: bool
    equal_interval: Interval


@dataclass(frozen=True)
class Measured:
    """A score with what its interval is made of.

    Args:
        score: The score of all texts.
        influence: What every unit does to it; None where there is no interval.
        scale: Where the interval is symmetric.
        refusal: Why there is no interval; None where there is one.
    """

    score: Score
    influence: Influence | None
    scale: Scale
    refusal: str | None

    def interval(self, confidence: float = CONFIDENCE) -> Interval:
        """The interval of the score."""
        if self.influence is None or self.refusal is not None:
            return Interval(math.nan, math.nan, confidence, self.refusal or "there is no score")
        return Interval(*self.ends(confidence), confidence)

    def ends(self, confidence: float) -> tuple[float, float]:
        """Ends of the interval, or bounds for a group that is too cold for one."""
        assert self.influence is not None
        if self.refusal is not None:
            return cold_ends(self.influence, confidence)
        return score_ends(self.influence, self.scale, confidence)


def measure(
    metric: Metric | Callable[[Any], Score],
    items: Sequence[Any] | TextStatistics,
    clusters: Sequence[Hashable] | Units | None = None,
    *,
    score: Score | None = None,
) -> Measured:
    """The score of texts and the influence of every text or prompt.

    Args:
        metric: A record of the catalogue, or a function to a `Score` of which the catalogue has a record (`partial(distinct_n, n=3)`).
        items: Texts, `TokenizedTexts`, `StreamedTexts`, or what the metric takes.
        clusters: The prompt of every text; one prompt for all by default. Or the units, where they are numbered already.
        score: The score, where it is known already.
    """
    function = metric.function if isinstance(metric, Metric) else metric
    score = function(items) if score is None else score
    record = metric if isinstance(metric, Metric) else CATALOGUE.get(score.name)
    scale = record.scale if record is not None else "positive"
    units, several = clusters if isinstance(clusters, Units) else units_of(items, clusters)
    refusal = _refused(record, score, units, several=several)
    if refusal is not None or record is None or record.influence is None:
        return Measured(score, None, scale, refusal or "no coverage of an interval was measured for this metric")
    influence = record.influence(items, units)
    noun = "prompts" if influence.units < len(items) else "texts"
    if not math.isclose(influence.value, math.log(score.value) if scale == "perplexity" else score.value, abs_tol=1e-9):
        return Measured(score, None, scale, "no coverage of an interval was measured for these settings of the metric")
    return Measured(score, influence, scale, _too_little(influence, scale, noun))


def interval(
    metric: Metric | Callable[[Any], Score],
    texts: Sequence[Any] | TokenizedTexts,
    clusters: Sequence[Hashable] | None = None,
    *,
    confidence: float = CONFIDENCE,
) -> Interval:
    """Confidence interval of `metric(texts)`.

    Args:
        metric: As for `measure`.
        texts: The texts of one group.
        clusters: The prompt of every text; one prompt for all by default.
        confidence: Share of experiments whose interval should hold the expected score.

    Example:
        >>> from temp_processors.metrics import distinct_n
        >>> who = ["a fox", "the old fox", "a wolf", "the owl", "a hen", "a grey hen", "an owl", "the bear"]
        >>> tales = [f"{one} ran to the {place} and slept" for one, place in zip(who, ["mill", "barn", "pond", "hill"] * 2)]
        >>> found = interval(distinct_n, tales)
        >>> round(found.low, 2), round(found.high, 2)
        (0.41, 0.49)
        >>> interval(distinct_n, ["the fox ran home"] * 16).reason
        'only 1 of 16 texts is different: texts rarer than 1 in 6 may be unseen'
    """
    return measure(metric, texts, clusters).interval(confidence)


def difference(
    metric: Metric | Callable[[Any], Score],
    texts: Sequence[Any] | TokenizedTexts,
    baseline: Sequence[Any] | TokenizedTexts,
    clusters: Sequence[Hashable] | None = None,
    *,
    confidence: float = CONFIDENCE,
) -> Difference:
    """`metric(texts) - metric(baseline)`, paired: text i of both belongs to the same prompt and sample number.

    Args:
        metric: As for `measure`.
        texts: The texts of one group.
        baseline: As many texts of the other group, in the same order of prompts and samples.
        clusters: The prompt of every pair; one prompt for all by default.
        confidence: As for `interval`.

    Raises:
        ValueError: The groups differ in size: most scores move with the number of texts, so the difference would not compare. Or
            their scripts make `tokenizer="auto"` choose two tokenizers.
    """
    if len(texts) != len(baseline):
        raise ValueError(
            f"{len(texts)} texts against {len(baseline)} of the baseline: scores move with the number of texts; compare equal numbers"
        )
    own, other = (measure(metric, held, clusters) for held in (texts, baseline))
    tokenizers = [re.findall(r"\|tok:([^|]*)", side.score.signature) for side in (own, other)]
    if tokenizers[0] != tokenizers[1]:
        raise ValueError(f"tokens of {tokenizers[0][0]} against {tokenizers[1][0]}: tokenize both groups alike first")
    return difference_of(own, other, confidence)


def difference_of(own: Measured, other: Measured, confidence: float = CONFIDENCE) -> Difference:
    """The difference of two scores of the same units."""
    ratio = own.scale == "perplexity"
    value = own.score.value / other.score.value if ratio else own.score.value - other.score.value
    found = difference_interval(own, other, confidence)
    if not found.known or own.influence is None or other.influence is None:
        return Difference(value, found, math.nan, math.nan, ratio, found)
    pair = _Pair(own, other)
    edges = all(at_the_edge(side, own.scale) for side in (own.influence, other.influence))
    p_value = math.nan if edges else pair.p_value()
    return Difference(value, found, p_value, pair.smallest(confidence), ratio, pair.interval(1 - 2 * (1 - confidence)))


def difference_interval(own: Measured, other: Measured, confidence: float = CONFIDENCE) -> Interval:
    """The interval of the difference of two scores of the same units, without its p-value."""
    refusal = _no_difference(own, other)
    if refusal is not None or own.influence is None or other.influence is None:
        return Interval(math.nan, math.nan, confidence, refusal)
    return _Pair(own, other).interval(confidence)


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


class Units(NamedTuple):
    """What texts are counted by.

    Args:
        numbers: The unit of every text, numbered from 0: its prompt where there are several, else the text itself.
        several: Whether there are several prompts.
    """

    numbers: Ints
    several: bool


def units_of(items: Sequence[Any] | TextStatistics, clusters: Sequence[Hashable] | None) -> Units:
    """The units of texts; `clusters` names the prompt of each.

    Raises:
        ValueError: `clusters` does not name the prompt of every text.
    """
    if clusters is None:
        return Units(np.arange(len(items), dtype=np.int64), several=False)
    if len(clusters) != len(items):
        raise ValueError(
            f"`clusters` has to name the prompt of each of the {len(items)} texts, but holds {len(clusters)}"
        )
    numbers = {cluster: number for number, cluster in enumerate(dict.fromkeys(clusters))}
    if len(numbers) <= 1:
        return Units(np.arange(len(items), dtype=np.int64), several=False)
    return Units(np.array([numbers[cluster] for cluster in clusters], dtype=np.int64), several=True)


def _refused(record: Metric | None, score: Score, units: Ints, *, several: bool) -> str | None:
    """Why there is no interval, as far as that is known before anything is computed."""
    if math.isnan(score.value):
        return score.reason or "the score is undefined"
    count = int(units.max()) + 1 if len(units) else 0
    if count < FEWEST:
        return f"needs {FEWEST} {'prompts' if several else 'texts'}"
    if record is None or record.influence is None:
        return "no coverage of an interval was measured for this metric"
    return None


def _too_little(found: Influence, scale: Scale, noun: str) -> str | None:
    """Why what was seen does not allow an interval; None where it does."""
    if noun == "texts" and found.least < 1 and found.units < FEWEST_COMPARED:
        return f"needs {FEWEST_COMPARED} texts (or {FEWEST} prompts): that {found.units} differ says little of others"
    if found.short is not None:
        return found.short
    enough = min(FEWEST_DIFFERENT, found.units)
    if 0 < found.different < enough:
        unseen = round(1 / (1 - (1 - CONFIDENCE) ** (1 / found.units)))
        texts = "is" if found.different == 1 else "are"
        return f"only {found.different} of {found.units} texts {texts} different: texts rarer than 1 in {unseen} may be unseen"
    if found.variance == 0 or at_the_edge(found, scale):
        bounded = at_the_edge(found, scale) and found.total
        return None if bounded else "all texts have the same value: what varies was not seen"
    if len(found.pairs) and 0 < found.contributing < enough:
        return f"only {found.contributing} of {found.units} {noun} hold n-grams of their own: rarer ones may be unseen"
    return None


def _no_difference(own: Measured, other: Measured) -> str | None:
    """Why a difference cannot be judged. A side that is too cold for an interval has bounds, which will do where the other is not."""
    for side, name, partner in ((own, "", other), (other, "baseline: ", own)):
        bounded = side.influence is not None and side.influence.rare is not None and partner.refusal is None
        if side.refusal is not None and not bounded:
            return f"{name}{side.refusal}"
    return None


@dataclass(frozen=True)
class _Pair:
    """Two measured scores of the same units, neither of which is refused."""

    own: Measured
    other: Measured

    @property
    def _influences(self) -> tuple[Influence, Influence]:
        assert self.own.influence is not None
        assert self.other.influence is not None
        return self.own.influence, self.other.influence

    @cached_property
    def both(self) -> Influence:
        """The influence on the difference."""
        own, other = self._influences
        return own.minus(other)

    @property
    def error(self) -> float:
        """Standard error of the difference of the values that the influences belong to."""
        return math.sqrt(self.both.variance)

    def interval(self, confidence: float) -> Interval:
        """Of the difference, or of the ratio for perplexity."""
        own, other = self._influences
        if self.own.scale == "perplexity":
            reach = student(confidence, self.both.degrees) * self.error
            return Interval(exp(self.both.value - reach), exp(self.both.value + reach), confidence)
        mine, others = (side.ends(confidence) for side in (self.own, self.other))
        believed = not any(few_events(side, self.own.scale) for side in (own, other))
        low, high = difference_ends(own.value, mine, other.value, others, self._correlation(), skew_shared=believed)
        return Interval(low, high, confidence)

    def _correlation(self) -> float:
        own, other = (side.variance for side in self._influences)
        if own == 0 or other == 0 or self.own.refusal or self.other.refusal:
            return 0.0
        return float(np.clip((own + other - self.error**2) / (2 * math.sqrt(own * other)), -1.0, 1.0))

    def p_value(self) -> float:
        """Smallest level at which the interval leaves out `no difference`."""
        nothing = 1.0 if self.own.scale == "perplexity" else 0.0

        def ends(confidence: float) -> tuple[float, float]:
            found = self.interval(confidence)
            return found.low, found.high

        return p_value(ends, nothing)

    def smallest(self, confidence: float) -> float:
        """The difference that 4 of 5 experiments of this size would show; for perplexity the factor."""
        own, other = self._influences
        if self.error == 0 or self.own.refusal or self.other.refusal:
            return math.nan
        degrees = min(own.degrees, other.degrees)
        shown = student(confidence, degrees) + POWERFUL
        reach = shown * self.error
        return exp(reach) if self.own.scale == "perplexity" else reach
