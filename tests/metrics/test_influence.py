"""The variance behind an interval: against simulated experiments, hot, saturated and in between; and the ends made of it."""

from __future__ import annotations

import math
import random
from functools import partial

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from temp_processors.metrics import CATALOGUE, distinct_n, perplexity, seq_rep_n
from temp_processors.metrics.influence import Influence, of_ratio
from temp_processors.metrics.intervals import interval, measure
from temp_processors.metrics.mover import difference_ends
from temp_processors.metrics.sparse import Sparse


@pytest.mark.parametrize(
    ("vocabulary", "texts", "words", "most"),
    [(4000, 16, 20, 1.5), (400, 32, 20, 2), (100, 32, 10, 3), (60, 32, 10, 10)],
    ids=["repeats are rare", "some", "most words seen", "nearly all words seen"],
)
def test_the_variance_is_that_of_repeated_experiments(vocabulary: int, texts: int, words: int, most: float) -> None:
    """Never too small, and too large where words are nearly used up: at least half of what leaving out one text says is kept."""
    rng = random.Random(vocabulary)
    values, variances = [], []
    for _ in range(300):
        group = [" ".join(str(rng.randrange(vocabulary)) for _ in range(words)) for _ in range(texts)]
        found = measure(partial(distinct_n, n=1), group)
        assert found.influence is not None
        values.append(found.score.value)
        variances.append(found.influence.variance)
    assert 0.85 < np.mean(variances) / np.var(values) < most


def test_means_pairs_and_poisson_counts_are_exact() -> None:
    """V = A - P g(3 T / P): A for a mean; A / 2 where all stems from pairs; A (1 - exp(-m)) / m for n-grams of equal rate m."""
    units = 400
    own = np.random.default_rng(0).normal(size=units) * 1e-3
    alone = Influence(0.5, own).variance
    assert of_ratio(own + 1, np.ones(units), np.arange(units)).variance == pytest.approx(alone / units**2, rel=0.01)
    rng = np.random.default_rng(1)
    size = math.sqrt(np.square(own - own.mean()).sum() / 2)
    keys = np.unique(rng.integers(0, units, 300) * units + rng.integers(0, units, 300))
    pairs = Sparse(keys, np.full(len(keys), size / math.sqrt(len(keys))))
    assert Influence(0.5, own, pairs).variance == pytest.approx(alone / 2, rel=0.02)


@given(st.integers(0, 40))
def test_few_repeats_are_counted_as_poisson(repeats: int) -> None:
    """Around the value, inside the range, and for none seen 3.69 / G."""
    texts = [" ".join(f"w{text}.{place}" for place in range(40)) for text in range(16)]
    for number in range(repeats):
        place, text = divmod(number, 15)
        texts[text + 1] = texts[text + 1].replace(f"w{text + 1}.{place} ", f"w0.{number} ")
    found = interval(partial(distinct_n, n=1), texts)
    value = distinct_n(texts, 1).value
    assert 0 <= found.low < value <= found.high <= 1
    assert (found.low < value < found.high) or repeats == 0
    if repeats == 0:
        assert found.low == pytest.approx(1 - 3.6889 / 640, abs=1e-6)


def test_one_repeat_has_the_bounds_of_garwood() -> None:
    texts = [" ".join(f"w{text}.{place}" for place in range(40)) for text in range(16)]
    texts[3] = texts[3].replace("w3.7", "w9.7", 1)
    found = interval(partial(distinct_n, n=1), texts)
    assert (found.low, found.high) == pytest.approx((1 - 5.5716 / 640, 1 - 0.0253 / 640), rel=0.01)


@pytest.mark.parametrize("texts", [4, 5, 7])
def test_what_few_texts_have_in_common_is_not_judged(texts: int) -> None:
    tales = [f"the fox {place} ran over {place} hills and {place + 1} dales" for place in range(texts)]
    assert (
        interval(distinct_n, tales).reason == f"needs 8 texts (or 4 prompts): that {texts} differ says little of others"
    )
    assert interval(seq_rep_n, tales).known


def test_a_few_modes_without_a_word_in_common_are_not_judged() -> None:
    modes = [" ".join(f"{mode}.{place}" for place in range(30)) for mode in range(8)]
    assert (
        interval(distinct_n, modes).reason
        == "the 8 texts have no word in common: they may be a few that come again and again"
    )


def test_one_long_text_makes_the_perplexity_uncertain() -> None:
    pairs = [(-30.0, 10), (-28.0, 10), (-33.0, 10), (-29.0, 10), (-31.0, 10), (-1500.0, 500)]
    record = CATALOGUE["perplexity"]
    score = perplexity([one for one, _ in pairs], [count for _, count in pairs])
    found = measure(record, pairs, score=score)
    assert found.influence is not None
    assert found.influence.degrees == 1


def test_skew_that_both_sides_share_does_not_shift_the_difference() -> None:
    ends = (0.2, 0.9)
    low, high = difference_ends(0.4, ends, 0.4, ends, 1.0)
    assert (low, high) == pytest.approx((-0.3, 0.3))
    low, high = difference_ends(0.4, ends, 0.4, ends, 1.0, skew_shared=True)
    assert (low, high) == pytest.approx((-0.3 / math.sqrt(2), 0.3 / math.sqrt(2)))
    assert difference_ends(0.4, ends, 0.5, ends, 0.0, skew_shared=True) == difference_ends(0.4, ends, 0.5, ends, 0.0)
