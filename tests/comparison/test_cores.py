"""Groups measured in several threads, and n-grams found once: the same scores to the last digit."""

from __future__ import annotations

import time

import numpy as np
import pytest

from temp_processors.comparison import compare as comparison
from temp_processors.comparison.compare import compare_groups
from temp_processors.comparison.cores import at_once
from temp_processors.comparison.groups import Group
from temp_processors.metrics import METRIC_NAMES, metric_record, tokenize
from temp_processors.metrics.counted_once import CountedOnce
from temp_processors.metrics.intervals import measure


def texts_of(seed: int, count: int = 24) -> list[str]:
    """Texts of 3 to 12 words, some of which repeat."""
    rng = np.random.default_rng(seed)
    return [" ".join(f"w{word}" for word in rng.zipf(1.5, size=rng.integers(3, 12)) % 40) for _ in range(count)]


def test_n_grams_found_once_are_those_found_anew() -> None:
    """Every metric of tokens and its influence, asked of one object, in both orders."""
    texts = tokenize(texts_of(1))
    names = [name for name in METRIC_NAMES if metric_record(name).takes == "tokens"]
    for order in (names, names[::-1]):
        once = CountedOnce.of(texts)
        for name in order:
            anew, again = (measure(metric_record(name), held) for held in (texts, once))
            with np.printoptions(floatmode="unique", precision=17, threshold=10_000):
                assert repr(again) == repr(anew), name
    assert [once.count_ngrams(n) for n in (1, 4, 30)] == [texts.count_ngrams(n) for n in (1, 4, 30)]


@pytest.mark.parametrize("length", ["full", "paired", "matched", "first:5"])
def test_threads_change_no_digit(length: str, monkeypatch: pytest.MonkeyPatch) -> None:
    keys = [(place // 6, place % 6) for place in range(24)]
    groups = {name: Group(texts_of(seed), keys) for seed, name in enumerate("abc")}
    metrics = ["distinct_2", "self_bleu_4", "compression_ratio", "mean_length"]
    alone = compare_groups(groups, metrics, length=length)
    monkeypatch.setattr(comparison, "WORTH_THREADS", 0)
    monkeypatch.setattr(comparison, "cores", lambda: 3)
    assert repr(compare_groups(groups, metrics, length=length)) == repr(alone)


def test_results_keep_the_order_of_tasks() -> None:
    def late(seconds: float) -> float:
        time.sleep(seconds)
        return seconds

    assert list(at_once(late, [0.05, 0.0, 0.01], threads=3)) == [0.05, 0.0, 0.01]
