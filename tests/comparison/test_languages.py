"""Texts in Chinese, from files to the table: characters without an option, said in table and signature."""

from __future__ import annotations

import json
import random
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from temp_processors.cli.app import app
from temp_processors.comparison import Group, compare_groups
from temp_processors.comparison.groups import ScoredTexts
from temp_processors.comparison.notes import tokenizer_notes
from temp_processors.comparison.scoring import score_sources, stream_sources, tokenizer_named
from temp_processors.metrics import distinct_n, metric_record, self_bleu
from tests.metrics.test_tokenizers import LIKE, UNLIKE


@pytest.fixture
def files(tmp_path: Path) -> list[str]:
    paths = [tmp_path / "like.txt", tmp_path / "unlike.txt"]
    for path, texts in zip(paths, (LIKE, UNLIKE), strict=True):
        path.write_text("\n".join(texts) + "\n", encoding="utf-8")
    return list(map(str, paths))


def test_four_sentences_against_four(files: list[str]) -> None:
    """Whole texts have 52 and 47 characters; compared, 12, 13, 11 and 11 characters are left of each."""
    scores = score_sources(files, ["distinct_1", "self_bleu_4"])
    assert [scores[name]["distinct_1"]["value"] for name in ("like", "unlike")] == [19 / 52, 39 / 47]
    assert scores["unlike"]["distinct_1"]["difference"]["value"] == pytest.approx(22 / 47)
    keys: list[tuple[Any, int]] = [(0, i) for i in range(4)]
    cut = ScoredTexts({"like": Group(LIKE, keys), "unlike": Group(UNLIKE, keys)}, "paired")
    assert [distinct_n(texts, 1).value for texts in cut.cut.values()] == [17 / 47, 39 / 47]
    assert [round(self_bleu(texts, 4).value, 3) for texts in cut.cut.values()] == [0.832, 0.023]
    assert all("|tok:characters|" in score["signature"] for row in scores.values() for score in row.values())
    assert tokenizer_notes(scores)[0].startswith("tokens are characters: 100 % of all letters are of scripts without")


def test_the_command_says_what_it_counts(files: list[str], tmp_path: Path) -> None:
    for stream in ((), ("--stream",)):
        done = CliRunner().invoke(app, ["score", *files, *stream, "--verbose", "--out", str(tmp_path / "out")])
        assert done.exit_code == 0, done.output
        shown = " ".join(done.stdout.split())
        assert "|tok:characters|" in shown
        assert "(characters)" in shown
        assert "tokens are characters: 100 %" in shown
        scores = json.loads((tmp_path / "out" / "metrics.json").read_text())["policies"]
        assert scores["like"]["distinct_1"]["value"] < 0.4


def test_all_groups_of_a_comparison_use_one_tokenizer(files: list[str], tmp_path: Path) -> None:
    (tmp_path / "en.txt").write_text("a fox\nan owl\na hen\na wolf\n")
    mixed = [*files, str(tmp_path / "en.txt")]
    for scores in (score_sources(mixed, ["distinct_1"]), stream_sources(mixed[::-1], ["distinct_1"])):
        assert {row["distinct_1"]["signature"] for row in scores.values()} == {
            next(iter(scores.values()))["distinct_1"]["signature"]
        }
        assert all("|tok:characters|" in row["distinct_1"]["signature"] for row in scores.values())


def test_english_tables_say_nothing_of_it() -> None:
    scores = compare_groups({"en": Group(["a fox", "an owl"], [(0, 0), (0, 1)])}, ["distinct_1"])
    assert "|tok:whitespace|" in scores["en"]["distinct_1"]["signature"]
    assert "letters_without_spaces" not in scores["en"]["distinct_1"]["counts"]
    assert tokenizer_notes(scores) == []


@pytest.mark.parametrize("tokenizer", ["auto", "characters", "whitespace", "fox"])
def test_compression_does_not_depend_on_the_tokenizer(tokenizer: str) -> None:
    """30 texts of 40 characters beside a group with one longer text: their ratio is that of the texts themselves."""
    rng = random.Random(0)
    texts = ["".join(chr(0x4E00 + rng.randrange(60)) for _ in range(40)) for _ in range(30)]
    keys: list[tuple[Any, int]] = [(0, i) for i in range(30)]
    alone = compare_groups({"a": Group(texts, keys)}, ["compression_ratio"])
    groups = {"a": Group(texts, keys), "b": Group([texts[0] * 2, *texts[1:]], keys)}
    paired, metric = ScoredTexts(groups, "paired", tokenizer_named(tokenizer)), metric_record("compression_ratio")
    score = paired.function(metric)(paired.items("a", metric))
    assert score.value == alone["a"]["compression_ratio"]["value"]
