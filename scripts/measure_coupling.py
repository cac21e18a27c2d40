"""By how much `coupled: true` steadies the difference between two temperatures, on the model that ships.

python scripts/measure_coupling.py
python scripts/measure_coupling.py --temperatures 0.9,1.0 --replicates 100

One replicate is a small experiment of its own: 64 texts at each temperature, and the difference of their distinct-2 and
self-BLEU-4. Its standard deviation over replicates is the noise that coupling is meant to reduce. Both kinds of drawing
have the same expected difference.
"""

from __future__ import annotations

import math
import statistics
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Annotated, Any

import torch
import typer
from transformers import AutoModelForCausalLM, AutoTokenizer

from temp_processors.engines.decoding.decode import decode
from temp_processors.engines.engine import DecodeRow
from temp_processors.experiment.plan import sample_seed
from temp_processors.fox import FOX_PATH
from temp_processors.metrics import metric_by_name
from temp_processors.policies.fixed import FixedTemperatureLogitsWarper

METRICS = ("distinct_2", "self_bleu_4")
PROMPT = "The quick brown fox"
TEXTS, TOKENS = 64, 32
TOGETHER = 8  # replicates in one batch


def main(
    temperatures: Annotated[str, typer.Option(help="Two of them.")] = "0.7,1.0",
    replicates: Annotated[int, typer.Option(help="Experiments for each kind of drawing.")] = 200,
    out: Annotated[Path | None, typer.Option(help="Also append the lines to this file.")] = None,
) -> None:
    """Print a line for each metric: mean and standard deviation of the difference, apart and coupled, and their ratio."""
    torch.set_num_threads(1)
    low, high = (float(text) for text in temperatures.split(","))
    apart, coupled = (list(differences((low, high), replicates, coupled=coupled)) for coupled in (False, True))
    for position, metric in enumerate(METRICS):
        line = f"T={high} minus T={low}: {metric}: {described(apart, coupled, position)} ({replicates} replicates each)"
        typer.echo(line)
        if out is not None:
            with out.open("a", encoding="utf-8") as lines:
                lines.write(line + "\n")


def described(apart: Sequence[list[float]], coupled: Sequence[list[float]], position: int) -> str:
    """Means, standard deviations, and the ratio of the latter with its standard error (that of two normal samples)."""
    columns = [[row[position] for row in rows] for rows in (apart, coupled)]
    (mean_apart, sd_apart), (mean_coupled, sd_coupled) = ((statistics.mean(c), statistics.stdev(c)) for c in columns)
    ratio, error = sd_coupled / sd_apart, sd_coupled / sd_apart / math.sqrt(len(apart) - 1)
    return (
        f"apart {mean_apart:.4f} sd {sd_apart:.4f}, coupled {mean_coupled:.4f} sd {sd_coupled:.4f}, "
        f"ratio {ratio:.2f} +- {error:.2f}"
    )


def differences(temperatures: tuple[float, float], replicates: int, *, coupled: bool) -> Iterator[list[float]]:
    """For every replicate the differences of all metrics, second temperature minus first."""
    tokenizer, model = AutoTokenizer.from_pretrained(FOX_PATH), AutoModelForCausalLM.from_pretrained(FOX_PATH).eval()
    prompt = tuple(tokenizer(PROMPT)["input_ids"])
    policies = [policy(temperature) for temperature in temperatures]
    for first in range(0, replicates, TOGETHER):
        numbers = range(first, min(first + TOGETHER, replicates))
        cells = [(number, which, text) for number in numbers for which in (0, 1) for text in range(TEXTS)]
        rows = [
            DecodeRow(prompt, which, sample_seed(number, 0, text, None if coupled else str(which)))
            for number, which, text in cells
        ]
        texts: dict[tuple[int, int], list[str]] = {}
        done = decode(model, rows, policies, max_new_tokens=TOKENS, eos_token_ids=[2], pad_token_id=0, coupled=coupled)
        for found in sorted(done, key=lambda found: found.row):
            texts.setdefault(cells[found.row][:2], []).append(tokenizer.decode(found.token_ids))
        for number in numbers:
            yield [
                metric_by_name(m)(texts[number, 1]).value - metric_by_name(m)(texts[number, 0]).value for m in METRICS
            ]


def policy(temperature: float) -> Any:
    """The factory that `decode` asks for."""
    return lambda prompt_length: FixedTemperatureLogitsWarper(temperature, prompt_length=prompt_length)


if __name__ == "__main__":
    typer.run(main)
