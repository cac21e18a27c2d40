"""Numbers in words: as many digits as the interval allows, its ends where its arms differ, no interval where none is known."""

from __future__ import annotations

import math
from typing import Any

import pytest

from temp_processors.report.footnotes import remarks
from temp_processors.runs.wording import (
    bounds,
    described_difference,
    described_interval,
    difference_text,
    interval_text,
    rounded,
    score_words,
    statement,
    value_text,
    verdict,
)


def score(value: float | None, *ends: float | None) -> dict[str, Any]:
    return {"value": value, "interval": list(ends) or None}


@pytest.mark.parametrize(
    ("held", "value", "interval"),
    [
        (score(4940.0, 3300.0, 7500.0), "4,900", "3,300 to 7,500"),
        (score(4940.0, 2873.4, 7006.6), "4,900", "±2,100"),
        (score(0.27845, 0.26723, 0.28995), "0.278", "±0.011"),
        (score(1.5941, 1.5926, 1.5956), "1.5941", "±0.0015"),
        (score(41.17, 40.83, 41.51), "41.17", "±0.34"),
        (score(0.5, 0.4003, 0.5999), "0.50", "±0.10"),
        (score(1.0, 0.9943, 1.0), "1.0000", "≥0.9943"),
        (score(0.0, 0.0, 0.031), "0.000", "≤0.031"),
        (score(12.0, 9.0, None), "12.0", "≥9.0"),
        (score(0.3), "0.300", ""),
        (score(0.3, 0.3, 0.3), "0.300", ""),
        (score(4940.0), "4,940.0", ""),
        (score(None), "undefined", ""),
    ],
)
def test_digits_follow_the_interval(held: dict[str, Any], value: str, interval: str) -> None:
    assert (value_text(held), interval_text(held)) == (value, interval)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (score(0.0751, 0.0662, 0.0840), "+0.0751 ±0.0089"),
        (score(-0.339, -0.370, -0.279), "-0.339 (-0.370 to -0.279)"),
        (score(-0.001, -0.3, 0.3), "+0.00 ±0.30"),
        ({**score(1.12, 1.05, 1.19), "ratio": True}, "x 1.120 ±0.070"),
        ({**score(4940.0, 3300.0, 7500.0), "ratio": True}, "x 4,900 (3,300 to 7,500)"),
        (score(0.409), "+0.409"),
        (score(None), "undefined"),
    ],
)
def test_differences_carry_their_sign_and_perplexities_are_ratios(change: dict[str, Any], words: str) -> None:
    assert described_difference(change) == words


def test_an_interval_without_a_length_is_none() -> None:
    assert bounds(score(0.3, 0.3, 0.3)) is bounds(score(0.3)) is bounds({}) is bounds(None) is None
    assert bounds({"value": 1.0, "interval": ["a", 2]}) is None
    assert rounded(math.inf) == "∞"


def test_verdicts_are_the_statements_of_the_scores() -> None:
    said = {"verdict": "not resolved", "statement": "not resolved (could be up to 0.28)"}
    assert (statement(said), verdict(said)) == ("not resolved (could be up to 0.28)", "not resolved")
    assert verdict({"statement": "not judged: needs 4 prompts"}) == "not judged"
    assert verdict({"statement": "equal within 0.0015"}) == "equal within 0.0015"


def test_a_run_of_an_earlier_version_no_longer_says_that_there_is_none() -> None:
    assert statement({"verdict": "no difference"}) == "not resolved"
    assert statement({"verdict": "higher"}) == "higher"
    assert statement({}).startswith("not judged")
    assert difference_text({"value": 0.5}) == "+0.500"


def test_the_page_gets_the_words_and_no_interval_where_none_is_known() -> None:
    held = {
        **score(0.3),
        "no_interval": "needs 4 prompts",
        "difference": {**score(0.2), "statement": "not judged: needs 4 prompts"},
    }
    words = score_words(held)
    assert words["interval"] is None
    assert (words["text"], words["missing"], words["difference"]) == ("0.300", "needs 4 prompts", "+0.200")
    assert words["statement"] == "not judged: needs 4 prompts"
    assert described_interval(score(4940.0, 3300.0, 7500.0)) == "4,900 (3,300 to 7,500)"


def row(**reasons: str | None) -> dict[str, Any]:
    return {metric: {**score(0.5), "no_interval": reason} for metric, reason in reasons.items()}


def test_every_reason_is_said_once_with_its_places() -> None:
    base = row(distinct_1="cold", distinct_2="cold", mean_length="same")
    other = row(distinct_1=None, distinct_2=None, mean_length=None)
    for metric, said in {
        "distinct_1": "higher",
        "distinct_2": "higher",
        "mean_length": "not judged: baseline: same",
    }.items():
        other[metric]["difference"] = {**score(0.1), "baseline": "a", "statement": said}
    assert remarks({"a": base, "b": other})[1:] == [
        "not judged: baseline: same (mean length)",
        "no interval: cold (distinct-1, distinct-2 of a)",
    ]
