"""How many prompts and samples show a difference of two policies on the same prompts.

Let d_i be the difference of the two mean scores of prompt i, with n samples each. Over prompts it varies with variance

    s^2(n) = between + within / n,

`between` because a policy is better on some prompts and worse on others, `within` because samples are drawn. N prompts show a difference D
in a share `power` of experiments when D^2 = (t_(1 - level/2) + t_power)^2 (s^2 / N + 0.4 / N^2), quantiles of Student's t with N - 1
degrees; the second part is what the interval of `prompt_interval.py` allows for prompts that were not seen. A prompt
more is always worth more than a sample more: samples help where prompts are few. Comparing P policies, the level is that of the first step
of Holm's method, 0.05 over P (P - 1) / 2 pairs, because any of them may turn out to be the best.

A pilot run gives both parts (`spread_from_pilot`). Without one they follow from an accuracy p, the correlation c of two samples of a prompt
and the share r of a prompt's difficulty that all policies share: within = 2 (1 - c) p (1 - p), between = 2 c p (1 - p) (1 - r).
`coverage.md` of `tasks/measures/` states the power that the sizes have.
"""

from __future__ import annotations

import math
from bisect import bisect_left
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from temp_processors.metrics.arrays import Floats

POWER = 0.8
ALLOWANCE = 0.4
"""Of the interval for what was not seen, times the squared number of prompts, as measured: 0.25 to 0.55."""
SAMPLES = (1, 2, 4, 8, 16, 32)
"""Samples per prompt that a plan shows."""
CORRELATION = 0.3
"""Of two samples of a prompt, where nothing better is known."""
SHARED = 0.8
"""Of the difficulty of a prompt, that all policies have in common, where nothing better is known."""
MOST_PROMPTS = 10_000_000


class Spread(NamedTuple):
    """Variance over prompts of the difference of two policies: `between` prompts, and `within` a prompt for one sample each."""

    between: float
    within: float

    def at(self, samples: int) -> float:
        """Its root for so many samples of a prompt.

        Example:
            >>> Spread(0.01, 0.3).at(10)
            0.2
        """
        return math.sqrt(self.between + self.within / samples)


class Size(NamedTuple):
    """Prompts and samples that show the difference, and the texts that each policy draws."""

    samples: int
    prompts: int

    @property
    def texts(self) -> int:
        """Of each policy."""
        return self.samples * self.prompts


def spread_from_accuracy(accuracy: float, correlation: float = CORRELATION, shared: float = SHARED) -> Spread:
    """The spread that an accuracy implies.

    Args:
        accuracy: Expected mean score, in (0, 1).
        correlation: Of two samples of a prompt, in [0, 1]: 0 where all prompts are equally hard, 1 where each is always or never solved.
        shared: Share of a prompt's difficulty that is the same for all policies, in [0, 1].

    Raises:
        ValueError: A value outside of these.

    Example:
        >>> found = spread_from_accuracy(0.5)
        >>> round(found.between, 3), found.within
        (0.03, 0.35)
    """
    if not 0 < accuracy < 1:
        raise ValueError(f"an accuracy to plan with has to be between 0 and 1, but is {accuracy!r}")
    for name, value in {"correlation": correlation, "shared": shared}.items():
        if not 0 <= value <= 1:
            raise ValueError(f"`{name}` has to be in [0, 1], but is {value!r}")
    variance = 2 * accuracy * (1 - accuracy)
    return Spread(variance * correlation * (1 - shared), variance * (1 - correlation))


def spread_from_pilot(first: Sequence[Floats], second: Sequence[Floats]) -> Spread:
    """The spread of two policies in a pilot run.

    Samples of the same number are paired, so that what `coupled` draws share is seen. Where the pilot drew one sample a prompt, all of the
    spread counts as `within`: more samples would help less than the plan says.

    Args:
        first: Scores of the samples of every prompt, one array a prompt, NaN where there is none.
        second: The same of the other policy, for the same prompts.

    Raises:
        ValueError: Fewer than 4 prompts that both have scores for.

    Example:
        >>> rng = np.random.default_rng(0)
        >>> easy, hard = (rng.binomial(1, p, (400, 8)).astype(float) for p in (0.5, 0.4))
        >>> found = spread_from_pilot(easy, hard)
        >>> round(found.within, 2), found.between < 0.01
        (0.48, True)
    """
    pairs = [a[: len(b)] - b[: len(a)] for a, b in zip(first, second, strict=True)]
    held = [pair[~np.isnan(pair)] for pair in pairs]
    held = [pair for pair in held if len(pair)]
    if len(held) < 4:
        raise ValueError(f"a pilot needs 4 prompts that both policies have scores for, but has {len(held)}")
    total = float(np.var([pair.mean() for pair in held], ddof=1))
    repeated = [pair for pair in held if len(pair) > 1]
    if not repeated:
        return Spread(0.0, total)
    within = float(np.mean([pair.var(ddof=1) for pair in repeated]))
    drawn = float(np.mean([1 / len(pair) for pair in held]))
    return Spread(max(0.0, total - within * drawn), within)


def prompts_needed(difference: float, spread: float, *, level: float = 0.05, power: float = POWER) -> int:
    """Prompts that show a difference.

    Args:
        difference: To be shown, > 0.
        spread: Root of the variance over prompts of the difference, `Spread.at(samples)`.
        level: Of the two-sided test.
        power: Share of experiments that show it.

    Example:
        >>> prompts_needed(0.1, 0.5), prompts_needed(0.1, 0.5, level=0.05 / 28)
        (200, 400)
    """

    def shown_by(count: int) -> bool:
        return smallest_difference(count, spread, level=level, power=power) <= difference

    return bisect_left(range(MOST_PROMPTS), True, lo=4, key=shown_by)


def smallest_difference(prompts: int, spread: float, *, level: float = 0.05, power: float = POWER) -> float:
    """The difference that so many prompts show; the other arguments as for `prompts_needed`.

    Example:
        >>> round(smallest_difference(200, 0.5), 3)
        0.1
    """
    from scipy.special import stdtrit

    reach = float(stdtrit(prompts - 1, 1 - level / 2) + stdtrit(prompts - 1, power))
    return reach * math.sqrt(spread**2 / prompts + ALLOWANCE / prompts**2)


def level_of(policies: int, confidence: float = 0.95) -> float:
    """Level of the first step of Holm's method over all pairs of so many policies.

    Example:
        >>> round(level_of(2), 4), round(level_of(8), 4)
        (0.05, 0.0018)
    """
    pairs = max(1, policies * (policies - 1) // 2)
    return (1 - confidence) / pairs


def sizes(spread: Spread, difference: float, policies: int = 2, *, power: float = POWER) -> list[Size]:
    """For 1, 2, 4, ... samples of a prompt the prompts that show the difference between two of the policies.

    Raises:
        ValueError: A difference that is not between 0 and 1, or fewer than two policies.

    Example:
        >>> [tuple(size) for size in sizes(spread_from_accuracy(0.5), 0.05)][:3]
        [(1, 1197), (2, 648), (4, 375)]
    """
    if not 0 < difference < 1:
        raise ValueError(f"a difference to plan for has to be between 0 and 1, but is {difference!r}")
    if policies < 2:
        raise ValueError(f"a comparison needs two policies, but there is {policies}")
    level = level_of(policies)
    return [
        Size(samples, prompts_needed(difference, spread.at(samples), level=level, power=power)) for samples in SAMPLES
    ]
