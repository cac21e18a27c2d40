"""Scores and texts on the terminal: never wider than it is, few lines for many policies, texts only where they part."""

from __future__ import annotations

import io
from typing import Any

import pytest
from rich.cells import cell_len

from temp_processors.cli.console import InertConsole
from temp_processors.report.table import show_scores
from temp_processors.report.texts import common_beginning, sample_lines
from temp_processors.runs.sample import Sample
from temp_processors.runs.trend import trend_line

METRICS = ("distinct_1", "distinct_2", "distinct_3", "self_bleu_4", "perplexity", "mean_length")


def scores(*names: str) -> dict[str, Any]:
    """Scores that grow from policy to policy, each told apart from the first."""
    found = {}
    for place, name in enumerate(names):
        value, step = 0.1 + place / 5, place / 5
        change = {"baseline": names[0], "value": step, "interval": [step - 0.11, step + 0.04], "statement": "higher"}
        score = {"value": value, "interval": [value - 0.01, value + 0.01], "signature": "s|v:1", "counts": {}}
        found[name] = {metric: {**score, "difference": change if place else None} for metric in METRICS}
    return found


def shown(given: dict[str, Any], width: int, **options: Any) -> list[str]:
    out = io.StringIO()
    show_scores(given, InertConsole(file=out, width=width), **options)
    return out.getvalue().splitlines()


@pytest.mark.parametrize("width", [60, 80, 120, 200])
@pytest.mark.parametrize(
    "names",
    [("T=0.1", "T=1.0"), ("冷", "热热热热热热热热热热热热热热热热热热热"), tuple(f"policy {i}" for i in range(30))],
)
def test_no_line_is_wider_than_the_terminal(names: tuple[str, ...], width: int) -> None:
    lines = shown(scores(*names), width)
    assert max(map(cell_len, lines)) <= width
    assert not any("…" in line for line in lines)
    for name in names:
        assert any(name in line for line in lines)


def test_metrics_are_stacked_where_it_is_narrow() -> None:
    one = {"T=0.1": scores("T=0.1")["T=0.1"]}
    tables = {width: sum("policy" in line for line in shown(one, width)) for width in (30, 40, 60, 80, 200)}
    assert tables[30] > tables[40] >= tables[60] >= tables[80] == tables[200] == 1
    rows = {width: [line for line in shown(one, width) if line.strip().startswith("T=0.1 ")] for width in tables}
    side_by_side = {width: any("0.100 ±0.010" in line for line in held) for width, held in rows.items()}
    assert side_by_side == {30: False, 40: False, 60: False, 80: False, 200: True}


def test_many_policies_have_a_line_each_and_a_sign() -> None:
    names = [f"policy {i}" for i in range(30)]
    lines = shown(scores(*names), 200)
    assert len(lines) < 45
    (line,) = (line for line in lines if line.strip().startswith("policy 7 "))
    assert line.count("1.500 ±0.010 +") == len(METRICS)
    assert not any("difference to" in line for line in lines)
    assert any("difference to" in line for line in shown(scores(*names), 200, verbose=True))


def test_signatures_are_told_when_asked_for() -> None:
    assert not any("s|v:1" in line for line in shown(scores("a", "b"), 80))
    assert any("s|v:1" in line for line in shown(scores("a", "b"), 80, verbose=True))


def test_the_answer_comes_first() -> None:
    lines = shown(scores("T=0.1", "T=1.0"), 200, temperatures={"T=0.1": 0.1, "T=1.0": 1.0})
    assert lines[0] == "distinct-2 rises with temperature: 0.100 at 0.1, 0.300 at 1."
    assert any(line.startswith("Compared with T=0.1 in distinct-2: ") for line in lines[:4])


def test_a_trend_needs_every_step() -> None:
    given = scores("a", "b", "c")
    ladder = {"a": 0.1, "b": 0.5, "c": 1.0}
    assert trend_line(given, "distinct_2", ladder) is not None
    assert trend_line(given, "distinct_2", {"a": 0.5, "b": 0.1, "c": 1.0}) is None
    given["b"]["distinct_2"]["difference"]["statement"] = "not resolved (could be up to 0.4)"
    assert trend_line(given, "distinct_2", ladder) is None
    given = scores("a", "b", "c")
    given["c"]["distinct_2"]["interval"] = [0.2, 0.8]  # meets that of b
    assert trend_line(given, "distinct_2", ladder) is None


def sample(policy: str, text: str, sample_id: int = 0) -> Sample:
    return Sample(policy, 0, sample_id, 0, "The fox", text, [1], "length", -1.0)


def test_texts_are_shown_where_they_part() -> None:
    texts = [
        sample("cold", " jumped over the lazy dog. It ran home."),
        sample("cold", " jumped over the lazy dog. It ran home.", 1),
        sample("warm", " jumped over the lazy dog. It slept."),
        sample("hot", " jumped back."),
    ]
    lines = [line.plain.rstrip() for line in sample_lines(texts, ["cold", "warm", "hot"])]
    assert lines == [
        "The fox jumped  …",
        "  cold  over the lazy dog. It ran home.",
        "        the same as the first of cold",
        "  warm  … slept.",
        "  hot   back.",
    ]


def test_many_policies_have_one_text_each_on_one_line() -> None:
    names = [f"policy {i}" for i in range(30)]
    texts = [sample(name, f" word {i}" * 50, j) for i, name in enumerate(names) for j in range(2)]
    lines = sample_lines(texts, names, 60)
    assert len(lines) == 31
    assert max(cell_len(line.plain) for line in lines) <= 60
    assert len(sample_lines(texts, names, 60, whole=True)[3].plain) > 300


@pytest.mark.parametrize(
    ("texts", "length"),
    [
        (["", "a"], 0),
        (["a b", "a b"], 3),
        (["cafe\u0301s", "cafe"], 0),
        (["don't", "don"], 3),
        (["猫跑了", "猫跳了"], 1),
    ],
)
def test_a_beginning_ends_between_words_and_characters(texts: list[str], length: int) -> None:
    assert common_beginning(texts) == length
