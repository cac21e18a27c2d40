"""`score` and `compare` on what others generated: every format, every way it can be wrong."""

from __future__ import annotations

import csv
import json
import random
from pathlib import Path
from typing import Any

import pyarrow
import pyarrow.parquet
import pytest
from datasets import Dataset, DatasetDict
from typer.testing import CliRunner

from temp_processors.cli.app import app
from temp_processors.comparison.scoring import score_sources
from temp_processors.comparison.sources import read_groups
from temp_processors.config.loading import load_config
from temp_processors.datafiles import RowsError
from temp_processors.experiment.run import run_experiment
from temp_processors.fox.grammar import sample_story
from temp_processors.metrics import distinct_n

ROWS = [{"answer": f"the fox number {i} ran {i % 3} miles", "T": 0.5 + i % 2} for i in range(12)]
TEXTS = [str(row["answer"]) for row in ROWS]


def write(path: Path) -> Path:
    if path.suffix == ".jsonl":
        path.write_text("".join(json.dumps(row) + "\n" for row in ROWS))
    elif path.suffix == ".csv":
        with path.open("w", newline="") as file:
            writer = csv.DictWriter(file, ["answer", "T"])
            writer.writeheader()
            writer.writerows(ROWS)
    elif path.suffix == ".parquet":
        pyarrow.parquet.write_table(pyarrow.Table.from_pylist(ROWS), path)
    else:
        path.write_text("\n\n".join(TEXTS) + "\n")
    return path


@pytest.mark.parametrize("suffix", [".jsonl", ".csv", ".parquet", ".txt"])
def test_every_format_gives_the_same_scores(tmp_path: Path, suffix: str) -> None:
    path = write(tmp_path / f"texts{suffix}")
    scores = score_sources([str(path)], ["distinct_2"], text_column="answer")
    assert scores["texts"]["distinct_2"]["value"] == distinct_n(TEXTS, 2).value


@pytest.mark.parametrize("suffix", [".jsonl", ".csv", ".parquet"])
def test_groups_by_a_column(tmp_path: Path, suffix: str) -> None:
    groups = read_groups([str(write(tmp_path / f"t{suffix}"))], text_column="answer", group_by="T")
    assert list(groups) == ["0.5", "1.5"]
    assert groups["0.5"].texts == TEXTS[::2]


def test_datasets_folders(tmp_path: Path) -> None:
    Dataset.from_list(ROWS).save_to_disk(str(tmp_path / "plain"))
    DatasetDict({"test": Dataset.from_list(ROWS)}).save_to_disk(str(tmp_path / "splits"))
    assert read_groups([str(tmp_path / "plain")], text_column="answer")[str(tmp_path / "plain")].texts == TEXTS
    found = read_groups([str(tmp_path / "splits")], text_column="answer", split="test")
    assert found[str(tmp_path / "splits")].texts == TEXTS


def test_two_files_with_one_name_and_a_file_named_twice(tmp_path: Path) -> None:
    (tmp_path / "a").mkdir()
    (tmp_path / "b").mkdir()
    paths = [str(write(tmp_path / folder / "t.txt")) for folder in "ab"]
    assert list(read_groups(paths)) == [f"{path}: t" for path in paths]
    with pytest.raises(RowsError, match="a source is named twice"):
        read_groups([paths[0], paths[0]])
    with pytest.raises(RowsError, match="a source is named twice"):
        read_groups([paths[0], str(tmp_path / "a" / ".." / "a" / "t.txt")])


