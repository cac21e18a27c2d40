"""Like with like: the same data give the same verdicts from a run and from its file, and runs are paired by prompt text and policy name."""

from __future__ import annotations

import json
import random
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest
import yaml
from typer.testing import CliRunner

from temp_processors.cli.app import app
from temp_processors.comparison.compare import compare_groups
from temp_processors.comparison.groups import Group
from temp_processors.comparison.scoring import score_sources, scored_sources
from temp_processors.comparison.sources import Columns, read_sources
from temp_processors.datafiles import RowsError
from temp_processors.metrics import TokenizedTexts, paired, tokenize
from temp_processors.metrics.distinct_n import distinct_n

METRICS = ["distinct_1", "distinct_2", "mean_length"]


def words(rng: random.Random, prompt: str, share: float, count: int = 30) -> str:
    """A text of words that belong to its prompt, and of a few that all prompts share."""
    return " ".join(
        f"{prompt}{rng.randrange(40)}" if rng.random() < share else f"w{rng.randrange(8)}" for _ in range(count)
    )


def write_run(
    path: Path, texts: Mapping[str, Mapping[str, Sequence[str]]], order: Sequence[str], baseline: str | None = None
) -> Path:
    """A run folder: policy -> prompt -> texts; samples stand in that order, the configuration lists the policies as `order`."""
    path.mkdir(parents=True)
    config = {"name": path.name, "policies": [{"name": name, "kind": "fixed"} for name in order], "baseline": baseline}
    (path / "config.yaml").write_text(yaml.safe_dump(config))
    rows = [
        {
            "policy": policy,
            "prompt_id": number,
            "sample_id": sample,
            "seed": 0,
            "prompt": prompt,
            "text": text,
            "token_ids": [1, 2],
            "finish_reason": "length",
            "log_prob": -3.0 - sample,
        }
        for policy, prompts in texts.items()
        for number, (prompt, held) in enumerate(prompts.items())
        for sample, text in enumerate(held)
    ]
    (path / "samples.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    return path


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Eight prompts with words of their own, eight samples each; the hot policy finished first."""
    rng = random.Random(5)
    prompts = {f"P{place}": place / 8 for place in range(8)}
    texts = {
        policy: {prompt: [words(rng, prompt, own + more) for _ in range(8)] for prompt, own in prompts.items()}
        for policy, more in (("T=1.5", 0.1), ("T=0.1", 0.0))
    }
    return write_run(tmp_path_factory.mktemp("runs") / "run", texts, ["T=0.1", "T=1.5"])


def verdicts(scores: Mapping[str, Mapping[str, Any]]) -> dict[tuple[str, str], Any]:
    return {(name, metric): row[metric]["difference"] for name, row in scores.items() for metric in METRICS}


def width(score: Mapping[str, Any]) -> float:
    low, high = score["interval"]
    return float(high - low)


def test_a_run_and_its_file_give_the_same_verdicts(run: Path) -> None:
    of_run = score_sources([str(run)], METRICS)
    of_file = score_sources([str(run / "samples.jsonl")], METRICS, group_by="policy")
    assert list(of_run) == list(of_file) == ["T=0.1", "T=1.5"]
    assert verdicts(of_run) == verdicts(of_file)
    assert of_run["T=1.5"]["distinct_2"]["difference"]["baseline"] == "T=0.1"


def test_texts_of_one_prompt_are_not_taken_for_independent(run: Path, tmp_path: Path) -> None:
    """By prompt the interval is more than twice as wide as if each of the 64 texts stood for itself."""
    rows = [json.loads(line) for line in (run / "samples.jsonl").read_text().splitlines()]
    bare, other = tmp_path / "bare.jsonl", tmp_path / "other.jsonl"
    bare.write_text("".join(json.dumps({"text": row["text"], "policy": row["policy"]}) + "\n" for row in rows))
    other.write_text("".join(json.dumps({"text": row["text"], "question": row["prompt"]}) + "\n" for row in rows))
    by_prompt = score_sources([str(run)], METRICS)["T=0.1"]["distinct_2"]
    alone = score_sources([str(bare)], METRICS, group_by="policy")["T=0.1"]["distinct_2"]
    assert by_prompt["value"] == alone["value"]
    assert width(by_prompt) > 2 * width(alone)
    told = scored_sources([str(other)], METRICS, prompt_column="question")
    assert width(told.scores["other"]["distinct_2"]) > 2 * width(
        score_sources([str(other)], METRICS)["other"]["distinct_2"]
    )
    assert not any("belong together" in note for note in told.notes)
    noted = scored_sources([str(run / "samples.jsonl")], METRICS, group_by="policy").notes
    assert any("texts of one prompt_id belong together (8 prompts)" in note for note in noted)
    with pytest.raises(RowsError, match="there is no column 'query'; columns: text, question"):
        score_sources([str(other)], METRICS, prompt_column="query")


def test_texts_of_a_file_are_paired_by_prompt_and_sample_number(tmp_path: Path) -> None:
    rows = [("a", 1, 1, "x"), ("a", 0, 0, "y"), ("a", 0, 1, "z"), ("b", 0, 1, "Z"), ("b", 1, 1, "X"), ("b", 0, 0, "Y")]
    lines = [f"{group},{prompt},{sample},{text}\n" for group, prompt, sample, text in rows]
    (tmp_path / "t.csv").write_text("T,prompt_id,sample_id,text\n" + "".join(lines))
    groups = read_sources([str(tmp_path / "t.csv")], Columns(group="T")).groups
    pairs = [dict(zip(group.keys, group.texts, strict=True)) for group in groups.values()]
    assert {key: text.lower() for key, text in pairs[1].items()} == pairs[0]
    assert pairs[0] == {("0", 0): "y", ("0", 1): "z", ("1", 1): "x"}
    whole = read_sources([str(tmp_path / "t.csv")]).groups[
        "t"
    ]  # both policies in one group: numbers repeat, so they are counted
    assert len(set(whole.keys)) == len(whole.keys) == 6


def test_runs_are_paired_by_the_text_of_the_prompt(tmp_path: Path) -> None:
    """X holds A and B, Y holds B: what both wrote for B is compared, not prompt number 0 of each."""
    rng = random.Random(0)
    a, b, again = ([words(rng, prompt, 0.5) for _ in range(8)] for prompt in "ABB")
    one = write_run(tmp_path / "X", {"warm": {"A": a, "B": b}}, ["warm"])
    two = write_run(tmp_path / "Y", {"warm": {"B": again}}, ["warm"])
    found = scored_sources([str(one), str(two)], ["distinct_2"])
    x, y = (found.scores[f"{path}: warm"]["distinct_2"] for path in (one, two))
    assert x["value"] == distinct_n(b).value
    assert y["value"] == distinct_n(again).value
    assert y["difference"]["value"] == pytest.approx(distinct_n(again).value - distinct_n(b).value)
    assert "compared on the 1 prompt that all groups have; 1 is left out" in found.notes
    other = write_run(tmp_path / "Z", {"warm": {"C": a}}, ["warm"])
    with pytest.raises(ValueError, match="no prompt and sample number in common"):
        score_sources([str(one), str(other)], ["distinct_2"])


def test_policies_of_two_runs_are_paired_by_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    rng = random.Random(0)
    texts = {policy: {"A": [words(rng, "A", 0.5) for _ in range(8)]} for policy in ("hot", "cold", "warm")}
    one = write_run(Path("X"), texts, ["cold", "warm", "hot"], baseline="warm")
    two = write_run(Path("Y"), {**texts, "new": texts["hot"]}, ["cold", "new", "warm", "hot"])
    alone = score_sources([str(one)], METRICS)
    assert list(alone) == ["cold", "warm", "hot"]
    assert {name: (row["distinct_1"]["difference"] or {}).get("baseline") for name, row in alone.items()} == {
        "cold": "warm",
        "warm": None,
        "hot": "warm",
    }
    both = scored_sources([str(one), str(two)], METRICS)
    baselines = {name: (row["distinct_1"]["difference"] or {}).get("baseline") for name, row in both.scores.items()}
    x, y = str(one), str(two)
    assert baselines == {
        **{f"{x}: {name}": None for name in ("cold", "warm", "hot")},
        **{f"{y}: {name}": f"{x}: {name}" for name in ("cold", "warm", "hot")},
        "new": f"{x}: warm",
    }
    assert any("groups of one name are compared with each other" in note for note in both.notes)
    one_for_all = score_sources([x, y], METRICS, baseline=f"{x}: cold")
    assert {row["distinct_1"]["difference"]["baseline"] for row in list(one_for_all.values())[1:]} == {f"{x}: cold"}
    shown = CliRunner(env={"COLUMNS": "140"}).invoke(app, ["compare", x, y, "--metric", "distinct_1"])
    assert shown.exit_code == 0, shown.output
    assert all(f"difference to {x}: {name}" in " ".join(shown.stdout.split()) for name in ("cold", "warm", "hot"))


def test_a_run_of_one_prompt_compares_with_a_plain_file_and_one_of_several_does_not(run: Path, tmp_path: Path) -> None:
    texts = ["the fox ran home", "the owl sat", "a wolf ran", "an elk ate", "the hen hid"]
    one = write_run(tmp_path / "X", {"warm": {"A": texts}}, ["warm"])
    (tmp_path / "plain.txt").write_text("\n".join(texts))
    found = score_sources([str(one), str(tmp_path / "plain.txt")], ["distinct_2"])
    assert found["plain"]["distinct_2"]["difference"]["value"] == 0
    with pytest.raises(RowsError, match=r"plain\.txt: names no prompts, and other sources have 8"):
        score_sources([str(run), str(tmp_path / "plain.txt")], ["distinct_2"])


def test_a_damaged_configuration_leaves_the_order_of_the_samples(tmp_path: Path) -> None:
    texts = {policy: {"A": ["the fox ran", "the owl sat"]} for policy in ("hot", "cold")}
    path = write_run(tmp_path / "X", texts, ["cold", "hot"])
    (path / "config.yaml").write_text("policies: [")
    assert list(score_sources([str(path)], ["distinct_1"])) == ["hot", "cold"]


def test_ten_groups_of_unequal_lengths_keep_most_of_their_tokens() -> None:
    """Cut to the shortest of all ten at every place, half of the tokens go; cut two groups at a time, a fifth does."""
    rng = random.Random(1)
    lengths = {f"g{group}": [rng.randint(20, 80) for _ in range(40)] for group in range(10)}
    groups = {
        name: Group([words(rng, "", 1.0, count) for count in held], [(0, place) for place in range(40)])
        for name, held in lengths.items()
    }
    whole: dict[str, TokenizedTexts] = {name: tokenize(group.texts) for name, group in groups.items()}
    tokens = sum(len(texts.ids) for texts in whole.values())
    assert sum(len(texts.ids) for texts in paired(list(whole.values()))) < 0.55 * tokens
    scores = compare_groups(groups, ["distinct_2"], length="paired")
    for name, texts in whole.items():
        assert scores[name]["distinct_2"]["value"] == distinct_n(texts).value
        change = scores[name]["distinct_2"]["difference"]
        if change is not None:
            cut = paired([texts, whole["g0"]])
            assert change["length"] == "paired"
            assert change["value"] == distinct_n(cut[0]).value - distinct_n(cut[1]).value
            assert len(cut[0].ids) > 0.65 * len(texts.ids)
