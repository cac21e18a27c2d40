"""TURN: the temperature where the logarithm of the mean token entropy turns from concave to convex (Du et al. 2025, arXiv 2502.05234).

Over a grid of temperatures T_1 < ... < T_m, texts are drawn at each and H(T) is the mean entropy, in nats, of the distributions that their
tokens were drawn from. Below the turning point entropy grows more and more slowly on the logarithmic scale; above it improbable tokens
beget improbable contexts, and it takes off. With y = ln H, the turning point is the first inner T_i whose second derivative (central
differences, applied twice, as the authors' code does with `numpy.gradient`) is positive. It needs no reference answers.

The authors add an offset for what is done with the samples: 0 for a vote, +0.1 for the best of n. The interval is a bootstrap over prompts:
prompts are drawn with replacement, and the entropies of a prompt at all temperatures stay together; so it says how far other prompts of the
same kind would move the result, and not how well it suits the task. A grid is as fine as its step: no interval is narrower in truth.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from temp_processors.metrics.arrays import Floats

FEWEST_TEMPERATURES = 5
OFFSETS = {"vote": 0.0, "best": 0.1}
"""What the authors add, by what is done with the samples."""
RESAMPLES = 2000


@dataclass(frozen=True)
class TurningPoint:
    """Where the entropy takes off.

    Args:
        temperature: Of the grid; NaN where there is none.
        reason: Why there is none; None where there is one.
        low, high: Interval of it, the middle 95 % of resampled prompts that have one; NaN for fewer than 4 prompts.
        found: Share of the resamples that have one.
        temperatures: The grid, (temperatures,).
        entropies: Mean token entropy at each, in nats, (temperatures,).
        curvature: Second derivative of its logarithm, (temperatures,).
    """

    temperature: float
    reason: str | None
    low: float
    high: float
    found: float
    temperatures: Floats
    entropies: Floats
    curvature: Floats

    def for_use(self, use: str) -> float:
        """The temperature to take for a `vote` or for the `best` of n."""
        return self.temperature + OFFSETS[use]


def turning_point(
    temperatures: Sequence[float], sums: Floats, tokens: Floats, *, seed: int = 0, resamples: int = RESAMPLES
) -> TurningPoint:
    """The turning point, with an interval over prompts.

    Args:
        temperatures: The grid, rising, at least 5.
        sums: Summed entropy of all tokens of a prompt's texts, in nats, (prompts, temperatures).
        tokens: How many tokens these are, (prompts, temperatures).
        seed: Of the resamples.
        resamples: How many.

    Raises:
        ValueError: Too few temperatures, or none that rise, or a temperature whose mean entropy is 0 or unknown.

    Example:
        >>> grid = np.arange(0.2, 1.5, 0.2)
        >>> entropy = np.where(grid < 0.9, 0.3 * grid**0.5, 0.3 * 0.8**0.5 * np.exp(3 * (grid - 0.8) ** 2))
        >>> found = turning_point(grid, np.tile(entropy * 100, (8, 1)), np.full((8, 7), 100.0))
        >>> round(found.temperature, 1), round(found.low, 1), round(found.high, 1), found.found
        (0.8, 0.8, 0.8, 1.0)
    """
    grid = np.asarray(temperatures, dtype=np.float64)
    if len(grid) < FEWEST_TEMPERATURES or (np.diff(grid) <= 0).any():
        raise ValueError(
            f"a turning point needs at least {FEWEST_TEMPERATURES} rising temperatures, but has "
            f"{', '.join(f'{t:g}' for t in grid) or 'none'}"
        )
    entropies = _mean_entropy(sums, tokens)
    for temperature, entropy in zip(grid, entropies, strict=True):
        if not entropy > 0:
            what = "unknown" if math.isnan(entropy) else "0: every token was certain"
            raise ValueError(f"the mean token entropy at T = {temperature:g} is {what}; leave that temperature out")
    curvature = _curvature(grid, entropies)
    place = _first(curvature)
    reason = None if place is not None else _why_none(curvature)
    low, high, found = _interval(grid, sums, tokens, seed, resamples)
    temperature = float(grid[place]) if place is not None else math.nan
    return TurningPoint(temperature, reason, low, high, found, grid, entropies, curvature)


def _mean_entropy(sums: Floats, tokens: Floats) -> Floats:
    """Over all tokens of all prompts, at every temperature; NaN where there is no token."""
    count = tokens.sum(axis=0)
    found: Floats = np.divide(sums.sum(axis=0), count, out=np.full(len(count), np.nan), where=count > 0)
    return found


def _curvature(grid: Floats, entropies: Floats) -> Floats:
    found: Floats = np.gradient(np.gradient(np.log(entropies), grid), grid)
    return found


def _first(curvature: Floats) -> int | None:
    """Position of the first inner temperature with a positive second derivative."""
    positive = np.flatnonzero(curvature[1:-1] > 0)
    return int(positive[0]) + 1 if len(positive) else None


def _why_none(curvature: Floats) -> str:
    return f"the entropy never takes off on these {len(curvature)} temperatures: try higher ones"


def _interval(grid: Floats, sums: Floats, tokens: Floats, seed: int, resamples: int) -> tuple[float, float, float]:
    prompts = len(sums)
    if prompts < 4:
        return math.nan, math.nan, math.nan
    rng, held = np.random.default_rng(seed), []
    for _ in range(resamples):
        chosen = rng.integers(prompts, size=prompts)
        entropies = _mean_entropy(sums[chosen], tokens[chosen])
        place = _first(_curvature(grid, entropies)) if (entropies > 0).all() else None
        if place is not None:
            held.append(float(grid[place]))
    if not held:
        return math.nan, math.nan, 0.0
    low, high = np.quantile(held, [0.025, 0.975], method="inverted_cdf")
    return float(low), float(high), len(held) / resamples
