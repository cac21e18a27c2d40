"""n-grams as integers: against Python sets and counters, also where packed values would not fit into 64 bits."""

from __future__ import annotations

from collections import Counter

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from temp_processors.metrics import TokenizedTexts, distinct_n, self_bleu, tokenize
from temp_processors.metrics.ngrams import count_ngrams, different_in_texts, repeated_ngrams

TEXTS = st.lists(st.lists(st.sampled_from("abcd"), max_size=8), max_size=7)


def ngrams(text: list[str], n: int) -> list[tuple[str, ...]]:
    return [tuple(text[i : i + n]) for i in range(len(text) - n + 1)]


def spread(texts: TokenizedTexts, vocabulary: int) -> TokenizedTexts:
    """The same texts with ids as far apart as a vocabulary of this size allows."""
    ids = texts.ids * (vocabulary // texts.vocabulary) if len(texts.ids) else texts.ids
    return TokenizedTexts(ids, texts.starts, texts.tokenizer)


@given(texts=TEXTS, n=st.integers(1, 6), vocabulary=st.sampled_from([0, 1 << 20, 1 << 31, 1 << 58]))
@settings(max_examples=150, deadline=None)
def test_counts_equal_those_of_sets_for_any_vocabulary(texts: list[list[str]], n: int, vocabulary: int) -> None:
    tokenized = tokenize(texts)
    tokenized = spread(tokenized, vocabulary) if vocabulary else tokenized
    grams = [gram for text in texts for gram in ngrams(text, n)]
    assert count_ngrams(tokenized, n) == (len(set(grams)), len(grams))
    assert different_in_texts(tokenized, n).tolist() == [len(set(ngrams(text, n))) for text in texts]


@given(texts=TEXTS, vocabulary=st.sampled_from([0, 1 << 58]))
@settings(max_examples=80, deadline=None)
def test_repeated_ngrams_are_those_of_a_counter(texts: list[list[str]], vocabulary: int) -> None:
    tokenized = tokenize(texts)
    tokenized = spread(tokenized, vocabulary) if vocabulary else tokenized
    for n, found in enumerate(repeated_ngrams(tokenized, 4), start=1):
        total = Counter(gram for text in texts for gram in ngrams(text, n))
        expected = Counter((gram, i) for i, text in enumerate(texts) for gram in ngrams(text, n) if total[gram] > 1)
        held = found.held
        assert sorted(held.times.tolist()) == sorted(expected.values())
        assert sorted(held.text.tolist()) == sorted(i for _, i in expected)
        assert (np.diff(held.gram) >= 0).all()
        assert len(set(held.gram.tolist())) == len({gram for gram, _ in expected})


@pytest.mark.parametrize("vocabulary", [1 << 20, 1 << 40])
def test_scores_do_not_move_with_the_size_of_the_vocabulary(vocabulary: int) -> None:
    rng = np.random.default_rng(0)
    texts = tokenize([rng.integers(0, 30, 12).tolist() for _ in range(40)])
    for n in (2, 4):
        assert distinct_n(spread(texts, vocabulary), n).value == distinct_n(texts, n).value
        assert self_bleu(spread(texts, vocabulary), n).value == self_bleu(texts, n).value
