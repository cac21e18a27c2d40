"""Ends of the interval of one score, from its influences.

Three ways, by how much was seen:

* the logit of a share, the logarithm of a length or of a mean negative log-likelihood, plus and minus Student's t times the standard error;
* where a share leaves a handful of events (repeats) of G n-grams, their number is bounded as that of a Poisson variable (Garwood 1936),
  in groups of as many as come at once: of none seen, at most 3.69 at 95 %;
* where few texts differ, bounds: what was not seen can only be bounded from how often something was seen once.
"""

from __future__ import annotations

import math
from typing import Literal

from temp_processors.metrics.influence import Influence

EDGE = 1e-12
FEW = 20
"""Events below which their number is bounded as that of a Poisson variable."""
CLUSTERED = 0.95
NORMAL = 1.96
LEAST_DEGREES = 3
"""Degrees of freedom that the number of events at once has at least."""
EVEN = 4
"""Texts that stand for repeats inside texts that come by chance."""
Scale = Literal["share", "positive", "perplexity"]


def cold_ends(found: Influence, confidence: float) -> tuple[float, float]:
    """Bounds where few texts differ: at most a certain share of texts was not seen (Clopper and Pearson 1934, from those that
    hold what no other holds).

    Texts that were not seen bring new n-grams, or are like no other text; those that were seen may have been luck.
    """
    from scipy.special import betaincinv

    once, units = found.rare or 0, found.units
    unseen = float(betaincinv(once + 1, units - once, (1 + confidence) / 2)) if once < units else 1.0
    if math.isnan(found.lowest):
        return max(0.0, found.value - 2 * unseen), 1.0
    return found.lowest, min(1.0, found.value + unseen)


def score_ends(found: Influence, scale: Scale, confidence: float) -> tuple[float, float]:
    """Ends of the interval of one score."""
    if few_events(found, scale):
        low, high = _poisson(found, confidence)
        return (max(0.0, 1 - high), 1 - low) if found.value > 0.5 else (low, min(1.0, high))
    reach = student(confidence, found.degrees) * math.sqrt(found.variance)
    if scale == "share":
        middle, step = math.log(found.value / (1 - found.value)), reach / (found.value * (1 - found.value))
        return _logistic(middle - step), _logistic(middle + step)
    step = reach / found.value
    low, high = found.value * math.exp(-min(step, 700.0)), found.value * math.exp(min(step, 700.0))
    return (exp(low), exp(high)) if scale == "perplexity" else (low, high)


def few_events(found: Influence, scale: Scale) -> bool:
    """Whether a share lies so close to 0 or 1 that what it leaves is a handful of counted events."""
    if scale != "share" or not found.total:
        return False
    events, per = _events(found)
    return events / per < FEW and (found.value > 0.5 or found.least == 1.0)


def _events(found: Influence) -> tuple[float, float]:
    """What a share close to 0 or 1 counts (repeats of n-grams), and how many come at once: variance over mean.

    Repeats between texts come from pairs: at least one at once. Repeats inside texts may be more even than chance; a variance over the
    texts that is smaller than that of chance is shrunk to it with the weight of `EVEN` texts. What is more than chance is known from few
    texts only: it is widened as Student's t is against the normal distribution.
    """
    events = min(found.value, 1 - found.value) * found.total
    if events <= EDGE:
        return events, 1.0
    per = found.variance * found.total**2 / events
    if per > 1:
        return events, 1 + (per - 1) * (student(CLUSTERED, max(LEAST_DEGREES, found.degrees)) / NORMAL) ** 2
    return events, 1.0 if found.least < 1 else ((found.units - 1) * per + EVEN) / (found.units - 1 + EVEN)


def _poisson(found: Influence, confidence: float) -> tuple[float, float]:
    """Ends for the share of events: of a Poisson count (Garwood 1936) of groups of as many events as come at once."""
    from scipy.special import gammaincinv

    events, per = _events(found)
    tail, scale = (1 - confidence) / 2, per / found.total
    low = float(gammaincinv(events / per, tail)) if events > EDGE else 0.0
    return low * scale, float(gammaincinv(events / per + 1, 1 - tail)) * scale


def student(confidence: float, degrees: float) -> float:
    """Half the width of a two-sided interval in standard errors, of Student's t."""
    from scipy.special import stdtrit

    return float(stdtrit(degrees, (1 + confidence) / 2))


def at_the_edge(found: Influence, scale: Scale) -> bool:
    """Whether a share is 0 or 1, up to rounding."""
    return scale == "share" and min(found.value, 1 - found.value) < EDGE


def exp(value: float) -> float:
    """e^value, infinite rather than an error."""
    return math.exp(value) if value < 700 else math.inf


def _logistic(value: float) -> float:
    return 1 / (1 + math.exp(-value)) if value >= 0 else 1 - 1 / (1 + math.exp(min(value, 700)))
