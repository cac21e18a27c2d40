"""One value of every metric of texts, checked by hand: the table that a new metric gets a line in."""

from __future__ import annotations

import gzip
import math

import pytest

from temp_processors.metrics import CATALOGUE, METRIC_NAMES, metric_by_name
from temp_processors.metrics.catalogue import better_direction, described

TALES = ["a b a b", "a b c", "a b"]  # ab ba ab, ab bc, ab
SAME = ["the old red fox ran"] * 3
VALUES: dict[str, tuple[list[str], float]] = {
    "distinct_1": (TALES, 3 / 9),
    "distinct_2": (TALES, 3 / 6),
    "distinct_3": (TALES, 3 / 3),
    "distinct_4": (SAME, 2 / 6),
    "distinct_1_per_text": (TALES, (2 / 4 + 1 + 1) / 3),
    "distinct_2_per_text": (TALES, (2 / 3 + 1 + 1) / 3),
    "distinct_3_per_text": (["a a a a", "a b c"], (1 / 2 + 1) / 2),
    "distinct_4_per_text": (["a a a a a", "a b c d"], (1 / 2 + 1) / 2),
    "self_bleu_2": (["a b", "a b", "b a"], (1 + 1 + math.sqrt(1 * 0.1)) / 3),
    "self_bleu_3": (SAME, 1),
    "self_bleu_4": (SAME, 1),
    "self_bleu_5": (SAME, 1),
    "pairwise_bleu_2": (["a b", "a b", "b a"], (1 + 1 + 4 * math.sqrt(1 * 0.1)) / 6),
    "pairwise_bleu_3": (SAME, 1),
    "pairwise_bleu_4": (SAME, 1),
    "expectation_adjusted_distinct_1": (TALES, 3 / (50257 * (1 - (50256 / 50257) ** 9))),
    "expectation_adjusted_distinct_2": (TALES, 3 / (50257 * (1 - (50256 / 50257) ** 6))),
    "seq_rep_2": (TALES, 1 - 5 / 6),
    "seq_rep_3": (["a a a a", "a b c"], 1 - 2 / 3),
    "seq_rep_4": (["a a a a a", "a b c d"], 1 - 2 / 3),
    "cross_repetition_4": (SAME, math.log(1 + 2 * 2)),
    "compression_ratio": (SAME, 59 / len(gzip.compress(" ".join(SAME).encode(), 9, mtime=0))),
    "unique_share": (SAME, 1 / 3),
    "zipf_exponent": (["a a a a b b"], 1),
    "mtld": (["a a a a"], 2),
    "hdd": (["a " * 42], 1 / 42),
    "mean_length": (TALES, 3),
}


@pytest.mark.parametrize("name", [name for name in METRIC_NAMES if CATALOGUE[name].takes in ("tokens", "strings")])
def test_a_value_checked_by_hand(name: str) -> None:
    texts, expected = VALUES[name]
    score = metric_by_name(name)(texts)
    assert score.value == pytest.approx(expected, rel=1e-10)
    assert score.name == name


def test_a_record_says_what_a_larger_value_means() -> None:
    assert described("mean_entropy").larger == "model less certain"
    assert {name: better_direction(name) for name in ("mean_entropy", "zipf_exponent", "of_another_version")} == {
        "mean_entropy": "",
        "zipf_exponent": "",
        "of_another_version": "",
    }
    assert described("distinct_2_per_text").heading == "distinct-2\nper text"
    assert not {"mean_entropy", "vendi_score", "mean_pairwise_distance"} & set(METRIC_NAMES)


def test_a_metric_of_log_probabilities_is_none_of_texts() -> None:
    with pytest.raises(ValueError, match="'perplexity' is not a metric of texts: it takes their log-probabilities"):
        metric_by_name("perplexity")
