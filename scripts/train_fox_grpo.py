"""Train the shipped model with GRPO towards tales of one animal, under a temperature policy, on this machine's CPU.

python scripts/train_fox_grpo.py
python scripts/train_fox_grpo.py --animal owl --policy '{"kind": "scheduled", "shape": "linear", "start": 1.3, "end": 0.7, "steps": 24}'

A tale gets 1 if the animal comes up in it. Needs the extra `rl`. Prints the reward and what the policy did, every few updates, and
ends with the share of such tales before and after.
"""

from __future__ import annotations

import json
from typing import Annotated, Any

import typer
from datasets import Dataset
from transformers import AutoModelForCausalLM, AutoTokenizer
from trl import GRPOConfig

from temp_processors.fox import FOX_PATH
from temp_processors.integrations.control import EntropyController
from temp_processors.integrations.trl import PolicyGRPOTrainer

COLUMNS = ("step", "reward", "policy/temperature", "policy/entropy_before", "policy/entropy", "clip_ratio/region_mean")


def main(
    animal: Annotated[str, typer.Option(help="Any word that a tale may have.")] = "duck",
    policy: Annotated[
        str, typer.Option(help="A policy as JSON.")
    ] = '{"kind": "dynamic", "temperature": 1.0, "range": 0.5}',
    entropy: Annotated[
        float, typer.Option(help="Hold the entropy of the rollouts near this (nats); 0 does not.")
    ] = 0.4,
    steps: Annotated[int, typer.Option(help="Updates of the weights.", min=10)] = 60,
    out: Annotated[str, typer.Option(help="Folder for what the trainer writes.")] = "checkpoints/fox-grpo",
) -> None:
    """Train, and print a line every five updates."""

    def reward(completions: list[str], **_: Any) -> list[float]:
        return [float(animal in text) for text in completions]

    config = GRPOConfig(
        out,
        per_device_train_batch_size=32,
        num_generations=16,
        num_iterations=2,
        max_completion_length=40,
        max_steps=steps,
        learning_rate=3e-4,
        logging_steps=1,
        bf16=False,
        use_cpu=True,
        gradient_checkpointing=False,
        save_strategy="no",
        report_to="none",
        disable_tqdm=True,
    )
    trainer = PolicyGRPOTrainer(
        AutoModelForCausalLM.from_pretrained(FOX_PATH),
        reward,
        config,
        Dataset.from_dict({"prompt": ["The quick brown fox"] * 32}),
        processing_class=AutoTokenizer.from_pretrained(FOX_PATH),
        temperature_policy=json.loads(policy),
        callbacks=[EntropyController(entropy, min_temperature=0.5, max_temperature=2.0)] if entropy else [],
    )
    trainer.train()
    rows = [row for row in trainer.state.log_history if "reward" in row]
    print("  ".join(f"{name:>22}" for name in COLUMNS))
    for row in rows[::5]:
        print("  ".join(f"{row[name]:>22.3f}" for name in COLUMNS))
    first, last = rows[:3], rows[-3:]
    shares = [sum(row["reward"] for row in part) / len(part) for part in (first, last)]
    print(f"tales with {animal!r}: {shares[0]:.0%} in the first three batches, {shares[1]:.0%} in the last three")


if __name__ == "__main__":
    typer.run(main)
