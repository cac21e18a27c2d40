"""Measure the shipped model against the grammar's own entropy, and write the numbers into its card.

python scripts/measure_fox.py
python scripts/measure_fox.py --model checkpoints/fox --stories 500 --no-write
"""

from __future__ import annotations

import random
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated, NamedTuple

import torch
import typer
from transformers import AutoModelForCausalLM, AutoTokenizer

from temp_processors.fox import FOX_PATH
from temp_processors.fox.grammar import Story, sample_story

MARKS = re.compile(r"(<!-- measured -->\n).*?(<!-- end -->)", flags=re.S)


class Measured(NamedTuple):
    """Sums over the measured tales. Log-probabilities are natural; tokens include the end of each tale, not its beginning."""

    stories: int
    tokens: int
    model: float
    grammar: float

    @property
    def cross_entropy(self) -> float:
        """Of the model on the tales, nats per token."""
        return -self.model / self.tokens

    @property
    def entropy(self) -> float:
        """Of the grammar on the same tales, nats per token."""
        return -self.grammar / self.tokens

    @property
    def gap(self) -> float:
        """How far the model stands above the limit, as a share of it."""
        return self.cross_entropy / self.entropy - 1


def held_out(count: int, seed: int = 0) -> Iterator[Story]:
    """Tales from a random stream that training never uses."""
    rng = random.Random(f"held out/{seed}")
    return (sample_story(rng) for _ in range(count))


def measure(folder: Path, stories: int, batch_size: int = 64) -> Measured:
    """Log-probability of held-out tales under the model in `folder` and under the grammar."""
    tokenizer = AutoTokenizer.from_pretrained(folder)
    model = AutoModelForCausalLM.from_pretrained(folder).eval()
    tales = list(held_out(stories))
    total = Measured(len(tales), 0, 0.0, sum(tale.log_prob for tale in tales))
    for start in range(0, len(tales), batch_size):
        texts = [tale.text for tale in tales[start : start + batch_size]]
        rows = [[*ids, tokenizer.eos_token_id] for ids in tokenizer(texts)["input_ids"]]
        longest = max(map(len, rows))
        ids = torch.tensor([row + [tokenizer.pad_token_id] * (longest - len(row)) for row in rows])
        with torch.inference_mode():
            log_probs = torch.log_softmax(model(ids[:, :-1]).logits, dim=-1).gather(-1, ids[:, 1:, None]).squeeze(-1)
        kept = ids[:, 1:] != tokenizer.pad_token_id
        total = total._replace(
            tokens=total.tokens + int(kept.sum()), model=total.model + log_probs[kept].double().sum().item()
        )
    return total


def card_lines(measured: Measured, parameters: int) -> str:
    """The measured part of the model card."""
    return (
        f"| | |\n|---|---|\n| parameters | {parameters:,} |\n| held-out tales | {measured.stories:,} ({measured.tokens:,} tokens) |\n"
        f"| cross-entropy of the model | {measured.cross_entropy:.4f} nats per token |\n"
        f"| entropy of the grammar, the limit | {measured.entropy:.4f} nats per token |\n"
        f"| gap | {measured.gap:.2%} |\n"
    )


def main(
    model: Annotated[Path, typer.Option(help="Model folder.")] = FOX_PATH,
    stories: Annotated[int, typer.Option(help="Held-out tales.")] = 2000,
    write: Annotated[bool, typer.Option(help="Write the numbers into the model card.")] = True,
) -> None:
    """Print cross-entropy, entropy and gap; with --write put them into README.md of the model folder."""
    measured = measure(model, stories)
    parameters = sum(p.numel() for p in AutoModelForCausalLM.from_pretrained(model).parameters())
    lines = card_lines(measured, parameters)
    print(lines)
    if write:
        card = model / "README.md"
        card.write_text(
            MARKS.sub(lambda found: found[1] + lines + found[2], card.read_text(encoding="utf-8")), encoding="utf-8"
        )


if __name__ == "__main__":
    typer.run(main)
