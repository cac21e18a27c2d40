"""Every kind of bad input has an answer in words: a reason beside NaN, or an error that names the place."""

from __future__ import annotations

import math
import warnings
from typing import Any

import numpy as np
import pytest

from temp_processors.metrics import (
    METRIC_NAMES,
    distinct_n,
    expectation_adjusted_distinct,
    hdd,
    mean_entropy,
    mean_pairwise_distance,
    metric_by_name,
    mtld,
    perplexity,
    self_bleu,
    tokenize,
    vendi_score,
)

TEXT_METRICS = [name for name in METRIC_NAMES if name != "perplexity"]
NEEDS_TWO = {name for name in TEXT_METRICS if name.startswith(("self_bleu", "pairwise_bleu"))}
CORPORA: dict[str, list[str]] = {
    "none": [],
    "one text": ["the fox ran home"],
    "one word": ["fox"],
    "empty": [""],
    "all empty": ["", "  ", ""],
    "shorter than n": ["a b", "c", "a b"],
    "one of many empty": ["the fox ran home", ""],
    "lone surrogate": ["caf\udce9 au lait", "fox"],
}


@pytest.mark.parametrize("name", TEXT_METRICS)
@pytest.mark.parametrize("texts", CORPORA.values(), ids=CORPORA.keys())
def test_every_metric_gives_a_number_or_a_reason(name: str, texts: list[str]) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        score = metric_by_name(name)(texts)
    assert math.isnan(score.value) == (score.reason is not None)
    assert score.counts["texts"] == len(texts)
    if not texts or (len(texts) == 1 and name in NEEDS_TWO):
        assert score.reason in ("there are no texts", "there is no text", "there are no tokens") or name in (
            NEEDS_TWO | {"hdd", "zipf_exponent"}
        )
        assert math.isnan(score.value)


@pytest.mark.parametrize("n", [2, 3, 4])
def test_too_short_texts_are_named_not_scored_zero(n: int) -> None:
    for name in (f"distinct_{n}", f"distinct_{n}_per_text", f"seq_rep_{n}"):
        score = metric_by_name(name)(["a", "b"])
        assert math.isnan(score.value)
        assert score.reason == f"no text has {n} tokens"
        assert score.counts["shorter_than_n_share"] == 1


@pytest.mark.parametrize("n", [0, -1, 1.5, True, None, "2"])
def test_an_n_that_is_no_length_is_refused(n: Any) -> None:
    for metric in (distinct_n, self_bleu, expectation_adjusted_distinct):
        with pytest.raises(ValueError, match="`n` has to be an integer >= 1, but is "):
            metric(["a b"], n)  # type: ignore[operator]


def test_choices_out_of_range_are_refused_by_name() -> None:
    for call, message in [
        (lambda: distinct_n(["a"], pool="mean"), "`pool` has to be one of all, text, but is 'mean'"),
        (lambda: self_bleu(["a", "b"], hypotheses=0), "`hypotheses` has to be an integer >= 1 or None, but is 0"),
        (lambda: mtld(["a b"], threshold=1), r"`threshold` has to be in \(0, 1\), but is 1"),
        (lambda: hdd(["a b"], draws=0), "`draws` has to be an integer >= 1, but is 0"),
        (lambda: expectation_adjusted_distinct(["a"], vocabulary=1), "`vocabulary` has to be >= 2, but is 1"),
        (lambda: tokenize(["a b"]).first(0), "`k` has to be an integer >= 1, but is 0"),
    ]:
        with pytest.raises(ValueError, match=message):
            call()


@pytest.mark.parametrize("metric", [vendi_score, mean_pairwise_distance])
def test_texts_with_embeddings_are_texts(metric: Any) -> None:
    with pytest.raises(TypeError, match="is one string: write"):
        metric("ab", np.eye(2))
    with pytest.raises(TypeError, match=r"`texts\[1\]` has to be a string, but is None"):
        metric(["a", None], np.eye(2))
    assert metric([], np.zeros((0, 3))).reason == (
        "there are no texts" if metric is vendi_score else "it compares texts with each other, and there are 0"
    )


def test_perplexity_of_an_impossible_text_is_undefined() -> None:
    score = perplexity([-1.0, -math.inf], [1, 2])
    assert math.isnan(score.value)
    assert score.reason == "text 1 has the log-probability -inf"


def test_mean_entropy_pools_over_tokens() -> None:
    score = mean_entropy([[1.0, 2.0, 3.0], [], np.array([6.0])])
    assert score.value == 3.0
    assert score.counts == {"texts": 3, "tokens": 4}
    assert score.per_text is not None
    np.testing.assert_array_equal(score.per_text, [2.0, math.nan, 6.0])
    assert score.signature.startswith("mean_entropy|pool:tokens|model:untempered|unit:nats|")
    for empty in ([], [[]]):
        assert mean_entropy(empty).reason == "there are no tokens"
    with pytest.raises(
        TypeError, match=r"`entropies\[0\]` has to hold one number for each token, but is of shape \(\)"
    ):
        mean_entropy([1.0, 2.0])  # type: ignore[list-item]
    for wrong in (math.nan, math.inf, -0.5):
        with pytest.raises(ValueError, match=r"`entropies\[1\]` has to hold finite numbers >= 0"):
            mean_entropy([[1.0], [wrong]])
