"""What has to hold for any texts: order and names change nothing, duplicates count, and short references agree."""

from __future__ import annotations

import importlib
import math
from collections import Counter
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from temp_processors.metrics import (
    METRIC_NAMES,
    expectation_adjusted_distinct,
    metric_by_name,
    mtld,
    pairwise_bleu,
    self_bleu,
    unique_share,
    zipf_exponent,
)

CORPORA = st.lists(st.lists(st.sampled_from("abcde"), max_size=9), min_size=2, max_size=8)
ORDERED = {"mtld", "compression_ratio", "perplexity"}
"""The metrics that read the texts one after the other, or letters, or no texts."""
pairwise_bleu_module = importlib.import_module("temp_processors.metrics.pairwise_bleu")
UNORDERED = [name for name in METRIC_NAMES if name not in ORDERED]


def ngrams(text: list[str], n: int) -> list[tuple[str, ...]]:
    return [tuple(text[i : i + n]) for i in range(len(text) - n + 1)]


@given(texts=CORPORA, order=st.randoms(use_true_random=False))
@settings(max_examples=40, deadline=None)
def test_no_order_of_the_texts_and_no_names_of_tokens_change_a_score(texts: list[list[str]], order: Any) -> None:
    others = [[f"<{token}>" for token in text] for text in texts]
    order.shuffle(others)
    for name in UNORDERED:
        score, other = metric_by_name(name)(texts), metric_by_name(name)(others)
        assert other.value == pytest.approx(score.value, abs=1e-12, nan_ok=True), name
        assert dict(other.counts) == pytest.approx(dict(score.counts), abs=1e-12), name
    assert mtld([[f"<{token}>" for token in text] for text in texts]).value == pytest.approx(
        mtld(texts).value, nan_ok=True
    )


@given(texts=CORPORA, n=st.integers(1, 4))
@settings(max_examples=60, deadline=None)
def test_every_text_twice_raises_self_bleu_and_lowers_distinct(texts: list[list[str]], n: int) -> None:
    assert self_bleu(texts * 2, n).value >= self_bleu(texts, n).value - 1e-12
    if all(len(text) >= n for text in texts):
        assert self_bleu(texts * 2, n).value == pytest.approx(1, abs=1e-12)
        assert metric_by_name(f"distinct_{n}")(texts * 2).value == metric_by_name(f"distinct_{n}")(texts).value / 2
    assert unique_share(texts * 2).value == unique_share(texts).value / 2


@given(texts=CORPORA, n=st.integers(1, 4), hypotheses=st.integers(1, 9), seed=st.integers(0, 3))
@settings(max_examples=80, deadline=None)
def test_a_sample_of_hypotheses_keeps_all_references(
    texts: list[list[str]], n: int, hypotheses: int, seed: int
) -> None:
    whole, some = self_bleu(texts, n).per_text, self_bleu(texts, n, hypotheses=hypotheses, seed=seed)
    assert whole is not None
    assert some.per_text is not None
    scored = ~np.isnan(some.per_text)
    assert scored.sum() == min(hypotheses, len(texts))
    np.testing.assert_allclose(some.per_text[scored], whole[scored], rtol=0, atol=1e-12)
    assert some.value == pytest.approx(whole[scored].mean(), abs=1e-12)
    assert f"|hyps:{hypotheses}@{seed}|" in some.signature


def test_a_sample_of_hypotheses_is_unbiased_and_a_sample_of_texts_is_not() -> None:
    rng = np.random.default_rng(0)
    texts = [rng.zipf(1.7, 15).tolist() for _ in range(60)]
    whole = self_bleu(texts).value
    sampled = [self_bleu(texts, hypotheses=6, seed=seed).value for seed in range(200)]
    alone = [self_bleu([texts[i] for i in rng.choice(60, 6, replace=False)]).value for _ in range(200)]
    assert abs(np.mean(sampled) - whole) < 4 * np.std(sampled) / math.sqrt(200)
    assert np.mean(alone) < 0.7 * whole


def bleu(text: list[str], other: list[str], n: int) -> tuple[float, bool]:
    """BLEU-n of one text with one reference, method1 smoothing, and whether it was smoothed."""
    logs, smoothed = 0.0, False
    for k in range(1, n + 1):
        common = (Counter(ngrams(text, k)) & Counter(ngrams(other, k))).total()
        if k == 1 and not common:
            return 0.0, True
        smoothed |= not common
        logs += math.log((common or 0.1) / max(1, len(text) - k + 1)) / n
    return math.exp(logs + min(0.0, 1 - len(other) / len(text))), smoothed


@given(texts=CORPORA, n=st.integers(1, 4))
@settings(max_examples=60, deadline=None)
def test_pairwise_bleu_agrees_with_ten_lines(texts: list[list[str]], n: int) -> None:
    pairs = [bleu(a, b, n) for i, a in enumerate(texts) for j, b in enumerate(texts) if i != j]
    score = pairwise_bleu(texts, n)
    assert score.value == pytest.approx(np.mean([value for value, _ in pairs]), abs=1e-12)
    assert score.counts["smoothed_share"] == pytest.approx(np.mean([smoothed for _, smoothed in pairs]))


def test_pairwise_bleu_is_the_same_in_blocks(monkeypatch: pytest.MonkeyPatch) -> None:
    rng = np.random.default_rng(0)
    texts = [rng.zipf(1.7, 15).tolist() for _ in range(25)]
    whole = pairwise_bleu(texts)
    monkeypatch.setattr(pairwise_bleu_module, "PAIRS", 60)
    assert pairwise_bleu(texts).value == pytest.approx(whole.value, abs=1e-12)
    assert pairwise_bleu(texts).counts == whole.counts


@given(texts=CORPORA.filter(lambda texts: len({token for text in texts for token in text}) > 1))
@settings(max_examples=60, deadline=None)
def test_zipf_exponent_and_adjusted_distinct_agree_with_their_formulas(texts: list[list[str]]) -> None:
    frequencies = sorted(Counter(token for text in texts for token in text).values(), reverse=True)
    x, y = np.log(range(1, len(frequencies) + 1)), np.log(frequencies)
    slope = ((x - x.mean()) * (y - y.mean())).sum() / ((x - x.mean()) ** 2).sum()
    assert zipf_exponent(texts).value == pytest.approx(-slope, abs=1e-9)
    expected = 11 * (1 - (10 / 11) ** sum(frequencies))
    assert expectation_adjusted_distinct(texts, vocabulary=11).value == pytest.approx(len(frequencies) / expected)


@given(text=st.lists(st.sampled_from("abcd"), min_size=1, max_size=60))
@settings(max_examples=60, deadline=None)
def test_mtld_agrees_with_ten_lines(text: list[str]) -> None:
    def factors(tokens: list[str]) -> float:
        full, begin = 0.0, 0
        for end in range(1, len(tokens) + 1):
            ratio = len(set(tokens[begin:end])) / (end - begin)
            if ratio <= 0.72:
                full, begin = full + 1, end
        if begin < len(tokens):
            full += (1 - len(set(tokens[begin:])) / (len(tokens) - begin)) / 0.28
        return full

    expected = np.mean([len(text) / (factors(way) or 1) for way in (text, text[::-1])])
    assert mtld([text]).value == pytest.approx(expected, rel=1e-12)
