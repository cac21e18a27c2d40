"""`score --stream`: what texts in memory give, from texts that are read once."""

from __future__ import annotations

import json
import random
import tracemalloc
from pathlib import Path
from typing import Any

import pytest

from temp_processors.comparison.scoring import score_sources, stream_sources
from temp_processors.config.loading import load_config
from temp_processors.experiment.run import run_experiment
from temp_processors.metrics import STREAMED
from tests.comparison.test_scoring import invoke, write
from tests.small_parts import small_parts

STORY = "the fox ran home to the old mill by the river and slept"
WORDS = ["fox", "wolf", "owl", "ran", "home", "to", "the", "old", "mill", "and", "slept"]


def whole(folder: Path) -> Path:
    """A file of 32 texts."""
    path = folder / "whole.txt"
    path.write_text("\n".join(f"{STORY} {number}" for number in range(32)))
    return path


def assert_alike(streamed: Any, held: Any) -> None:
    """Scores of a stream and of texts in memory: values, intervals and differences up to rounding, everything else the same."""
    assert list(streamed) == list(held)
    for group, row in held.items():
        for name, score in row.items():
            assert streamed[group][name] == nearly(score), (group, name)


def nearly(value: Any) -> Any:
    """What equals this value up to rounding, in mappings and lists too."""
    if isinstance(value, dict):
        return {key: nearly(inner) for key, inner in value.items()}
    if isinstance(value, list):
        return [nearly(inner) for inner in value]
    return pytest.approx(value, rel=1e-11, abs=1e-13) if isinstance(value, float) else value


@pytest.mark.parametrize("suffix", [".jsonl", ".csv", ".parquet"])
def test_a_stream_scores_as_memory_does(tmp_path: Path, suffix: str) -> None:
    path = str(write(tmp_path / f"t{suffix}"))
    names = [name for name in STREAMED if name not in ("hdd", "compression_ratio")]
    for length in ("full", "first:3", "paired"):
        options = {"text_column": "answer", "group_by": "T", "length": length}
        streamed, held = stream_sources([path], names, **options), score_sources([path], names, **options)
        assert list(streamed) == ["0.5", "1.5"]
        assert_alike(streamed, held)


def test_a_stream_pairs_texts_by_prompt_and_sample(tmp_path: Path) -> None:
    rng = random.Random(0)
    rows = [
        {
            "policy": policy,
            "prompt_id": prompt,
            "sample_id": sample,
            "text": " ".join(rng.choices(WORDS, k=rng.randint(3, 9))),
        }
        for policy in ("warm", "cold", "hot")
        for prompt in range(6)
        for sample in range(3)
    ]
    names = ["distinct_1", "distinct_2", "distinct_2_per_text", "seq_rep_2", "unique_share", "mean_length"]
    options = {"group_by": "policy", "length": "paired", "baseline": "cold", "primary": "distinct_1"}
    for many in (rows, [row for row in rows if row["prompt_id"] == 0 and row["sample_id"] < 9]):
        found = []
        for place in range(2):
            path = tmp_path / f"t{place}.jsonl"
            path.write_text("".join(f"{json.dumps(row)}\n" for row in many))
            found.append(stream_sources([str(path)], names, **options))
            assert_alike(found[-1], score_sources([str(path)], names, **options))
            assert found[-1]["hot"]["distinct_2"]["difference"]["length"] == "paired"
            many = sorted(
                rng.sample(many, len(many)), key=lambda row: ["warm", "cold", "hot"].index(str(row["policy"]))
            )
        assert found[0]["hot"]["distinct_2"]["difference"] == nearly(found[1]["hot"]["distinct_2"]["difference"])


def test_a_stream_of_runs_has_a_group_for_each_policy(tmp_path: Path) -> None:
    run_experiment(load_config("fox", ["samples_per_prompt=4", "max_new_tokens=6"], out=tmp_path / "run"))
    names = ["distinct_2", "mean_length"]
    assert_alike(*(score([str(tmp_path / "run")], names, length="full") for score in (stream_sources, score_sources)))


def test_score_streams_a_file(tmp_path: Path) -> None:
    done = invoke("score", str(whole(tmp_path)), "--stream", "--length", "first:9", "--out", str(tmp_path / "scores"))
    assert done.exit_code == 0, done.output
    row = json.loads((tmp_path / "scores" / "metrics.json").read_text())["policies"]["whole"]
    assert list(row) == ["distinct_1", "distinct_2", "distinct_3", "distinct_4", "unique_share", "mean_length"]
    assert row["mean_length"]["value"] == 9
    assert "|len:first:9|" in row["distinct_2"]["signature"]


def test_memory_of_a_stream_does_not_grow_with_the_file(tmp_path: Path) -> None:
    path = tmp_path / "long.txt"
    with path.open("w") as file:
        file.writelines(
            f"the fox {i % 50} ran {i % 7} miles to the den by the river " * 20 + "\n" for i in range(2_000)
        )
    stream_sources([str(whole(tmp_path))], ["distinct_4"])  # what is imported on the way does not count
    tracemalloc.start()
    with small_parts(1 << 13):
        score = stream_sources([str(path)], ["distinct_4", "unique_share"], tokenizer="whitespace")["long"]
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert score["unique_share"]["value"] == pytest.approx(350 / 2_000)
    assert peak < path.stat().st_size / 1.5  # the texts as a list would take twice the file


def test_what_a_stream_cannot_do_ends_with_code_2(tmp_path: Path) -> None:
    for arguments, message in [
        (("--metric", "self_bleu_4"), "'self_bleu_4' needs all texts at once; metrics of a stream: distinct_1"),
        (("--length", "matched"), "`length` matched needs all texts at once"),
        (("--length", "paired", "--metric", "compression_ratio"), "needs all texts at once for compression_ratio"),
        (("--baseline", "else"), "`baseline` has to be one of whole, but is 'else'"),
        (("--prompt-column", "question"), "there is no column 'question'"),
        (("--primary", "hdd"), "`primary` has to be one of"),
        ((str(whole(tmp_path)),), "a source is named twice"),
    ]:
        done = invoke("score", str(whole(tmp_path)), "--stream", *arguments)
        assert done.exit_code == 2
        assert message in done.stderr