def test_scores_are_shown_where_they_cannot_be_kept(tmp_path: Path) -> None:
    (tmp_path / "taken").write_text("a file")
    done = invoke("score", str(write(tmp_path / "t.txt")), "--metric", "distinct_1", "--out", str(tmp_path / "taken"))
    assert (done.exit_code, "distinct-1" in done.stdout) == (2, True)
    assert "taken: cannot be written: File exists" in done.stderr


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("x.jsonl", b'{"text": "a"}\n{"text": \n', r"x\.jsonl:2: is not JSON"),
        ("x.jsonl", b'{"text": "a', r"x\.jsonl:1: is not JSON: Unterminated string starting at character 10$"),
        ("x.jsonl", b'{"text": "a"}\n[1]\n', r"x\.jsonl:2: has to be a JSON object, but is \[1\]"),
        ("x.txt", b"fine\ncaf\xe9\n", r"x\.txt:2: is not UTF-8 \(byte 3 of the line\)"),
        ("x.jsonl", b'{"text": null}\n', r"row 1: 'text' has to be a text, but is None"),
        ("x.jsonl", b'{"answer": "a", "T": 1}\n', r"row 1: there is no column 'text'; columns: answer, T"),
        ("x.txt", b"\n\n", r"x\.txt: holds no texts"),
        ("x.parquet", b"not parquet", r"x\.parquet: is not a Parquet file"),
        ("x.csv", b"text,T\nfine,1\n\xff,1\n", r"x\.csv:3: is not UTF-8"),
        ("x.csv", b"answer,T\nfine,1\n", r"row 1: there is no column 'text'; columns: answer, T"),
        ("x.csv", b"T,text\n1\n", r"x\.csv:2: has 1 fields, and the head has 2: T, text"),
    ],
)
def test_bad_files_are_refused_at_their_line(tmp_path: Path, name: str, content: bytes, message: str) -> None:
    (tmp_path / name).write_bytes(content)
    with pytest.raises(RowsError, match=message):
        read_groups([str(tmp_path / name)])


def test_missing_files_and_datasets(tmp_path: Path) -> None:
    with pytest.raises(RowsError, match=r"nowhere\.jsonl: no such file"):
        read_groups([str(tmp_path / "nowhere.jsonl")])
    with pytest.raises(RowsError, match="cannot be read as a dataset"):
        read_groups([str(tmp_path / "nowhere")])


def invoke(*arguments: str) -> Any:
    return CliRunner(env={"COLUMNS": "120"}).invoke(app, arguments)


