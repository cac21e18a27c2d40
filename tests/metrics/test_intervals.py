"""Intervals and differences: exact for a mean, honest for few prompts, right about what they do not know."""

from __future__ import annotations

import math
import random

import numpy as np
import pytest
from scipy.stats import t as student

from temp_processors.metrics import Score, distinct_n, mean_length, self_bleu, tokenize
from temp_processors.metrics.intervals import difference, half_samples, holm, interval


def zipf_texts(count: int, seed: int) -> list[str]:
    rng = random.Random(seed)
    return [" ".join(f"w{int(1 / (1 - rng.random()))}" for _ in range(12)) for _ in range(count)]


def test_of_a_mean_it_is_the_textbook_interval() -> None:
    texts = [["w"] * length for length in (3, 7, 1, 4, 9, 2, 6, 8)]
    lengths = mean_length(texts).per_text
    assert lengths is not None
    reach = student.ppf(0.975, 7) * lengths.std(ddof=1) / math.sqrt(8)
    found = interval(mean_length, texts)
    assert (found.low, found.high) == pytest.approx((lengths.mean() - reach, lengths.mean() + reach), abs=1e-12)


@pytest.mark.parametrize("count", [2, 3, 5, 16, 37, 64])
def test_halves_are_equal_and_share_nothing(count: int) -> None:
    cuts, crossings = half_samples(["p"] * count)
    assert not cuts.sum(axis=1).any()
    assert np.array_equal(cuts == 0, np.broadcast_to((cuts == 0).all(axis=0), cuts.shape))
    if len(crossings):
        assert not (cuts * crossings).sum(axis=1).any()


def test_whole_prompts_go_to_one_half() -> None:
    prompts = [prompt for prompt in "abcd" for _ in range(5)]
    cuts, _ = half_samples(prompts)
    assert cuts.shape == (3, 20)
    assert all(len(set(row[5 * k : 5 * k + 5])) == 1 for row in cuts.tolist() for k in range(4))


def test_few_prompts_make_wide_intervals() -> None:
    texts = zipf_texts(32, 1)
    one = interval(distinct_n, texts)
    four = interval(distinct_n, texts, [i % 4 for i in range(32)])
    two = interval(distinct_n, texts, [i % 2 for i in range(32)])
    assert (one.groups, four.groups, two.groups) == (16, 4, 2)
    assert four.high - four.low == pytest.approx(2 * four.standard_error * student.ppf(0.975, 3))
    assert (two.low, two.high) == (-math.inf, math.inf)


@pytest.mark.parametrize("texts", [[], ["one text"], ["a", "a"]], ids=["none", "one", "halves undefined"])
def test_what_cannot_be_known_is_infinite(texts: list[str]) -> None:
    found = interval(self_bleu, texts)
    assert (found.low, found.high) == (-math.inf, math.inf)
    change = difference(self_bleu, texts, texts)
    assert math.isnan(change.p_value)
    assert change.verdict == "no difference"


def test_the_same_texts_do_not_differ() -> None:
    texts = zipf_texts(16, 2)
    change = difference(self_bleu, texts, texts)
    assert (change.value, change.p_value, change.verdict) == (0.0, 1.0, "no difference")


def test_a_large_difference_is_found() -> None:
    loops = ["the fox ran home to the den " + text.split()[0] for text in zipf_texts(32, 3)]
    assert difference(distinct_n, loops, zipf_texts(32, 4)).verdict == "lower"
    assert difference(distinct_n, zipf_texts(32, 4), loops).verdict == "higher"


def test_tokenized_texts_give_the_same_interval() -> None:
    texts = zipf_texts(24, 5)

    def unigrams(held: object) -> Score:
        return distinct_n(held, 1)  # type: ignore[arg-type]

    for metric in (unigrams, self_bleu):
        assert interval(metric, tokenize(texts)) == interval(metric, texts)


def test_unequal_groups_are_refused() -> None:
    with pytest.raises(ValueError, match="3 texts against 2 of the baseline: scores move with the number of texts"):
        difference(distinct_n, ["a b"] * 3, ["a b"] * 2)
    with pytest.raises(ValueError, match="prompt of each of the 2 texts, but holds 1"):
        interval(distinct_n, ["a b"] * 2, ["p"])


def test_holm() -> None:
    assert holm([0.01, 0.04, 0.03]) == [0.03, 0.06, 0.06]
    corrected = holm([math.nan, 0.02, 0.5])
    assert math.isnan(corrected[0])
    assert corrected[1:] == [0.04, 0.5]
