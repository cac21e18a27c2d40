"""The model that ships: small, plain, close to the limit that its grammar sets, and fit for the fox prompt."""

from __future__ import annotations

import json
import random
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file
from transformers import AutoModelForCausalLM, AutoTokenizer

from scripts.measure_fox import MARKS, measure
from scripts.train_fox import main as train
from temp_processors.fox import FOX_PATH
from temp_processors.fox.grammar import sample_story


@pytest.fixture(scope="module")
def fox() -> tuple[Any, Any]:
    return AutoTokenizer.from_pretrained(FOX_PATH), AutoModelForCausalLM.from_pretrained(FOX_PATH).eval()


def test_it_is_small_and_of_a_shape_that_serving_engines_run(fox: tuple[Any, Any]) -> None:
    model = fox[1]
    assert sum(p.numel() for p in model.parameters()) <= 2_000_000
    assert (FOX_PATH / "model.safetensors").stat().st_size <= 6_000_000
    assert model.config.hidden_size // model.config.num_attention_heads in (32, 64)


def test_generation_config_holds_no_sampling_value() -> None:
    written = json.loads((FOX_PATH / "generation_config.json").read_text())
    assert set(written) <= {
        "bos_token_id",
        "eos_token_id",
        "pad_token_id",
        "transformers_version",
        "_from_model_config",
    }


def test_tokenizer_round_trips_and_a_prompt_is_the_beginning_of_its_tale(fox: tuple[Any, Any]) -> None:
    tokenizer = fox[0]
    rng = random.Random(11)
    prompt = tokenizer("The quick brown fox")["input_ids"]
    for _ in range(50):
        text = sample_story(rng).text
        ids = tokenizer(text)["input_ids"]
        assert tokenizer.decode(ids, skip_special_tokens=True) == text
        if text.startswith("The quick brown fox"):
            assert ids[: len(prompt)] == prompt
    assert tokenizer.decode(tokenizer("naïve ☂ 狐")["input_ids"], skip_special_tokens=True) == "naïve ☂ 狐"


def test_gap_to_the_grammar_is_small() -> None:
    assert measure(FOX_PATH, 300).gap < 0.05


def test_card_states_the_measured_numbers() -> None:
    card = (FOX_PATH / "README.md").read_text(encoding="utf-8")
    stated = MARKS.search(card)
    assert stated is not None
    gap = float(stated[0].split("| gap | ")[1].split("%")[0])
    assert 0 < gap <= 5


@pytest.mark.parametrize(("temperature", "least_jumping", "distinct"), [(0.1, 0.95, (1, 24)), (1.0, 0.8, (58, 64))])
def test_continuations_of_the_fox_prompt(
    fox: tuple[Any, Any], temperature: float, least_jumping: float, distinct: tuple[int, int]
) -> None:
    tokenizer, model = fox
    torch.manual_seed(0)
    inputs = tokenizer(["The quick brown fox"] * 64, return_tensors="pt")
    output = model.generate(**inputs, do_sample=True, temperature=temperature, top_k=0, max_new_tokens=48)
    texts = tokenizer.batch_decode(output[:, inputs["input_ids"].shape[1] :], skip_special_tokens=True)
    assert sum(text.startswith(" jumped over the lazy dog.") for text in texts) >= least_jumping * 64
    assert distinct[0] <= len(set(texts)) <= distinct[1]


@pytest.mark.slow
def test_training_that_is_interrupted_and_resumed_gives_the_same_weights(tmp_path: Path) -> None:
    small = {"steps": 4, "batch_size": 2, "hidden": 32, "layers": 1, "vocab_size": 300, "save_every": 2}
    train(tmp_path / "whole", **small)
    train(tmp_path / "broken", **small, stop_after=2)
    train(tmp_path / "broken", **small, resume=True)
    whole, resumed = (load_file(tmp_path / name / "model.safetensors") for name in ("whole", "broken"))
    assert all(torch.equal(whole[name], resumed[name]) for name in whole)
