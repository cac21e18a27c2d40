"""Intervals over prompts: honest at the ends, in range, paired, and as often right as they say."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from temp_processors.tasks.measures.prompt_interval import PromptMean, paired_difference, wilson

VALUES = arrays(np.float64, st.integers(4, 30), elements=st.integers(0, 1000).map(lambda part: part / 1000))


@pytest.mark.parametrize(("count", "bound"), [(4, 0.77), (10, 0.35), (20, 0.18), (200, 0.02)])
def test_nothing_right_is_no_certainty(count: int, bound: float) -> None:
    none, all_right = PromptMean(np.zeros(count)).interval(), PromptMean(np.ones(count)).interval()
    assert none.low == 0
    assert none.high == pytest.approx(bound, abs=0.015)
    assert (all_right.low, all_right.high) == pytest.approx((1 - none.high, 1))
    assert PromptMean(np.zeros(count)).bound


def test_yes_or_no_is_wilson() -> None:
    """One sample a prompt: the textbook interval, with Student's t for the normal and a little more variance."""
    values = np.array([1.0] * 120 + [0.0] * 80)
    from scipy.stats import t

    found = PromptMean(values).interval()
    assert (found.low, found.high) == pytest.approx(wilson(0.6, 200, t(199).ppf(0.975)), abs=1e-3)


def test_samples_of_a_prompt_are_not_independent() -> None:
    """20 prompts with 50 equal samples each are 20 units, not 1,000."""
    values = np.array([0.0, 1.0] * 10)
    found = PromptMean(values).interval()
    assert found.high - found.low > 0.35


@given(VALUES)
def test_interval_holds_its_mean_and_stays_in_range(values: np.ndarray) -> None:
    mean = PromptMean(values)
    found, wide = mean.interval(), mean.interval(0.99)
    assert 0 <= wide.low <= found.low + 1e-9 <= mean.value + 2e-9
    assert mean.value - 2e-9 <= found.high - 1e-9 <= wide.high <= 1
    mirrored = PromptMean(1 - values).interval()
    assert (mirrored.low, mirrored.high) == pytest.approx((1 - found.high, 1 - found.low), abs=1e-9)


@given(VALUES, st.integers(0, 2**32 - 1))
def test_differences_are_antisymmetric_and_in_range(values: np.ndarray, seed: int) -> None:
    other = np.random.default_rng(seed).permutation(values)
    one, back = paired_difference(values, other), paired_difference(other, values)
    assert -1 <= one.interval.low <= one.value + 1e-9
    assert one.value - 1e-9 <= one.interval.high <= 1
    assert (one.interval.low, one.interval.high) == pytest.approx((-back.interval.high, -back.interval.low))
    assert one.p_value == pytest.approx(back.p_value)
    assert (one.p_value < 0.05) == (not one.interval.low <= 0 <= one.interval.high)


def test_equal_policies_may_differ_where_prompts_are_few() -> None:
    values = np.array([0.0, 1.0] * 10)
    found = paired_difference(values, values)
    assert found.value == 0
    assert found.interval.high == pytest.approx(0.18, abs=0.01)
    assert found.p_value == 1


def test_pairing_takes_off_what_prompts_share() -> None:
    rng = np.random.default_rng(0)
    hard = rng.random(100)
    better = np.clip(hard + 0.05, 0, 1)
    apart = paired_difference(better, rng.permutation(hard)).interval
    paired = paired_difference(better, hard)
    assert paired.interval.high - paired.interval.low < (apart.high - apart.low) / 4
    assert paired.p_value < 0.05 < paired_difference(rng.permutation(better), hard).p_value


def test_too_few_prompts_are_refused_with_the_reason() -> None:
    values = np.array([1.0, 0.0, math.nan, 0.5])
    assert PromptMean(values).interval().reason == "needs 4 prompts, but there are 3"
    assert PromptMean(values).value == 0.5
    found = paired_difference(values, values)
    assert found.interval.reason == "needs 4 prompts, but there are 3"
    assert math.isnan(found.p_value)
    with pytest.raises(ValueError, match="4 prompts against 3: prompts have to be the same"):
        paired_difference(values, values[:3])


@pytest.mark.parametrize(("prompts", "accuracy", "correlation"), [(50, 0.5, 0.3), (200, 0.02, 0.3), (200, 0.98, 0.1)])
def test_coverage(prompts: int, accuracy: float, correlation: float) -> None:
    """A short form of scripts/check_task_coverage.py: 92 to 98 %, give or take what 500 experiments leave open."""
    rng = np.random.default_rng(7)
    size = (1 - correlation) / correlation
    held = inside = 0
    for _ in range(500):
        chances = rng.beta(accuracy * size, (1 - accuracy) * size, (2, prompts))
        values = rng.binomial(8, chances) / 8
        found = PromptMean(values[0]).interval()
        held += found.low <= accuracy <= found.high
        change = paired_difference(values[0], values[1]).interval
        inside += change.low <= 0 <= change.high
    assert 0.92 < held / 500 < 0.985
    assert 0.92 < inside / 500 < 0.985
