"""distinct-n, self-BLEU and their kin: against NLTK, against outside cases, and at the edges."""

from __future__ import annotations

import json
import math
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from nltk.translate.bleu_score import SmoothingFunction, sentence_bleu

from temp_processors.metrics import (
    METRIC_NAMES,
    distinct_n,
    matched,
    mean_length,
    metric_by_name,
    paired,
    perplexity,
    self_bleu,
    tokenize,
)
from tests.paths import GOLDEN

CORPORA = st.lists(st.lists(st.sampled_from("abcde"), max_size=9), min_size=2, max_size=9)


def nltk_self_bleu(texts: list[list[str]], n: int) -> list[float]:
    smooth = SmoothingFunction().method1
    return [
        sentence_bleu(texts[:i] + texts[i + 1 :], texts[i], (1 / n,) * n, smoothing_function=smooth)
        for i in range(len(texts))
    ]


@given(texts=CORPORA, n=st.integers(1, 5))
@settings(max_examples=150, deadline=None)
def test_self_bleu_equals_nltk(texts: list[list[str]], n: int) -> None:
    score = self_bleu(texts, n)
    assert score.per_text is not None
    np.testing.assert_allclose(score.per_text, nltk_self_bleu(texts, n), rtol=0, atol=1e-12)
    assert score.value == pytest.approx(np.mean(nltk_self_bleu(texts, n)), abs=1e-12)


@given(texts=CORPORA, n=st.integers(1, 4))
@settings(max_examples=100, deadline=None)
def test_distinct_n_equals_its_definition(texts: list[list[str]], n: int) -> None:
    grams = [tuple(text[i : i + n]) for text in texts for i in range(len(text) - n + 1)]
    score = distinct_n(texts, n)
    if grams:
        assert score.value == len(set(grams)) / len(grams)
    else:
        assert math.isnan(score.value)
        assert score.reason == f"no text has {n} tokens"


@given(texts=CORPORA, order=st.randoms())
@settings(max_examples=50, deadline=None)
def test_order_of_texts_and_names_of_tokens_change_nothing(texts: list[list[str]], order: Any) -> None:
    shuffled = [[f"<{token}>" for token in text] for text in texts]
    order.shuffle(shuffled)
    assert self_bleu(shuffled, 3).value == pytest.approx(self_bleu(texts, 3).value, abs=1e-12)
    assert distinct_n(shuffled, 2).value == pytest.approx(distinct_n(texts, 2).value, nan_ok=True)


CASES: list[dict[str, Any]] = json.loads((GOLDEN / "metrics.json").read_text(encoding="utf-8"))["cases"]


def test_outside_cases() -> None:
    compared = 0
    for case in CASES:
        for n in (1, 2, 3, 4):
            expected = case["expected"]["distinct_nltk_pooled"][str(n)]
            if isinstance(expected, float):
                assert distinct_n(case["texts"], n, tokenizer="whitespace").value == pytest.approx(
                    expected, abs=1e-12
                ), case["name"]
                compared += 1
        for n in (2, 3, 4, 5):
            expected = case["expected"]["self_bleu_nltk_method1"][str(n)].get("mean")
            if isinstance(expected, float) and len(case["texts"]) > 1:
                assert self_bleu(case["texts"], n, tokenizer="whitespace").value == pytest.approx(
                    expected, abs=1e-12
                ), case["name"]
                compared += 1
    assert compared >= 60


def test_without_smoothing_it_equals_nltk_without_smoothing() -> None:
    compared = 0
    for case in CASES:
        for n in (2, 3, 4, 5):
            expected = case["expected"]["self_bleu_nltk_nosmoothing"][str(n)].get("mean")
            if isinstance(expected, float) and len(case["texts"]) > 1:
                score = self_bleu(case["texts"], n, smoothing="method0", tokenizer="whitespace")
                assert score.value == pytest.approx(expected, abs=1e-12)
                compared += 1
    assert compared >= 30
    with pytest.raises(ValueError, match="`smoothing` has to be one of method1, method0, but is 'none'"):
        self_bleu(["a", "b"], smoothing="none")


@given(texts=CORPORA, which=st.integers(0, 8))
@settings(max_examples=60, deadline=None)
def test_a_duplicate_raises_the_self_bleu_of_what_it_repeats(texts: list[list[str]], which: int) -> None:
    before, after = self_bleu(texts).per_text, self_bleu([*texts, texts[which % len(texts)]]).per_text
    assert before is not None
    assert after is not None
    assert after[which % len(texts)] >= before[which % len(texts)] - 1e-12


@given(texts=CORPORA, first=st.integers(1, 6))
@settings(max_examples=40, deadline=None)
def test_cut_texts_score_as_texts_that_were_short(texts: list[list[str]], first: int) -> None:
    cut = tokenize(texts).first(first)
    for metric in (distinct_n, self_bleu):
        expected = metric([text[:first] for text in texts])
        assert metric(cut).value == pytest.approx(expected.value, nan_ok=True)
        assert f"|len:first:{first}|" in metric(cut).signature