@pytest.fixture(scope="module")
def tales(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """Two files of tales: whole ones, and such as repeat their first six words."""
    folder, rng = tmp_path_factory.mktemp("tales"), random.Random(0)
    stories = [sample_story(rng).text for _ in range(32)]
    (folder / "whole.txt").write_text("\n".join(stories))
    (folder / "alike.txt").write_text(
        "\n".join(" ".join((story.split()[:6] * 15)[: len(story.split())]) for story in stories)
    )
    return folder / "whole.txt", folder / "alike.txt"


def test_score_writes_metrics_and_tables(tales: tuple[Path, Path], tmp_path: Path) -> None:
    done = invoke("score", *map(str, tales), "--metric", "distinct_2", "--out", str(tmp_path / "scores"))
    assert done.exit_code == 0, done.output
    written = json.loads((tmp_path / "scores" / "metrics.json").read_text())["policies"]
    assert list(written) == ["whole", "alike"]
    assert written["alike"]["distinct_2"]["difference"]["verdict"] == "lower"
    assert (tmp_path / "scores" / "comparison.md").is_file()
    assert "distinct_2_statement" in (tmp_path / "scores" / "comparison.csv").read_text()
    assert "whole" in done.stdout


def test_compare_says_which_differences_are_real(tales: tuple[Path, Path]) -> None:
    done = invoke(
        "compare", *map(str, tales), "--metric", "distinct_2", "--metric", "mean_length", "--primary", "distinct_2"
    )
    assert "for distinct-2 over the policies alone" in " ".join(done.stdout.split())
    assert done.exit_code == 0, done.output
    assert "difference to whole" in done.stdout
    assert "equal" in done.stdout
    assert "lower" in done.stdout


def test_compare_puts_runs_side_by_side(tmp_path: Path) -> None:
    small = ["samples_per_prompt=4", "max_new_tokens=6"]
    for name in ("one", "two"):
        run_experiment(load_config("fox", [*small, f"seed={len(name)}"], out=tmp_path / name))
    done = invoke("compare", str(tmp_path / "one"), str(tmp_path / "two"), "--metric", "perplexity")
    assert done.exit_code == 0, done.output
    assert f"{tmp_path / 'one'}: T=0.1" in done.stdout


def test_tokenizers_of_the_command(tmp_path: Path) -> None:
    (tmp_path / "zh.txt").write_text("狐狸跑回家\n狐狸在睡觉\n")
    found = {}
    for name in ("whitespace", "characters", "fox"):
        arguments = (
            "--tokenizer",
            name,
            "--metric",
            "distinct_1",
            "--metric",
            "compression_ratio",
            "--length",
            "first:2",
        )
        for stream in ((), ("--stream",)):
            done = invoke("score", str(tmp_path / "zh.txt"), *arguments, *stream, "--out", str(tmp_path / "out"))
            assert done.exit_code == 0, done.output
            row = json.loads((tmp_path / "out" / "metrics.json").read_text())["policies"]["zh"]
            scores = {metric: (score["value"], score["signature"]) for metric, score in row.items()}
            assert found.setdefault(name, scores) == scores
    assert found["whitespace"]["distinct_1"][0] == 1.0
    assert found["characters"]["distinct_1"][0] == 0.5
    assert "|len:first:2@characters|" in found["characters"]["compression_ratio"][1]
    assert "|tok:hf:fox|" in found["fox"]["distinct_1"][1]


def test_lengths_are_matched_or_said_to_differ(tmp_path: Path) -> None:
    (tmp_path / "long.txt").write_text("\n".join(f"the fox {i} ran home to the den" for i in range(8)))
    (tmp_path / "short.txt").write_text("\n".join(f"the fox {i} ran home" for i in range(8)))
    paths = [str(tmp_path / "long.txt"), str(tmp_path / "short.txt")]
    note = "short: 40 tokens against 64 of long: diversity moves with length; --length paired"
    assert note in " ".join(invoke("compare", *paths, "--length", "full").stdout.split())
    done = invoke("compare", *paths, "--verbose")
    assert "judged on texts cut pair by pair to equal lengths" in " ".join(done.stdout.split())
    assert "|len:full|" in done.stdout
    assert "against" not in done.stdout
    done = invoke(
        "compare", *paths, "--length", "matched", "--metric", "distinct_2", "--metric", "compression_ratio", "--verbose"
    )
    assert done.exit_code == 0, done.output
    assert "tokens against" not in done.stdout
    assert "|len:matched:5|" in done.stdout
    scores = score_sources(paths, ["distinct_2", "compression_ratio"], length="first:4")
    assert scores["long"]["distinct_2"]["value"] == distinct_n([f"the fox {i} ran" for i in range(8)]).value
    assert scores["long"]["compression_ratio"]["value"] == scores["short"]["compression_ratio"]["value"]
    whole = score_sources(paths, ["mean_length", "distinct_1", "compression_ratio"])
    assert whole["long"]["mean_length"]["value"] == 8
    assert whole["long"]["distinct_1"]["counts"]["tokens"] == 64
    assert whole["short"]["distinct_1"]["difference"]["value"] == 0
    assert whole["short"]["distinct_1"]["difference"]["length"] == "paired"
    one = score_sources(paths[:1], ["distinct_1"])["long"]["distinct_1"]
    assert "|len:full|" in one["signature"]


def test_mistakes_end_with_code_2(tales: tuple[Path, Path], tmp_path: Path) -> None:
    for arguments, message in [
        ((str(tales[0]), "--metric", "distict_2"), "did you mean 'distinct_2'"),
        ((str(tales[0]), "--baseline", "x"), "`baseline` has to be one of whole"),
        ((str(tales[0]), "--metric", "mtld", "--primary", "hdd"), "`primary` has to be one of mtld, but is 'hdd'"),
        ((str(tales[0]), "--metric", "perplexity"), "perplexity needs the log-probability"),
        ((str(tmp_path / "x.csv"),), "no such file"),
        (
            (str(tales[0]), "--tokenizer", "nowhere/at-all"),
            "nowhere/at-all: is neither whitespace nor characters nor a",
        ),
        ((str(tales[0]), "--length", "last:3"), "`length` has to be full, paired, matched or first:K with K >= 1"),
    ]:
        done = invoke("compare", *arguments)
        assert done.exit_code == 2
        assert message in done.stderr
