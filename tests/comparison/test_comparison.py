"""Groups side by side: values, intervals, differences, and the table in its three forms."""

from __future__ import annotations

import csv
import io
import random
from typing import Any

import pytest
from rich.console import Console

from temp_processors.comparison import Group, better_direction, compare_groups, length_notes
from temp_processors.comparison import compare as comparison
from temp_processors.comparison.spreadsheet import as_csv
from temp_processors.fox.grammar import sample_story
from temp_processors.metrics import METRIC_NAMES, distinct_n, perplexity, rarefied_distinct_n
from temp_processors.report.documents import latex, markdown
from temp_processors.report.footnotes import footnotes
from temp_processors.report.table import show_scores
from temp_processors.runs.wording import heading


def tales(seed: int, count: int = 32, words: int = 30) -> Group:
    rng = random.Random(seed)
    texts = [" ".join(sample_story(rng).text.split()[:words]) for _ in range(count)]
    log_probs = [rng.uniform(-30, -20) for _ in texts]
    return Group(texts, [(0, i) for i in range(count)], log_probs, [words] * count)


@pytest.fixture(scope="module")
def scores() -> dict[str, Any]:
    same = Group(["the fox ran home"] * 32, [(0, i) for i in range(32)], [-1.0] * 32, [4] * 32)
    groups = {"a": tales(1), "b": tales(2), "still": same}
    return compare_groups(groups, ["distinct_2", "self_bleu_4", "perplexity"])


def test_values_are_those_of_the_functions(scores: dict[str, Any]) -> None:
    group = tales(1)
    assert scores["a"]["distinct_2"]["value"] == distinct_n(group.texts, 2).value
    assert group.log_probs is not None
    assert scores["a"]["perplexity"]["value"] == perplexity(group.log_probs, [30] * 32).value
    assert scores["a"]["distinct_2"]["difference"] is None


def test_a_real_difference_is_told_from_none(scores: dict[str, Any]) -> None:
    assert scores["b"]["distinct_2"]["difference"]["verdict"] == "not resolved"
    assert "could be up to" in scores["b"]["distinct_2"]["difference"]["statement"]
    assert scores["still"]["distinct_2"]["difference"]["verdict"] == "lower"
    assert scores["still"]["self_bleu_4"]["difference"]["verdict"] == "higher"
    low, high = scores["b"]["distinct_2"]["interval"]
    assert low < scores["b"]["distinct_2"]["value"] < high


def test_texts_that_ended_early_are_not_more_diverse_for_it() -> None:
    """The same source, half of the texts cut in the middle: whole texts look more diverse, texts of equal length do not."""
    whole, short = tales(1), tales(2)
    texts = [" ".join(text.split()[:8]) if i % 2 else text for i, text in enumerate(short.texts)]
    groups = {"whole": whole, "short": Group(texts, short.keys, short.log_probs, short.token_counts)}
    metrics = ["distinct_2", "mean_length", "perplexity"]
    plain, fair = compare_groups(groups, metrics)["short"], compare_groups(groups, metrics, length="paired")["short"]
    assert plain["distinct_2"]["difference"]["verdict"] == "higher"
    assert plain["distinct_2"]["difference"]["length"] == "full"
    assert fair["distinct_2"]["difference"]["verdict"] == "not resolved"
    assert fair["distinct_2"]["difference"]["length"] == "paired"
    for metric in metrics:
        assert fair[metric]["value"] == plain[metric]["value"]
    for metric in ("mean_length", "perplexity"):
        assert fair[metric]["difference"]["interval"] == plain[metric]["difference"]["interval"]
    assert any("cut pair by pair" in note for note in footnotes({"whole": plain, "short": fair}))
    equal = compare_groups({"a": tales(1), "b": tales(2)}, ["distinct_2"], length="paired")
    assert equal["b"]["distinct_2"]["difference"]["length"] == "full"


