"""A run with a task: answers beside the samples, scores and verdict, stop texts, resuming, several scorers."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from temp_processors.cli.app import app
from temp_processors.config.loading import load_config
from temp_processors.experiment.run import run_experiment
from temp_processors.runs.folder import Run
from temp_processors.runs.lenient import load_run
from temp_processors.tasks.measures import Outcome, majority_at_k, pass_at_k

HEROES = (
    "The quick brown fox",
    "The clever gray wolf",
    "The old black bear",
    "The shy field mouse",
    "The proud red rooster",
)
CONFIG = """name: tales
prompts: {file: heroes.jsonl, column: hero}
samples_per_prompt: 4
max_new_tokens: 8
task:
  answer: {kind: regex, pattern: "(\\\\w+)"}
  reference: verb
  score: [exact, {kind: function, function: "mine:long"}]
policies:
  - {name: cold, kind: fixed, temperature: 0.1}
  - {name: hot, kind: fixed, temperature: 2.0}
metrics: [distinct_1]
traces: false
"""


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Run:
    folder = tmp_path_factory.mktemp("task")
    rows = [{"hero": hero, "verb": "jumped" if hero.endswith("fox") else "walked"} for hero in HEROES]
    (folder / "heroes.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    (folder / "mine.py").write_text(
        "def long(answer, row):\n    if row['hero'].endswith('bear'):\n        raise KeyError('no bears')\n    return len(answer) > 4\n"
    )
    (folder / "tales.yaml").write_text(CONFIG)
    return run_experiment(load_config(folder / "tales.yaml", out=folder / "run"))


def answers(run: Run) -> list[dict[str, Any]]:
    return [json.loads(line) for line in (run.path / "answers.jsonl").read_text().splitlines()]


def test_every_sample_has_its_answer_beside_it(run: Run) -> None:
    found = {(row["policy"], row["prompt_id"], row["sample_id"]): row for row in answers(run)}
    assert len(found) == len(run.samples) == 40
    for sample in run.samples:
        row = found[sample.policy, sample.prompt_id, sample.sample_id]
        right = "jumped" if sample.prompt.endswith("fox") else "walked"
        assert row["references"] == [right]
        assert row["answer"] is None or row["answer"] in sample.text
        assert row["scores"]["exact"] == float(row["answer"] == right)
        if sample.prompt.endswith("bear"):
            assert row["scores"]["long"] is None
            assert row["reasons"]["long"] == "mine:long raised KeyError: 'no bears'"


def test_scores_are_the_measures_of_the_answers(run: Run) -> None:
    held = json.loads((run.path / "metrics.json").read_text())["task"]["scorers"]["exact"]
    for policy in ("cold", "hot"):
        table = [
            [
                Outcome(r["scores"]["exact"], r["answer"])
                for r in answers(run)
                if (r["policy"], r["prompt_id"]) == (policy, prompt)
            ]
            for prompt in range(len(HEROES))
        ]
        own = held["policies"][policy]
        for name, measure in {"pass@k": pass_at_k, "maj@k": majority_at_k}.items():
            for k in (1, 2, 4):
                assert own[name][str(k)]["value"] == pytest.approx(sum(measure(row, k) for row in table) / len(table))
        assert own["mean_score"]["value"] == pytest.approx(own["pass@k"]["1"]["value"])
        assert own["samples"] == 4
        assert own["tokens_per_text"] == 8
        assert own["cut_share"] == 1
    assert set(held["pooled"]["maj@k"]) == {"1", "2", "4"}
    assert set(held["solved_only"]) == {"cold", "hot"}


def test_the_verdict_is_written_and_said(run: Run) -> None:
    verdict = run.verdict
    assert verdict is not None
    assert set(verdict["policies"]) == {"cold", "hot"}
    assert verdict["policies"]["cold"]["value"] >= verdict["policies"]["hot"]["value"]
    assert "distinct_1" in verdict["policies"]["cold"]["buys"]
    assert verdict["sentence"]


def test_the_command_says_verdict_and_what_was_not_scored(run: Run, tmp_path: Path) -> None:
    config = run.path.parent / "tales.yaml"
    result = CliRunner().invoke(app, ["run", str(config), "--out", str(tmp_path / "again"), "--no-report"])
    assert result.exit_code == 0, result.output
    flat = " ".join(result.output.split())
    assert "verdict (5 prompts): " in flat
    assert "not scored: policy 'cold', prompt 2, sample 0: long: mine:long raised KeyError: 'no bears'" in flat
    assert "not scored: 8 in all, see answers.jsonl" in flat
    assert (tmp_path / "again" / "answers.jsonl").read_bytes() == (run.path / "answers.jsonl").read_bytes()


def test_the_folder_reads_as_any_other_and_resumes(run: Run) -> None:
    assert load_run(run.path).policies == ["cold", "hot"]
    assert load_config(run.path / "config.yaml").task is not None
    (run.path / "DONE").unlink()
    before = (run.path / "answers.jsonl").read_bytes()
    (run.path / "answers.jsonl").unlink()
    again = run_experiment(load_config(run.path.parent / "tales.yaml", out=run.path), resume=True)
    assert (again.path / "answers.jsonl").read_bytes() == before


def test_stop_texts_end_texts(tmp_path: Path) -> None:
    settings = [
        "samples_per_prompt=8",
        "max_new_tokens=40",
        "traces=false",
        "metrics=[mean_length]",
        "policies=[{name: a, kind: fixed, temperature: 1.0}]",
    ]
    whole = run_experiment(load_config("fox", settings, out=tmp_path / "whole"))
    cut = run_experiment(load_config("fox", [*settings, "stop=['. ', ' It']"], out=tmp_path / "cut"))
    for long, short in zip(whole.samples, cut.samples, strict=True):
        place = min(p for p in (long.text.find(". "), long.text.find(" It"), 10_000) if p >= 0)
        assert short.text == long.text[:place]
        if short.finish_reason == "stop_text":
            assert len(short.token_ids) < len(long.token_ids)
        assert short.token_ids == long.token_ids[: len(short.token_ids)]
        assert short.log_prob >= long.log_prob
    assert {sample.finish_reason for sample in cut.samples} == {"stop_text"}
