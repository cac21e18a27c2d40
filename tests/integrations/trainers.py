"""Trainers of TRL on small models, ready to draw."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch
from datasets import Dataset
from torch import Tensor
from transformers import AutoModelForCausalLM, AutoTokenizer
from trl import GRPOConfig, RLOOConfig

from temp_processors.fox import FOX_PATH
from temp_processors.integrations.trl import PolicyRLOOTrainer
from tests.models import tiny_llama, tiny_tokenizer

PROMPTS = ("The quick brown fox", "Once", "A wolf and a bear", "The owl")


def length_reward(completions: list[str], **_: Any) -> list[float]:
    """Different rewards for texts that differ, so that advantages are not all 0."""
    return [float(len(text) + text.count("e")) for text in completions]


def fox() -> tuple[Any, Any]:
    """The shipped model with its tokenizer: a fresh copy of the weights."""
    return AutoModelForCausalLM.from_pretrained(FOX_PATH), AutoTokenizer.from_pretrained(FOX_PATH)


def small_smollm2() -> tuple[Any, Any]:
    """The shape of SmolLM2 (grouped heads, tied embeddings) in small, random weights."""
    tokenizer = tiny_tokenizer()
    shape = {"num_attention_heads": 4, "num_key_value_heads": 2, "num_hidden_layers": 3, "tie_word_embeddings": True}
    return tiny_llama(vocab_size=len(tokenizer), **shape), tokenizer


def trainer_of(
    kind: type,
    folder: Path,
    policy: Any,
    made: tuple[Any, Any] | None = None,
    extra: dict[str, Any] | None = None,
    **changes: Any,
) -> Any:
    """A trainer of eight completions of 12 tokens a step, four for each prompt.

    Args:
        kind: Its class, of this package.
        folder: Where it may write.
        policy: Its `temperature_policy`.
        made: Model and tokenizer (default: the shipped ones).
        extra: Further arguments of the trainer.
        changes: Fields of its configuration.
    """
    model, tokenizer = made or fox()
    fields = {
        "per_device_train_batch_size": 8,
        "num_generations": 4,
        "max_completion_length": 12,
        "max_steps": 2,
        "logging_steps": 1,
        "learning_rate": 1e-3,
        "use_cpu": True,
        "bf16": False,
        "beta": 0.0,
        "gradient_checkpointing": None,
        "save_strategy": "no",
        "report_to": "none",
        "disable_tqdm": True,
    }
    config = RLOOConfig if issubclass(kind, PolicyRLOOTrainer) else GRPOConfig
    return kind(
        model,
        length_reward,
        config(str(folder), **{**fields, **changes}),
        Dataset.from_dict({"prompt": list(PROMPTS) * 2}),
        processing_class=tokenizer,
        temperature_policy=policy,
        **(extra or {}),
    )


def drawn(trainer: Any) -> tuple[dict[str, Tensor], Tensor, Tensor]:
    """One batch of rollouts of two prompts of different lengths: the batch, its tokens, its mask, prompts padded on the left."""
    torch.manual_seed(1)
    trainer.model.train()
    rows = [{"prompt": prompt} for prompt in PROMPTS[:2] for _ in range(4)]
    batch = trainer._generate_and_score_completions(rows)
    tokens = torch.cat([batch["prompt_ids"], batch["completion_ids"]], dim=1)
    return batch, tokens, torch.cat([batch["prompt_mask"], batch["completion_mask"]], dim=1)


def off_by(log_probs: Tensor, logprobs: list[list[float]]) -> float:
    """How far an importance ratio or its inverse is from 1 at most: of these log-probabilities over those of the draw."""
    pairs = [(log_probs[row, : len(values)], torch.tensor(values)) for row, values in enumerate(logprobs)]
    return max(float((new.detach().double() - old.double()).abs().max().expm1()) for new, old in pairs)
