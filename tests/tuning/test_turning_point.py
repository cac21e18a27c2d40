"""The turning point of the entropy: by hand, resampled, and refused."""

from __future__ import annotations

import math

import numpy as np
import pytest

from temp_processors.tuning.turning_point import turning_point

GRID = np.round(np.arange(0.1, 1.55, 0.1), 2)


def curve(turn: float, grid: np.ndarray = GRID) -> np.ndarray:
    """exp of a cubic: ln H is concave below `turn` and convex above it."""
    return np.exp((grid - turn) ** 3 + 1.5 * grid - 3)


@pytest.mark.parametrize(("turn", "expected"), [(0.45, 0.5), (0.75, 0.8), (1.15, 1.2)])
def test_turns_where_the_second_derivative_does(turn: float, expected: float) -> None:
    sums = np.tile(curve(turn) * 50, (6, 1))
    found = turning_point(GRID, sums, np.full_like(sums, 50))
    assert found.temperature == pytest.approx(expected)
    assert (found.low, found.high, found.found) == pytest.approx((expected, expected, 1.0))
    np.testing.assert_allclose(found.entropies, curve(turn))
    inner = slice(2, -2)  # second differences of a cubic are exact two steps from the ends
    np.testing.assert_allclose(found.curvature[inner], 6 * (GRID - turn)[inner], atol=1e-9)
    assert found.for_use("vote") == pytest.approx(expected)
    assert found.for_use("best") == pytest.approx(expected + 0.1)


def test_prompts_of_many_kinds_give_a_wide_interval() -> None:
    rng = np.random.default_rng(0)
    sums = np.stack([curve(turn) * 50 for turn in rng.uniform(0.3, 1.2, 12)])
    found = turning_point(GRID, sums, np.full_like(sums, 50))
    assert found.low < found.temperature < found.high
    again = turning_point(GRID, sums, np.full_like(sums, 50))
    assert (again.low, again.high) == (found.low, found.high)


def test_long_texts_count_by_their_tokens() -> None:
    short, long = curve(0.45), curve(1.15)
    sums = np.stack([short * 1, long * 1000])
    found = turning_point(GRID, sums, np.array([[1.0] * 15, [1000.0] * 15]))
    assert found.temperature == pytest.approx(1.2)
    assert math.isnan(found.low)  # two prompts say nothing about others


def test_a_curve_that_never_turns() -> None:
    sums = np.tile(GRID**0.5, (5, 1))
    found = turning_point(GRID, sums, np.ones_like(sums))
    assert math.isnan(found.temperature)
    assert found.reason == "the entropy never takes off on these 15 temperatures: try higher ones"
    assert found.found == 0


@pytest.mark.parametrize(
    ("grid", "entropy", "message"),
    [
        ([0.1, 0.5, 1.0], 1.0, "needs at least 5 rising temperatures, but has 0.1, 0.5, 1"),
        ([0.1, 0.5, 0.5, 1.0, 1.5], 1.0, "needs at least 5 rising temperatures"),
        ([0.1, 0.3, 0.5, 0.7, 0.9], 0.0, "the mean token entropy at T = 0.1 is 0: every token was certain"),
    ],
)
def test_grids_that_do_not_do(grid: list[float], entropy: float, message: str) -> None:
    sums = np.full((4, len(grid)), entropy)
    with pytest.raises(ValueError, match=message):
        turning_point(grid, sums, np.ones_like(sums))
