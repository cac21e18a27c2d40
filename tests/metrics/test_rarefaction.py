"""Rarefied distinct-n against the mean over subsets, and scores by Rao-Blackwell against their definitions."""

from __future__ import annotations

import itertools
import math
import random

import numpy as np
import pytest

from temp_processors.fox.grammar import sample_story
from temp_processors.metrics import distinct_n, entropy_rate, expected_perplexity, perplexity, rarefied_distinct_n


def test_it_is_the_mean_over_all_subsets_of_texts_of_equal_length() -> None:
    texts = ["a b c d", "a b d c", "a b c c", "e f a b", "c d e f", "a a a a"]
    for n, number in itertools.product((1, 2, 3), range(1, 7)):
        subsets = [distinct_n(list(chosen), n).value for chosen in itertools.combinations(texts, number)]
        found = rarefied_distinct_n(texts, n, number=number)
        assert found.value == pytest.approx(np.mean(subsets), abs=1e-12)
        assert f"|n:{n}|pool:all|rarefied:{number}|" in found.signature
    assert rarefied_distinct_n(texts, 2, number=6).value == pytest.approx(distinct_n(texts, 2).value, abs=1e-12)


def test_64_of_256_texts_give_what_random_subsets_of_64_give() -> None:
    rng = random.Random(0)
    texts = [" ".join(sample_story(rng).text.split()[:40]) for _ in range(256)]
    subsets = np.array([distinct_n(rng.sample(texts, 64), 2).value for _ in range(400)])
    error = subsets.std(ddof=1) / math.sqrt(len(subsets))
    assert rarefied_distinct_n(texts, 2, number=64).value == pytest.approx(subsets.mean(), abs=4 * error)
    assert error < 0.0006
    assert (
        distinct_n(texts, 2).value < subsets.mean() - 0.02
    )  # what comparing 256 texts with 64 would call a difference


def test_what_rarefaction_refuses_or_leaves_undefined() -> None:
    for number in (0, 3):
        with pytest.raises(ValueError, match="`number` has to lie between 1 and the number of texts, 2"):
            rarefied_distinct_n(["a b", "c d"], number=number)
    assert rarefied_distinct_n(["a", "b"], 2, number=1).reason == "no text has 2 tokens"


def test_entropy_rate_and_expected_perplexity_are_pooled_over_tokens() -> None:
    assert entropy_rate([[1.0, 2.0], [], [6.0]]).value == 3.0
    assert expected_perplexity([[1.0, 2.0], [6.0]]).value == pytest.approx(math.exp(3.0))
    assert entropy_rate([]).reason == "there are no tokens"
    with pytest.raises(ValueError, match="entropy_rate needs finite numbers >= 0, but text 1 has"):
        entropy_rate([[1.0], [-1.0]])


def test_signatures_say_what_is_counted() -> None:
    for score in (perplexity([-2.0], [2]), expected_perplexity([[1.0]])):
        assert "|model:untempered|given:prompt|eos:counted|" in score.signature
