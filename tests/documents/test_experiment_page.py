"""The settings that the documentation shows for experiments run as they stand, each laid over the shipped configuration."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import yaml

from temp_processors.config.loading import load_config, shipped_configs
from temp_processors.experiment.run import run_experiment
from tests.documents.pages import blocks_of
from tests.paths import ROOT

PAGES = [ROOT / "docs" / "how-to" / name for name in ("experiment.md", "task.md")]
BLOCKS = [block.text for page in PAGES for block in blocks_of(page) if block.language == "yaml"]
SECTIONS = [block for block in BLOCKS if "policies" not in yaml.safe_load(block)]
TEXTS = ["The quick brown fox", "A dog sat by the river"]


def test_they_are_found() -> None:
    assert {name for block in SECTIONS for name in yaml.safe_load(block)} >= {"model", "prompts", "coupled", "traces"}


@pytest.mark.parametrize("block", SECTIONS)
def test_they_run(block: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("datasets.config.HF_DATASETS_CACHE", str(tmp_path / "cache"))
    (tmp_path / "prompts.jsonl").write_text("".join(json.dumps({"question": text}) + "\n" for text in TEXTS))
    (tmp_path / "stories").mkdir()
    (tmp_path / "stories" / "train.jsonl").write_text("".join(json.dumps({"text": text}) + "\n" for text in TEXTS))
    fox = yaml.safe_load((shipped_configs() / "fox.yaml").read_text())
    small = {"samples_per_prompt": 2, "max_new_tokens": 4}
    (tmp_path / "mine.yaml").write_text(yaml.safe_dump({**fox, **small, **yaml.safe_load(block)}, sort_keys=False))
    run = run_experiment(load_config("mine.yaml"))
    assert {sample.prompt for sample in run.samples} == set(TEXTS)


def test_the_task_runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "questions.jsonl").write_text('{"question": "How many legs has a fox?", "answer": 4}\n')
    (block,) = (block for block in BLOCKS if "task" in yaml.safe_load(block))
    (tmp_path / "mine.yaml").write_text(f"{block}name: mine\nmodel: fox\nsamples_per_prompt: 1\nmax_new_tokens: 4\n")
    run = run_experiment(load_config("mine.yaml"))
    assert {sample.policy for sample in run.samples} == {f"T={temperature / 10:g}" for temperature in range(1, 16, 2)}
    assert json.loads(Path("runs/mine/verdict.json").read_text())["measure"] == "mean number"


def test_policies_without_a_task_run(tmp_path: Path) -> None:
    (block,) = (block for block in BLOCKS if set(yaml.safe_load(block)) == {"policies"})
    few = "name: mine\nprompts: [The quick brown fox]\nsamples_per_prompt: 1\nmax_new_tokens: 4\ntraces: false\n"
    (tmp_path / "mine.yaml").write_text(block + few)
    run = run_experiment(load_config(tmp_path / "mine.yaml", out=tmp_path / "run"))
    assert [sample.policy for sample in run.samples] == ["as the checkpoint says", "qwen3_thinking"]
