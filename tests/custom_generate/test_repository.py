"""A model folder that carries the recipe: loaded by `from_pretrained`, its sampler is the policy, wherever it is loaded."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import torch
from transformers import AutoModelForCausalLM

from temp_processors import SeededSampling, build_policy
from temp_processors.audit.audit import plain_sampling_kwargs
from temp_processors.custom_generate import custom_generate_path
from temp_processors.custom_generate.repository import save_with_policy
from tests.models import tiny_llama

PROMPTS = torch.tensor([[1, 5, 9], [1, 8, 4]])
DYNAMIC = {"kind": "dynamic", "temperature": 0.8, "range": 0.5}
COOLING = {"kind": "scheduled", "shape": "linear", "start": 2.0, "end": 0.1, "steps": 5}


@pytest.fixture
def folder(tmp_path: Path, installed: None) -> Path:
    """A saved model whose checkpoint sharpens and truncates, with the recipe and a policy."""
    model = tiny_llama()
    model.generation_config.update(do_sample=True, temperature=0.6, top_k=5, eos_token_id=[1, 2], max_new_tokens=8)
    model.save_pretrained(tmp_path / "model")
    save_with_policy(tmp_path / "model", DYNAMIC)
    return tmp_path / "model"


def wanted(policy: Any, **arguments: Any) -> Any:
    """The texts of `generate` with the processor of a policy, on the same weights."""
    model = tiny_llama()
    processors = [build_policy(policy, prompt_length=3), *arguments.pop("last", [])]
    torch.manual_seed(3)
    plain = {**plain_sampling_kwargs(), "max_new_tokens": 8, "eos_token_id": [1, 2], **arguments}
    return model.generate(PROMPTS, logits_processor=processors, **plain)


def drawn(folder: Path, **arguments: Any) -> Any:
    model = AutoModelForCausalLM.from_pretrained(folder, trust_remote_code=True)
    torch.manual_seed(3)
    return model.generate(inputs=PROMPTS, **arguments)


def test_the_folder_samples_under_its_policy(folder: Path) -> None:
    texts = wanted(DYNAMIC)
    assert torch.equal(drawn(folder), texts)
    assert torch.equal(drawn(folder, custom_generate=custom_generate_path(), trust_remote_code=True), texts)
    config = json.loads((folder / "generation_config.json").read_text())
    assert (config["temperature_policy"], config["eos_token_id"], config["max_new_tokens"]) == (DYNAMIC, [1, 2], 8)
    assert config["do_sample"] is True
    assert not {"temperature", "top_k"} & {name for name, value in config.items() if value is not None}


def test_the_call_comes_before_the_folder(folder: Path) -> None:
    assert torch.equal(drawn(folder, temperature_policy=COOLING), wanted(COOLING))
    last = [SeededSampling([4, 5], prompt_length=3)]
    assert torch.equal(drawn(folder, seeds=[4, 5]), wanted(DYNAMIC, last=last, do_sample=False))
    with pytest.raises(ValueError, match="do_sample=False takes the most probable token"):
        drawn(folder, do_sample=False)


def test_saving_another_policy_and_loading_without_trust(folder: Path) -> None:
    save_with_policy(folder, COOLING)
    assert torch.equal(drawn(folder), wanted(COOLING))
    plain = AutoModelForCausalLM.from_pretrained(folder, trust_remote_code=False)
    assert "custom_generate" not in str(plain.generate)


@pytest.mark.parametrize(
    ("policy", "message"),
    [
        ({"kind": "dynamic", "temperature": -1, "range": 0.5}, "temperature"),
        ({"kind": "checkpoint"}, "`kind: checkpoint`|read from a model"),
        ({"kind": "chain", "steps": [{"kind": "checkpoint"}]}, "`kind: checkpoint`|read from a model"),
    ],
)
def test_a_policy_that_cannot_be_kept_leaves_the_folder_as_it_was(folder: Path, policy: Any, message: str) -> None:
    before = (folder / "generation_config.json").read_text()
    with pytest.raises(ValueError, match=message):
        save_with_policy(folder, policy)
    assert (folder / "generation_config.json").read_text() == before


def test_folders_that_are_no_place_for_it(folder: Path, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="holds no model"):
        save_with_policy(tmp_path / "nowhere", DYNAMIC)
    (folder / "custom_generate" / "generate.py").write_text("def generate(model): ...\n")
    with pytest.raises(ValueError, match="is another recipe"):
        save_with_policy(folder, DYNAMIC)