def test_groups_are_compared_on_what_both_have() -> None:
    short = tales(3, count=20)
    scores = compare_groups({"long": tales(1, count=32), "short": short}, ["distinct_2"])
    assert scores["long"]["distinct_2"]["counts"]["left_out_texts"] == 12
    assert "long: 12 texts left out, so that all groups have equally many: scores move with their number" in footnotes(
        scores
    )
    long = scores["long"]["distinct_2"]
    assert long["value"] == rarefied_distinct_n(tales(1, count=32).texts, 2, number=20).value
    assert "|rarefied:20|" in long["signature"]
    assert "|rarefied:" not in scores["short"]["distinct_2"]["signature"]
    change = scores["short"]["distinct_2"]["difference"]["value"]
    assert change == distinct_n(short.texts, 2).value - distinct_n(tales(1, count=32).texts[:20], 2).value
    assert any(
        "long: distinct-n is the mean over all subsets of 20 of its 32 texts" in note for note in length_notes(scores)
    )
    other = Group(short.texts, [(1, i) for i in range(20)])
    with pytest.raises(ValueError, match="no prompt and sample number in common"):
        compare_groups({"long": tales(1), "other": other}, ["distinct_2"])


def test_what_cannot_be_compared_is_refused_by_name() -> None:
    group = Group(["a b", "c d"], [(0, 0), (0, 1)])
    with pytest.raises(ValueError, match="`baseline` has to be one of a, but is 'b'"):
        compare_groups({"a": group}, ["distinct_2"], "b")
    with pytest.raises(ValueError, match="perplexity needs the log-probability"):
        compare_groups({"a": group}, ["perplexity"])
    with pytest.raises(ValueError, match="did you mean 'distinct_2'"):
        compare_groups({"a": group}, ["distict_2"])


def test_undefined_scores_keep_their_reason() -> None:
    scores = compare_groups({"one": Group(["a b"], [(0, 0)])}, ["self_bleu_4"])
    assert scores["one"]["self_bleu_4"]["value"] is None
    assert scores["one"]["self_bleu_4"]["interval"] is None
    assert "undefined: it compares texts with each other, and there are 1 (all)" in footnotes(scores)


def test_every_metric_has_a_direction_and_a_heading_for_narrow_columns() -> None:
    assert {name: better_direction(name) for name in ("perplexity", "seq_rep_4", "vendi_score")} == {
        "perplexity": "lower",
        "seq_rep_4": "lower",
        "vendi_score": "higher",
    }
    assert heading("self_bleu_4") == "self-BLEU\n-4 ↓"
    assert all(heading(name).count("\n") <= 1 for name in METRIC_NAMES)


def printed(scores: dict[str, Any], width: int = 80) -> str:
    console = Console(width=width, record=True, file=io.StringIO())
    show_scores(scores, console)
    return console.export_text()


def test_terminal_shows_values_and_differences_in_eighty_columns(scores: dict[str, Any]) -> None:
    text = printed(scores)
    assert "…" not in text
    assert max(map(len, text.splitlines())) <= 80
    values, differences = text.split("difference to a")
    assert f"{scores['b']['distinct_2']['value']:.3f}" in values
    assert f"{scores['b']['distinct_2']['difference']['value']:+.3f}" in differences
    assert f"x {scores['b']['perplexity']['difference']['value']:.3f}" in differences
    assert "±" in values
    assert {"lower", "higher", "not", "resolved", "visible"} <= set(differences.split())
    assert footnotes(scores)[-1].count("|v:") == 3


def test_markdown_and_latex_hold_the_same_cells(scores: dict[str, Any]) -> None:
    value = f"{scores['still']['distinct_2']['value']:.3f}"
    for text in (markdown(scores), latex(scores)):
        assert value in text
        assert scores["b"]["distinct_2"]["difference"]["statement"] in text
        assert "Differences to a" in text
    rows = markdown(scores).splitlines()
    assert rows[0] == "| policy | distinct-2 ↑ | self-BLEU-4 ↓ | perplexity ↓ |"
    assert len({row.count(" | ") for row in rows if row.startswith("| ")}) == 1
    assert latex(scores).count(r"\toprule") == 2
    awkward = compare_groups({"50%_a&b|c": tales(1)}, ["distinct_2"])
    assert r"50\%\_a\&b\textbar{}c & " in latex(awkward)
    assert r"| 50%\_a&b\|c | " in markdown(awkward)


def test_names_from_elsewhere_are_inert_in_tables() -> None:
    name = "[/INST]\n\\input{/etc/passwd}<script>"
    scores = compare_groups({name: tales(1, 8), "b": tales(2, 8)}, ["distinct_2"])
    assert "[/INST]" in printed(scores)
    assert all(
        line.startswith("%") or "input" not in line or r"\textbackslash{}input" in line
        for line in latex(scores).splitlines()
    )
    assert "<script>" not in markdown(scores).replace(r"\<script>", "")
    assert {len(row) for row in csv.reader(io.StringIO(as_csv(scores)))} == {9}


