"""The verdict in words of a run without a task."""

from __future__ import annotations

from typing import Any

import pytest

from temp_processors.runs.verdict import answer_lines, leading_metric


def scores(metric: str, *rows: tuple[str, float, str], ratio: bool = False) -> dict[str, Any]:
    """Policies with (name, difference to `cold`, statement)."""
    found: dict[str, Any] = {"cold": {metric: {"value": 0.2, "interval": [0.1, 0.3], "difference": None}}}
    for name, value, said in rows:
        change = {"baseline": "cold", "value": value, "ratio": ratio, "interval": None, "statement": said}
        found[name] = {metric: {"value": 0.2, "difference": change}}
    return found


@pytest.mark.parametrize(
    ("given", "said"),
    [
        (scores("distinct_2", ("a", 0.25, "higher")), "in distinct-2: a is more diverse (+0.250)"),
        (
            scores("self_bleu_4", ("a", 0.25, "higher"), ("b", -0.5, "lower"), ("c", -0.25, "lower")),
            "in self-BLEU-4: a is less diverse (+0.250); c and b are more diverse (-0.250 to -0.500)",
        ),
        (
            scores("distinct_2", ("a", 0.0, "equal within 0.02"), ("b", 0.1, "not resolved (could be up to 0.4)")),
            "in distinct-2: a is equal within 0.02; b is not resolved",
        ),
        (
            scores("distinct_2", ("a", 0.0, "not judged: needs 4 prompts"), ("b", 0.0, "not judged: needs 4 prompts")),
            "in distinct-2: a and b are not judged: needs 4 prompts",
        ),
        (
            scores("perplexity", ("a", 2.0, "higher"), ("b", 0.4, "lower"), ratio=True),
            "in perplexity: a is less likely text (x 2.000); b is likelier text (x 0.400)",
        ),
        (
            scores("distinct_2", *((f"p{i}", 0.1 + i / 100, "higher") for i in range(9))),
            "in distinct-2: p0, p1, p2, p3 and 5 more are more diverse (+0.100 to +0.180)",
        ),
    ],
)
def test_a_sentence_for_every_verdict(given: dict[str, Any], said: str) -> None:
    assert answer_lines(given) == [f"Compared with cold {said}."]


def test_perplexity_has_a_sentence_of_its_own() -> None:
    diverse, likely = scores("distinct_2", ("a", 0.2, "higher")), scores("perplexity", ("a", 2.0, "higher"), ratio=True)
    both = {name: {**row, **likely[name]} for name, row in diverse.items()}
    assert [line.split(": ")[0] for line in answer_lines(both)] == [
        "Compared with cold in distinct-2",
        "Compared with cold in perplexity",
    ]


def test_one_policy_is_told_without_a_comparison() -> None:
    assert answer_lines(scores("distinct_2")) == ["Nothing to compare. distinct-2: cold 0.20 ±0.10."]
    assert answer_lines({}) == []


def test_the_primary_metric_leads() -> None:
    given = scores("mean_length", ("a", 1.0, "higher"))
    given["a"]["mean_length"]["difference"]["primary"] = True
    given["a"]["distinct_2"] = {"value": 0.5, "difference": None}
    assert leading_metric(given) == "mean_length"
