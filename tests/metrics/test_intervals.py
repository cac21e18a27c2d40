"""Intervals and differences: exact influences, the right values at the edges, and coverage on designs small enough for the suite."""

from __future__ import annotations

import math
import random
from functools import partial
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from temp_processors.metrics import CATALOGUE, distinct_n, mean_length, self_bleu, seq_rep_n, tokenize, unique_share
from temp_processors.metrics.influence import of_spread
from temp_processors.metrics.intervals import difference, difference_of, holm, interval, measure
from temp_processors.metrics.self_bleu_influence import of_self_bleu

MEASURED = [name for name, metric in CATALOGUE.items() if metric.influence is not None]
TEXTS = st.lists(st.lists(st.sampled_from("abcdef"), max_size=12).map(" ".join), min_size=4, max_size=12)


def words(rng: random.Random, vocabulary: int, shortest: int = 5, longest: int = 30) -> str:
    return " ".join(f"w{rng.randrange(vocabulary)}" for _ in range(rng.randint(shortest, longest)))


def group(seed: int, vocabulary: int, count: int = 16) -> list[str]:
    rng = random.Random(seed)
    return [words(rng, vocabulary) for _ in range(count)]


@settings(max_examples=60, deadline=None)
@given(TEXTS, st.integers(2, 4))
def test_the_influence_of_a_unit_is_what_leaving_it_out_does(texts: list[str], prompts: int) -> None:
    tokenized = tokenize(texts)
    for units in (np.arange(len(texts)), np.arange(len(texts)) * prompts // len(texts)):
        count = int(units.max()) + 1
        if not len(tokenized.ids) or count < 3:
            continue
        bleu, distinct = of_self_bleu(tokenized, 4, units), of_spread(tokenized.spread(1, units), 0)
        assert bleu.value == pytest.approx(self_bleu(texts, 4).value, abs=1e-12)
        assert distinct.value == pytest.approx(distinct_n(texts, 1).value, abs=1e-12)
        total = len(tokenized.ids)
        for unit in range(count):
            left = [text for text, own in zip(texts, units, strict=True) if own != unit]
            without = self_bleu(left, 4).value
            if not math.isnan(without):
                assert bleu.own[unit] == pytest.approx((bleu.value - without) * (count - 1) / count, abs=1e-12)
            kept = tokenize(left)
            lost = distinct.value * total - kept.count_ngrams(1)[0]
            held = total - len(kept.ids)
            assert distinct.own[unit] == pytest.approx((lost - distinct.value * held) / total, abs=1e-12)


@settings(max_examples=60, deadline=None)
@given(TEXTS, TEXTS)
def test_no_interval_leaves_the_range_and_no_p_is_zero(texts: list[str], others: list[str]) -> None:
    count = min(len(texts), len(others))
    for name in MEASURED:
        metric = CATALOGUE[name]
        if metric.takes != "tokens":
            continue
        own, other = (measure(metric, tokenize(held[:count])) for held in (texts, others))
        found = own.interval()
        if found.known:
            assert found.low <= own.score.value <= found.high
            assert found.low >= 0
            assert metric.scale != "share" or found.high <= 1
            assert found.high > found.low
        change = difference_of(other, own)
        if change.interval.known:
            assert metric.scale != "share" or -1 <= change.interval.low <= change.interval.high <= 1
            assert math.isnan(change.p_value) or 0 < change.p_value <= 1


def test_nothing_repeats_among_g_ngrams() -> None:
    """The bound of a Poisson variable of which none was seen: 3.69 repeats."""
    texts = [" ".join(f"{text}.{word}" for word in range(39)) for text in range(16)]
    found = interval(partial(distinct_n, n=1), texts)
    assert found.low == pytest.approx(1 - 3.6889 / (16 * 39), abs=1e-6)
    assert found.high == 1
    assert math.isnan(difference(partial(distinct_n, n=1), texts, texts).p_value)
    assert interval(partial(seq_rep_n, n=2), texts).high == pytest.approx(3.6889 / (16 * 38), abs=1e-6)


@pytest.mark.parametrize("count", [5, 6, 12, 24, 60])
def test_every_text_takes_part(count: int) -> None:
    """Groups that are no power of 2: the odd text is the last one, and the interval sees it."""
    found = interval(mean_length, [*["a " * 14] * (count - 1), "a " * 15])
    assert found.known
    assert found.low < 14 + 1 / count < found.high
    assert (
        interval(mean_length, ["a " * 14] * count).reason == "all texts have the same value: what varies was not seen"
    )


def test_identical_texts_have_a_statement_and_no_width_of_zero() -> None:
    found = interval(distinct_n, ["the fox ran home"] * 16)
    assert not found.known
    assert found.reason == "only 1 of 16 texts is different: texts rarer than 1 in 6 may be unseen"


def test_a_cold_group_is_told_from_a_hot_one_by_what_it_may_have_missed() -> None:
    change = difference(distinct_n, group(1, 30), ["the fox ran home"] * 16)
    assert change.interval.low > 0
    assert change.p_value < 0.05
    unresolved = difference(partial(distinct_n, n=1), group(1, 5), ["the fox ran home"] * 16)
    assert unresolved.interval.low < 0 < unresolved.interval.high


@pytest.mark.parametrize("prompts", [2, 3])
def test_few_prompts_are_not_judged(prompts: int) -> None:
    texts, clusters = group(1, 20, 4 * prompts), [place // 4 for place in range(4 * prompts)]
    assert interval(distinct_n, texts, clusters).reason == "needs 4 prompts"
    change = difference(distinct_n, group(2, 200, 4 * prompts), texts, clusters)
    assert change.interval.reason == "needs 4 prompts"
    assert math.isnan(change.p_value)
    assert interval(distinct_n, texts[:3]).reason == "needs 4 texts"


def test_texts_of_one_prompt_count_as_one() -> None:
    """Words of their own for every prompt: the interval by prompt is the wider one."""
    rng = random.Random(3)
    texts = [
        " ".join(f"p{prompt}.{rng.randrange(6 + 9 * prompt)}" for _ in range(20))
        for prompt in range(8)
        for _ in range(8)
    ]
    clusters = [place // 8 for place in range(64)]
    by_prompt, by_text = interval(distinct_n, texts, clusters), interval(distinct_n, texts)
    assert by_prompt.high - by_prompt.low > 1.5 * (by_text.high - by_text.low)


def test_perplexity_has_an_interval_above_one_and_its_difference_is_a_ratio() -> None:
    rng = random.Random(0)
    record = CATALOGUE["perplexity"]
    sides = [[(-rng.lognormvariate(0, 0.5) * scale, 4) for _ in range(16)] for scale in (0.5, 5)]
    own, other = (
        measure(record, pairs, score=record.function([p for p, _ in pairs], [c for _, c in pairs])) for pairs in sides
    )
    assert own.interval().low > 1
    change = difference_of(other, own)
    assert change.ratio
    assert change.value == pytest.approx(other.score.value / own.score.value)
    assert change.interval.low > 1


@pytest.mark.parametrize("metric", [distinct_n, self_bleu, unique_share, seq_rep_n])
def test_the_same_texts_do_not_differ(metric: Any) -> None:
    texts = group(5, 5)
    change = difference(metric, texts, texts)
    assert change.value == 0
    assert change.interval.low <= 0 <= change.interval.high


def test_coupled_texts_differ_with_less_noise() -> None:
    texts = group(7, 40)
    rng = random.Random(9)
    near = [" ".join(f"new{rng.random()}" if rng.random() < 0.03 else word for word in text.split()) for text in texts]
    coupled, apart = difference(distinct_n, near, texts), difference(distinct_n, group(8, 40), texts)
    assert coupled.interval.high - coupled.interval.low < 0.8 * (apart.interval.high - apart.interval.low)
    assert 0 < coupled.smallest < apart.smallest


def test_metrics_and_settings_without_measured_coverage_have_no_interval() -> None:
    assert interval(CATALOGUE["mtld"], group(1, 20)).reason == "no coverage of an interval was measured for this metric"
    other = interval(partial(self_bleu, n=4, smoothing="method0"), group(1, 200))
    assert other.reason == "no coverage of an interval was measured for these settings of the metric"


@pytest.mark.parametrize(
    ("name", "vocabulary", "count"),
    [
        ("distinct_1", 100, 8),
        ("distinct_1", 800, 16),
        ("distinct_2", 100, 8),
        ("distinct_2", 800, 16),
        ("self_bleu_2", 20, 16),
        ("self_bleu_4", 5, 16),
        ("mean_length", 100, 8),
    ],
)
def test_intervals_hold_the_truth(name: str, vocabulary: int, count: int) -> None:
    """A small check of what `scripts/check_coverage.py` measures: 120 experiments, so that 85 to 100 % are by chance."""
    found = [measure(CATALOGUE[name], tokenize(group(1000 + seed, vocabulary, count))) for seed in range(120)]
    truth = np.mean([one.score.value for one in found])
    held = [one.interval().low <= truth <= one.interval().high for one in found if one.refusal is None]
    assert len(held) > 60
    assert np.mean(held) > 0.85


def test_self_bleu_that_is_mostly_smoothing_has_no_interval_but_a_bound() -> None:
    hot, cold = group(1, 5000), ["the fox ran home with a hen"] * 8 + group(2, 8, 8)
    assert interval(self_bleu, hot).reason == (
        "only 0 of 16 share an n-gram of every order with others: the value is mostly the smoothing"
    )
    change = difference(self_bleu, hot, cold)
    assert change.interval.high < 0.3


def test_unequal_groups_are_refused() -> None:
    with pytest.raises(ValueError, match="3 texts against 4 of the baseline"):
        difference(distinct_n, ["a"] * 3, ["a"] * 4)
    with pytest.raises(ValueError, match="`clusters` has to name the prompt of each of the 2 texts, but holds 1"):
        interval(distinct_n, ["a", "b"], [0])


def test_holm() -> None:
    assert holm([0.01, 0.04, math.nan, 0.03])[:2] == [0.03, 0.06]
    assert math.isnan(holm([math.nan])[0])
