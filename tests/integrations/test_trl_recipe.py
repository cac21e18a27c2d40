"""TRL's own trainer on a model that carries the recipe: `generation_kwargs` name the policy, and its rollouts follow it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch

pytest.importorskip("trl", reason="TRL is not in this environment")

from datasets import Dataset
from transformers import AutoModelForCausalLM, AutoTokenizer
from trl import GRPOConfig, GRPOTrainer

from temp_processors import FOX_PATH, build_policy, plain_sampling_kwargs
from temp_processors.custom_generate.repository import save_with_policy
from tests.integrations.trainers import PROMPTS, drawn, length_reward

HOT = {"kind": "fixed", "temperature": 3.0}
COOLING = {"kind": "scheduled", "shape": "linear", "start": 2.0, "end": 0.1, "steps": 5}


@pytest.mark.slow
@pytest.mark.parametrize("named", [None, COOLING])
def test_rollouts_are_the_texts_of_generate(tmp_path: Path, named: dict[str, Any] | None) -> None:
    tokenizer = AutoTokenizer.from_pretrained(FOX_PATH)
    AutoModelForCausalLM.from_pretrained(FOX_PATH).save_pretrained(tmp_path / "fox")
    save_with_policy(tmp_path / "fox", HOT)
    model = AutoModelForCausalLM.from_pretrained(tmp_path / "fox", trust_remote_code=True)
    settings = GRPOConfig(
        str(tmp_path / "out"),
        per_device_train_batch_size=8,
        num_generations=4,
        max_completion_length=12,
        use_cpu=True,
        bf16=False,
        gradient_checkpointing=None,
        report_to="none",
        generation_kwargs={} if named is None else {"temperature_policy": named},
    )
    data = Dataset.from_dict({"prompt": list(PROMPTS) * 2})
    trainer = GRPOTrainer(model, length_reward, settings, data, processing_class=tokenizer)
    batch, _, _ = drawn(trainer)
    prompts, mask = batch["prompt_ids"], batch["prompt_mask"]
    fox = AutoModelForCausalLM.from_pretrained(FOX_PATH)
    torch.manual_seed(1)
    processors = [build_policy(named or HOT, prompt_length=prompts.shape[1])]
    arguments = {"max_new_tokens": 12, "logits_processor": processors, **plain_sampling_kwargs()}
    texts = fox.generate(prompts, attention_mask=mask, **arguments)[:, prompts.shape[1] :]
    kept = batch["completion_mask"].bool()
    assert torch.equal(batch["completion_ids"][kept], texts[:, : kept.shape[1]][kept])
