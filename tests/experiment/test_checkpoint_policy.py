"""`kind: checkpoint` as one of the policies of a run: its texts, what is written about it, and what is refused."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import torch
import yaml
from transformers import AutoModelForCausalLM, AutoTokenizer
from typer.testing import CliRunner

from temp_processors import FOX_PATH, Run, SeededSampling, draw_kwargs, load_config, run_experiment
from temp_processors.audit.stack import record
from temp_processors.cli.app import app
from temp_processors.engines.requests import requests_of
from temp_processors.experiment.checkpoint import before_loading
from temp_processors.serving.rows import policy_of_request

QWEN = {"do_sample": True, "temperature": 0.6, "top_k": 20, "top_p": 0.95, "repetition_penalty": 1.05}
ENDS = {"bos_token_id": 1, "eos_token_id": 2, "pad_token_id": 0}
PROMPT = "The quick brown fox"


def fox_that_says(folder: Path, **fields: Any) -> Path:
    """The shipped model with this generation_config.json."""
    AutoTokenizer.from_pretrained(FOX_PATH).save_pretrained(folder)
    AutoModelForCausalLM.from_pretrained(FOX_PATH).save_pretrained(folder)
    (folder / "generation_config.json").write_text(json.dumps({**ENDS, **fields}), encoding="utf-8")
    return folder


def written(folder: Path, model: Path, *policies: dict[str, Any], **more: Any) -> Path:
    data = {
        "name": "compared",
        "model": str(model),
        "prompts": [PROMPT],
        "policies": list(policies) or [{"name": "as the model card says", "kind": "checkpoint"}],
        "samples_per_prompt": 3,
        "max_new_tokens": 8,
        "metrics": ["distinct_1"],
        "traces": False,
        "out": str(folder / "run"),
        **more,
    }
    (folder / "config.yaml").write_text(yaml.safe_dump(data), encoding="utf-8")
    return folder / "config.yaml"


def invoke(*arguments: str) -> Any:
    return CliRunner().invoke(app, arguments)


@pytest.fixture(scope="module")
def qwen(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return fox_that_says(tmp_path_factory.mktemp("models") / "qwen", **QWEN)


def test_its_texts_are_those_of_generates_own_stack_under_the_same_draw(qwen: Path, tmp_path: Path) -> None:
    """And the run is resumed, and begun again from the config.yaml that it wrote, at the same texts."""
    plain = {"name": "T=1", "kind": "fixed", "temperature": 1}
    card = {"name": "as the model card says", "kind": "checkpoint"}
    path = written(tmp_path, qwen, plain, card, traces=True)
    run = run_experiment(load_config(path))
    model, tokenizer = AutoModelForCausalLM.from_pretrained(qwen), AutoTokenizer.from_pretrained(qwen)
    inputs = tokenizer(PROMPT, return_tensors="pt", return_token_type_ids=False)
    width = inputs["input_ids"].shape[1]
    mine = [sample for sample in run.samples if sample.policy == card["name"]]
    stack = record(model, None, [], {**inputs, "max_new_tokens": 8}).applied
    for sample in mine:
        draw = SeededSampling([sample.seed], prompt_length=width)
        theirs = model.generate(**inputs, logits_processor=[*stack, draw], max_new_tokens=8, **draw_kwargs())
        assert sample.token_ids == [token for token in theirs[0, width:].tolist() if token != 2]
    kept = yaml.safe_load((run.path / "config.yaml").read_text())["policies"][1]
    assert kept["kind"] == "checkpoint"
    assert {name: kept["policy"][name] for name in QWEN if name != "do_sample"} == {
        name: value for name, value in QWEN.items() if name != "do_sample"
    }
    again = invoke("run", str(path), "--resume")
    assert again.exit_code == 0, again.output
    anew = run_experiment(load_config(run.path / "config.yaml", out=tmp_path / "anew"))
    assert [s.token_ids for s in anew.samples] == [s.token_ids for s in run.samples]
    stack_json = json.loads((run.path / "stack.json").read_text())
    assert stack_json["neutralised"].keys() == QWEN.keys() - {"do_sample"}
    assert stack_json["policies"][card["name"]]["stack"][0]["name"] == "CheckpointLogitsWarper"


def test_the_command_says_what_it_stands_for(qwen: Path, tmp_path: Path) -> None:
    done = invoke("run", str(written(tmp_path, qwen)), "--dry-run")
    assert done.exit_code == 0, done.output
    said = "checkpoint: generate(temperature=0.6, top_k=20, top_p=0.95, repetition_penalty=1.05)"
    assert f"policy 'as the model card says': {said}" in done.stdout
    options = ("--model", str(qwen), "--prompt", PROMPT, "--temperatures", "0.5,checkpoint", "--dry-run")
    assert f"policy 'checkpoint': {said}" in invoke("run", *options).stdout


def test_a_greedy_checkpoint_is_greedy_and_named(tmp_path: Path) -> None:
    model = fox_that_says(tmp_path / "greedy", temperature=0.6)
    done = invoke("run", str(written(tmp_path, model)), "--no-report")
    assert done.exit_code == 0, done.output
    assert "as the model card says  checkpoint: fixed(temperature=0.0) -> SeededSampling" in done.stdout
    assert "warning: greedy: the checkpoint's generation_config does not sample" in done.stdout
    assert len({sample.text for sample in Run(tmp_path / "run").samples}) == 1


@pytest.mark.parametrize(
    ("fields", "policy", "message"),
    [
        (
            {"do_sample": True, "forced_eos_token_id": 2},
            {},
            "policies.0: the model's generation_config sets forced_eos_token_id=2, which no policy can carry",
        ),
        (QWEN, {"policy": {"kind": "generate", "temperature": 0.7}}, "policies.0: `policy` is not what the model's"),
        (QWEN, {"policy": {"kind": "generate", "temperatur": 0.7}}, "policies.0.policy.temperatur: not a field of"),
    ],
)
def test_refused_in_one_line(fields: dict[str, Any], policy: dict[str, Any], message: str, tmp_path: Path) -> None:
    model = fox_that_says(tmp_path / "model", **fields)
    path = written(tmp_path, model, {"name": "card", "kind": "checkpoint", **policy})
    done = invoke("run", str(path))
    assert done.exit_code == 2
    assert f"{path}:" in done.stderr
    assert message in done.stderr
    assert len(done.stderr.splitlines()) == 1
    assert not (tmp_path / "run").exists()


def test_requests_to_vllm_carry_it(qwen: Path, tmp_path: Path) -> None:
    config = before_loading(load_config(written(tmp_path, qwen)))
    (request,) = requests_of(config, AutoTokenizer.from_pretrained(qwen))
    policy = policy_of_request(json.dumps(request)).with_prompt_length(1)
    ids, scores = torch.tensor([[1, 5]]), torch.randn(1, 400)
    theirs = scores.clone()
    model = AutoModelForCausalLM.from_pretrained(qwen)
    for processor in record(model, None, [], {"max_new_tokens": 2}).applied:
        theirs = processor(ids, theirs)
    assert torch.equal(policy(ids, scores), theirs)