@pytest.fixture(scope="module")
def three_prompts() -> dict[str, Any]:
    """Fox at two temperatures is like this: three prompts, and a difference that anyone sees, which three prompts cannot prove."""
    keys = [(prompt, sample) for prompt in range(3) for sample in range(4)]
    cold = Group(["the fox ran home"] * 12, keys, [-1.0] * 12, [4] * 12)
    hot = Group(tales(1, 12).texts, keys, [-9.0] * 12, [30] * 12)
    return compare_groups({"T=0.1": cold, "T=1.5": hot}, ["distinct_2", "self_bleu_4", "perplexity"])


def test_three_prompts_are_not_judged_in_the_same_words_everywhere(three_prompts: dict[str, Any]) -> None:
    said = "not judged: needs 4 prompts"
    assert [score["difference"]["statement"] for score in three_prompts["T=1.5"].values()] == [said] * 3
    for text in (markdown(three_prompts), latex(three_prompts), as_csv(three_prompts)):
        assert text.count(said) >= 3
    shown = printed(three_prompts)
    assert [line for line in shown.splitlines() if line.startswith(said)] == [f"{said} (all)"]
    assert f"{said} (all)" in shown
    assert "±" not in shown.split("↑ ↓")[0]
    row = next(csv.DictReader(io.StringIO(as_csv({"T=1.5": three_prompts["T=1.5"]}))))
    assert row["distinct_2_low"] == row["distinct_2_difference_low"] == row["distinct_2_p_holm"] == ""
    assert float(row["distinct_2_difference"]) == three_prompts["T=1.5"]["distinct_2"]["difference"]["value"]


@pytest.mark.parametrize(("prompts", "noted"), [(1, False), (4, True), (19, True), (20, False)])
def test_few_prompts_are_said_beside_the_intervals(prompts: int, noted: bool) -> None:
    keys = [(place % prompts, place) for place in range(40)]
    groups = {name: Group(tales(seed, 40).texts, keys) for seed, name in enumerate("ab")}
    text = " ".join(printed(compare_groups(groups, ["distinct_2"])).split())
    assert (f"{prompts} prompts: intervals are wide" in text) is noted


def test_the_primary_metric_is_corrected_over_the_groups_alone() -> None:
    groups = {"a": tales(1), "b": tales(2), "c": tales(3)}
    scores = compare_groups(groups, ["distinct_2", "mean_length", "perplexity"], primary="perplexity")
    changes = {metric: [scores[name][metric]["difference"] for name in "bc"] for metric in scores["b"]}
    assert [change["primary"] for change in changes["perplexity"]] == [True, True]
    smallest = min(changes["perplexity"], key=lambda change: change["p_value"])
    assert smallest["p_value_holm"] == pytest.approx(min(1, 2 * smallest["p_value"]))
    assert any("for perplexity over the policies alone" in note for note in footnotes(scores))
    with pytest.raises(ValueError, match="`primary` has to be one of distinct_2, but is 'mtld'"):
        compare_groups(groups, ["distinct_2"], primary="mtld")


def test_long_work_shows_a_bar_on_a_terminal_only(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    groups = {"a": tales(1, count=8), "b": tales(2, count=8)}
    monkeypatch.setattr(comparison, "LONG_WORK", 1)
    compare_groups(groups, ["distinct_2"])
    assert capsys.readouterr().err == ""
    monkeypatch.setenv("FORCE_COLOR", "1")
    compare_groups(groups, ["distinct_2"])
    assert "scoring" in capsys.readouterr().err
    monkeypatch.setattr(comparison, "LONG_WORK", 1 << 40)
    compare_groups(groups, ["distinct_2"])
    assert capsys.readouterr().err == ""


def test_every_metric_goes_through_the_comparison() -> None:
    found = compare_groups({"a": tales(1, count=8), "b": tales(2, count=8)}, METRIC_NAMES, length="first:12")
    assert set(found["a"]) == set(METRIC_NAMES)
    assert all("len:first:12" in score["signature"] for name, score in found["a"].items() if name != "perplexity")