def test_matched_groups_have_equal_length() -> None:
    groups = matched([tokenize(["a b c d", "a b c"]), tokenize(["e f", "g h i"])])
    assert [group.lengths.tolist() for group in groups] == [[2, 2], [2, 2]]
    assert "|len:matched:2|" in distinct_n(groups[0]).signature
    with pytest.raises(ValueError, match="2 texts, 1 texts: groups of unequal number"):
        matched([tokenize(["a", "b"]), tokenize(["a"])])
    with pytest.raises(ValueError, match="text 1 of group 1 is empty: there is no length to match; use `first`"):
        matched([tokenize(["a", "b"]), tokenize(["a", ""])])


def test_what_moves_a_score_stands_beside_it() -> None:
    texts = ["the fox ran home", "the fox ran home", "a wolf", ""]
    score = self_bleu(texts, 4)
    assert score.counts["texts"] == 4
    assert score.counts["tokens"] == 10
    assert score.counts["duplicate_share"] == 0.25
    assert score.counts["shorter_than_n_share"] == 0.5
    assert score.counts["smoothed_share"] == 0.5
    assert score.signature.startswith("self_bleu|n:4|refs:others|smooth:method1|tok:whitespace|len:full|v:")


@pytest.mark.parametrize(
    ("texts", "metric", "reason"),
    [
        ([], "distinct_2", "there are no texts"),
        (["a"], "distinct_2", "no text has 2 tokens"),
        ([], "self_bleu_4", "it compares texts with each other, and there are 0"),
        (["one text"], "self_bleu_4", "it compares texts with each other, and there are 1"),
        ([], "mean_length", "there are no texts"),
    ],
)
def test_an_undefined_score_is_nan_with_a_reason(texts: list[str], metric: str, reason: str) -> None:
    score = metric_by_name(metric)(texts)
    assert math.isnan(score.value)
    assert score.reason == reason
    assert score.to_dict()["value"] is None


def test_empty_texts_are_texts() -> None:
    assert self_bleu(["", "", "a b"], 2).value == 0.0
    assert mean_length(["", "a b"]).value == 1.0


@pytest.mark.parametrize(
    ("texts", "message"),
    [("one string", "is one string: write"), ([None], r"`texts\[0\]` has to be a string"), (["a", 3], r"`texts\[1\]`")],
)
def test_what_is_no_list_of_texts_is_refused(texts: Any, message: str) -> None:
    with pytest.raises(TypeError, match=message):
        distinct_n(texts)


def test_tokenizers_are_named_in_the_signature() -> None:
    def letters(text: str) -> list[str]:
        return list(text)

    assert "|tok:letters|" in distinct_n(["abab"], 2, tokenizer=letters).signature
    assert distinct_n(["abab"], 2, tokenizer=letters).value == 2 / 3
    with pytest.raises(ValueError, match="has to be 'whitespace'"):
        tokenize(["a"], "moses")


def test_unknown_metric_names_the_closest() -> None:
    with pytest.raises(ValueError, match="did you mean 'self_bleu_4'"):
        metric_by_name("self_blue_4")
    assert "perplexity" in METRIC_NAMES


def test_perplexity_pools_over_tokens() -> None:
    score = perplexity([-1.0, -5.0], [1, 3])
    assert score.value == pytest.approx(math.exp(6 / 4))
    assert math.isnan(perplexity([], []).value)
    with pytest.raises(ValueError, match="holds 1 values"):
        perplexity([-1.0], [1, 2])


@given(groups=st.lists(st.lists(st.lists(st.sampled_from("abc"), max_size=5), min_size=3, max_size=3), min_size=1))
@settings(max_examples=40, deadline=None)
def test_paired_groups_have_equal_lengths_text_by_text(groups: list[list[list[str]]]) -> None:
    found = paired([tokenize(group) for group in groups])
    shortest = [min(len(group[i]) for group in groups) for i in range(3)]
    assert all(texts.lengths.tolist() == shortest for texts in found)
    for texts, group in zip(found, groups, strict=True):
        expected = distinct_n([text[:kept] for text, kept in zip(group, shortest, strict=True)], 2)
        assert distinct_n(texts, 2).value == pytest.approx(expected.value, nan_ok=True)
    with pytest.raises(ValueError, match="3 texts, 1 texts: groups of unequal number"):
        paired([found[0], tokenize(["a"])])


def test_more_first_tokens_than_a_number_of_the_machine_holds_are_all() -> None:
    whole = tokenize(["a b c", "d"])
    assert whole.first(10**30).ids.tolist() == whole.ids.tolist()
