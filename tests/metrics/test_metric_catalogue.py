"""The other metrics: against outside cases, against their definitions, and where they are undefined."""

from __future__ import annotations

import gzip
import json
import math
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from temp_processors.metrics import (
    METRIC_NAMES,
    compression_ratio,
    cross_repetition,
    expectation_adjusted_distinct,
    hdd,
    mean_pairwise_distance,
    metric_by_name,
    mtld,
    pairwise_bleu,
    seq_rep_n,
    unique_share,
    vendi_score,
    zipf_exponent,
)
from tests.paths import GOLDEN

TEXT_METRICS = [name for name in METRIC_NAMES if name != "perplexity"]
TEXTS = st.lists(st.lists(st.sampled_from("abcd"), max_size=8), min_size=2, max_size=7)


@pytest.fixture(scope="module")
def cases() -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = json.loads((GOLDEN / "metrics.json").read_text(encoding="utf-8"))["cases"]
    return found


def numbers(cases: list[dict[str, Any]], *path: str) -> list[tuple[list[str], float]]:
    """(texts, expected) of every case in which the peer returned a number."""
    pairs = []
    for case in cases:
        value = case["expected"]
        for part in path:
            value = value.get(part) if isinstance(value, dict) else None
        if isinstance(value, (int, float)):
            pairs.append((case["texts"], float(value)))
    return pairs


def test_pairwise_bleu_equals_vendi_text_utils(cases: list[dict[str, Any]]) -> None:
    pairs = [pair for pair in numbers(cases, "pairwise_bleu_vendi_text_utils") if len(pair[0]) > 1]
    assert len(pairs) >= 8
    for texts, expected in pairs:
        assert pairwise_bleu(texts, tokenizer="whitespace").value == pytest.approx(expected, abs=1e-12)


def test_cross_repetition_equals_self_repetition_of_diversity(cases: list[dict[str, Any]]) -> None:
    pairs = numbers(cases, "self_repetition_score_cshaib_n4")
    assert len(pairs) >= 8
    for texts, expected in pairs:
        assert cross_repetition([text.split() for text in texts]).value == pytest.approx(expected, abs=1e-3)


def test_mtld_and_hdd_equal_lexicalrichness(cases: list[dict[str, Any]]) -> None:
    for texts, expected in numbers(cases, "mtld_lexicalrichness"):
        assert mtld(texts, tokenizer="whitespace").value == pytest.approx(expected, abs=1e-9)
    for texts, expected in numbers(cases, "hdd_lexicalrichness_42"):
        assert hdd(texts, tokenizer="whitespace").value == pytest.approx(expected, abs=1e-9)


@pytest.mark.parametrize("vocabulary", [1000, 50257])
def test_expectation_adjusted_distinct_equals_rlfh_gen_div(cases: list[dict[str, Any]], vocabulary: int) -> None:
    compared = 0
    for case in cases:
        plain = all("." not in text and text.split() == text.split(" ") for text in case["texts"])
        for n in (1, 2, 3, 4):
            expected = case["expected"][f"ead_rlfh_gen_div_V{vocabulary}"].get(str(n)) if plain else None
            if isinstance(expected, float) and expected > 0:
                score = expectation_adjusted_distinct(case["texts"], n, vocabulary=vocabulary, tokenizer="whitespace")
                assert score.value == pytest.approx(expected, rel=1e-11), case[
                    "name"
                ]  # the peer rounds in (1 - 1 / V) ** C
                compared += 1
    assert compared >= 12


@given(texts=TEXTS)
@settings(max_examples=60, deadline=None)
def test_seq_rep_equals_its_definition(texts: list[list[str]]) -> None:
    grams = [[tuple(text[i : i + 2]) for i in range(len(text) - 1)] for text in texts]
    total = sum(map(len, grams))
    expected = 1 - sum(len(set(own)) for own in grams) / total if total else math.nan
    assert seq_rep_n(texts, 2).value == pytest.approx(expected, abs=1e-12, nan_ok=True)


@given(texts=TEXTS)
@settings(max_examples=60, deadline=None)
def test_cross_repetition_equals_its_definition(texts: list[list[str]]) -> None:
    sets = [{tuple(text[i : i + 2]) for i in range(len(text) - 1)} for text in texts]
    shared_grams = [sum(sum(gram in other for other in sets) - 1 for gram in own) for own in sets]
    assert cross_repetition(texts, 2).value == pytest.approx(np.mean(np.log1p(shared_grams)), abs=1e-12)


@given(frequencies=st.lists(st.integers(1, 6), min_size=1, max_size=9), draws=st.integers(1, 8))
@settings(max_examples=60, deadline=None)
def test_hdd_equals_its_definition(frequencies: list[int], draws: int) -> None:
    tokens = [str(word) for word, count in enumerate(frequencies) for _ in range(count)]
    score = hdd([tokens], draws=draws)
    if len(tokens) < draws:
        assert math.isnan(score.value)
    else:
        absent = [math.comb(len(tokens) - count, draws) / math.comb(len(tokens), draws) for count in frequencies]
        assert score.value == pytest.approx(sum(1 - p for p in absent) / draws, abs=1e-12)


def test_one_gzip_with_a_fixed_header() -> None:
    text = "spam " * 2000
    assert compression_ratio([text]).value == len(text) / len(gzip.compress(text.encode(), 9, mtime=0))
    assert compression_ratio(["日本語"]).counts["bytes"] == 9


def test_vendi_counts_what_is_different() -> None:
    rows = np.array([[1.0, 0, 0, 0], [2.0, 0, 0, 0], [0, 1.0, 0, 0]])
    expected = math.exp(-(2 / 3 * math.log(2 / 3) + 1 / 3 * math.log(1 / 3)))
    assert vendi_score(["a", "a", "b"], rows).value == pytest.approx(expected, abs=1e-12)
    assert vendi_score(["a", "a", "b"], lambda texts: rows).value == pytest.approx(expected, abs=1e-12)
    assert mean_pairwise_distance(["a", "a", "b"], rows).value == pytest.approx(2 / 3, abs=1e-12)
    with pytest.raises(ValueError, match=r"one row for each of the 2 texts, but has shape \(3, 4\)"):
        vendi_score(["a", "b"], rows)
    with pytest.raises(ValueError, match=r"`embeddings\[1\]` has to have a direction"):
        vendi_score(["a", "b"], np.array([[1.0], [0.0]]))


def test_zipf_exponent_of_an_exact_power_law() -> None:
    tokens = [f"w{rank}" for rank in range(1, 9) for _ in range(math.lcm(*range(1, 9)) // rank)]
    assert zipf_exponent([tokens]).value == pytest.approx(1, abs=1e-9)


def test_unique_share() -> None:
    assert unique_share(["a b", "a  b", "c"]).value == 2 / 3


@pytest.mark.parametrize("name", TEXT_METRICS)
@pytest.mark.parametrize("texts", [[], [""], ["", ""]], ids=["none", "one empty", "two empty"])
def test_every_metric_decides_what_nothing_scores(name: str, texts: list[str]) -> None:
    score = metric_by_name(name)(texts)
    assert math.isnan(score.value) == (score.reason is not None)
    assert "|v:" in score.signature


@pytest.mark.parametrize("name", TEXT_METRICS)
@pytest.mark.parametrize("texts", ["one string", ["fine", None]], ids=["string", "None inside"])
def test_every_metric_refuses_what_is_no_list_of_texts(name: str, texts: Any) -> None:
    with pytest.raises(TypeError, match="`texts"):
        metric_by_name(name)(texts)
