"""Mistakes of a user at the command line: each ends with exit code 2 and says in one line what is wrong; nothing is written."""

from __future__ import annotations

from pathlib import Path

import pytest
from typer.testing import CliRunner

from temp_processors.cli.app import app

WITHOUT_FILE = ("run", "--prompt", "A fox", "--temperatures")
TWO = "policies=[{name: a, kind: fixed, temperature: 1}, {name: a, kind: fixed, temperature: 2}]"
MISTAKES = [
    (("run",), "give CONFIG, or a run without a file: --prompt is missing"),
    (("run", "fxo"), "fxo"),
    (("run", "fox", "--prompt", "A fox"), "--prompt: CONFIG says it already"),
    (("run", "fox", "--samples", "4"), "--samples: CONFIG says it already"),
    (("run", "fox", "--no-report", "--open"), "--open: --no-report leaves the page out"),
    (("run", "fox", "--no-report", "--plots"), "--plots: --no-report leaves the page out"),
    (("run", "fox", "--log", "mlflow"), "--log: has to be one of trackio, wandb, tensorboard, but is 'mlflow'"),
    (("run", "fox", "--set", "seed"), "seed"),
    (("run", "fox", "--set", "seed=-1"), "seed"),
    (("run", "fox", "--set", "sead=1"), "did you mean 'seed'"),
    (("run", "fox", "--set", "samples_per_prompt=0"), "samples_per_prompt"),
    (("run", "fox", "--set", "max_new_tokens=many"), "max_new_tokens"),
    (("run", "fox", "--set", "metrics=[distinct_9]"), "distinct_9"),
    (("run", "fox", "--set", "metrics=[distinct_2, mtld, distinct_2]"), "metrics: names distinct_2 twice"),
    (("run", "fox", "--set", "prompts={file: ., column: x}"), "prompts: .: is a folder, not a file"),
    (("run", "fox", "--set", "prompts={file: a.txt, split: test}"), "prompts: has a `split`, which is for a `dataset`"),
    (("run", "fox", "--set", "policies.0.temperature=-1"), "policies.0.temperature"),
    (("run", "fox", "--set", "policies.0.temperature=1:30"), "1:30 is 90 to YAML 1.1, in base 60: write 90 if"),
    (("run", "fox", "--set", "policies.0.kind=fixd"), "did you mean 'fixed'"),
    (("run", "fox", "--set", TWO), "both named 'a'"),
    (("run", "fox", "--set", "prompts=[]"), "prompts"),
    (("run", "fox", "--set", "prompts=[a, a]"), "are the same"),
    (("run", "fox", "--set", "baseline=T=9"), "baseline"),
    (("run", "fox", "--set", "primary=ttr"), "primary"),
    (("run", "fox", "--set", "engine=onnx"), "engine"),
    (("run", "fox", "--set", "model=/no/such/folder", "--dry-run"), "/no/such/folder"),
    (("run", "fox", "--out", "x" * 300, "--dry-run"), "--out: out: xxxx"),
    (("run", "fox", "--out", "there.yaml", "--dry-run"), "--out: out: there.yaml: cannot be written: Not a directory"),
    (("run", "fox", "--out", "there.yaml/run"), "--out: out: there.yaml/run: cannot be written: Not a directory"),
    (("run", "fox", "--set", f"name={'x' * 300}"), "...: name: runs/xxxx"),
    (("run", "fox", "--set", "tokenizer=./nowhere", "--dry-run"), "tokenizer: ./nowhere: is neither whitespace"),
    (("run", "fox", "--set", "tokenizer=./nowhere"), "tokenizer: ./nowhere: is neither whitespace"),
    (("run", "fox", "--set", "max_new_tokens=1000000", "--dry-run"), "prompts.0: has 5 tokens, and 1000000 new ones"),
    (("run", "fox", "--set", "model={name: fox, device_map: gpu}", "--dry-run"), "model.device_map: is 'gpu', which"),
    ((*WITHOUT_FILE, "warm"), "--temperatures: has to be numbers"),
    ((*WITHOUT_FILE, "0.1:1"), "--temperatures: has to have three parts"),
    ((*WITHOUT_FILE, "1:0.1:0.1"), "at least `from`"),
    ((*WITHOUT_FILE, "0.1", "--samples", "0"), "samples_per_prompt"),
    (("run", "--temperatures", "1"), "--prompt is missing"),
    (("run", "--prompt", "A fox"), "--temperatures is missing"),
    (("plan", "fox", "--difference", "0"), "difference"),
    (("tune", "fox"), "task"),
    (("report", "nowhere"), "nowhere: no such run folder"),
    (("compare", "nowhere"), "nowhere"),
    (("score", "nowhere.txt"), "nowhere.txt"),
    (("softmax", "--logits", "a,b"), "--logits has to be numbers"),
    (("softmax", "--temperatures", "hot"), "--temperatures has to be numbers"),
    (("list", "metrics", "--presets", "own.yaml"), "--presets: metrics have none"),
    (("list", "presets", "--presets", "nowhere.yaml"), "nowhere.yaml"),
    (("init", "there.yaml"), "there.yaml: is there already"),
    (("init", "no/folder/x.yaml"), "cannot be written: No such file or directory"),
    (("init", "new.yaml", "--temperatures", "warm"), "--temperatures: has to be numbers"),
    (("audit", "/no/such/folder"), "/no/such/folder"),
    (("softmax", "--out", "no/folder/x.svg"), "no/folder: no such folder"),
    (("score", "texts.jsonl", "--split", "test"), "--split: is for datasets, but texts.jsonl is none"),
    (("compare", "there.yaml", "texts.csv", "--split", "test"), "but there.yaml, texts.csv are none"),
    (("calibrate", "texts.txt", "--split", "test"), "--split: is for datasets, but texts.txt is none"),
    (("score", "texts.jsonl", "--task", "there.yaml", "--split", "test"), "--task: takes no --stream"),
    (("score", "texts.jsonl", "--metric", "mtld", "--metric", "mtld"), "--metric: names mtld twice"),
    (("score", ""), "'' names no dataset"),
    (("score", "there.yaml", "--rows", "x.csv"), "--rows: has a meaning beside --task alone"),
    (("score", "there.yaml", "--allow-code-execution"), "--allow-code-execution: has a meaning beside --task alone"),
]


@pytest.mark.parametrize(("arguments", "said"), MISTAKES, ids=[" ".join(arguments)[:100] for arguments, _ in MISTAKES])
def test_a_mistake_is_one_line(
    arguments: tuple[str, ...], said: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("there.yaml").write_text("name: mine\n", encoding="utf-8")
    done = CliRunner().invoke(app, arguments)
    assert done.exit_code == 2, done.output
    (line,) = done.stderr.splitlines()
    assert said in line
    assert [path.name for path in tmp_path.iterdir()] == ["there.yaml"]
    assert Path("there.yaml").read_text(encoding="utf-8") == "name: mine\n"
