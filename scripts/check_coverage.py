"""How often the 95 % intervals of `temp_processors.metrics.intervals` hold the truth, in experiments drawn from the story grammar.

python scripts/check_coverage.py
python scripts/check_coverage.py --designs 64x1,64x8 --workers 2 --out temp_processors/metrics/coverage.md

One experiment draws N stories (first 40 words) and N stories of a second process, in which one word of twenty is replaced by a word of a
heavy-tailed vocabulary. Stories of one prompt begin with the same 12 words, in both processes; every experiment draws its own prompts.
The true value of a score is its mean over all experiments of the same design.
"""

from __future__ import annotations

import random
from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor
from functools import partial
from pathlib import Path
from typing import Annotated

import numpy as np
import typer

from temp_processors.fox.grammar import sample_story
from temp_processors.metrics import metric_by_name, tokenize
from temp_processors.metrics.intervals import difference, interval

METRICS = ("distinct_2", "expectation_adjusted_distinct_2", "self_bleu_4")
WORDS = 40
REPLACED = 0.05
OPENING = 12
DESIGNS = "16x1,32x1,64x1,256x1,16x4,64x4,40x5,64x6,64x8,48x12,256x16"


def story(rng: random.Random, opening: Sequence[str] = (), replaced: float = 0.0) -> list[str]:
    """The first words of a story after an opening, some of them replaced by words of Zipf's law with exponent 2."""
    words = [*opening, *sample_story(rng).text.split()[len(opening) :]][:WORDS]
    return [f"z{int(1 / (1 - rng.random()))}" if rng.random() < replaced else word for word in words]


def experiment(size: int, prompts: int, seed: int) -> list[tuple[float, float, float]]:
    """(value, low, high) of every metric, then of every difference, in one experiment."""
    rng = random.Random(f"{size} {seed}" if prompts == 1 else f"{size} {prompts} {seed}")
    clusters = [place * prompts // size for place in range(size)]
    openings = [story(rng)[:OPENING] if prompts > 1 else [] for _ in range(prompts)]
    texts = tokenize([story(rng, openings[prompt]) for prompt in clusters])
    others = tokenize([story(rng, openings[prompt], REPLACED) for prompt in clusters])
    rows = []
    for name in METRICS:
        metric = metric_by_name(name)
        found, value = interval(metric, texts, clusters), metric(texts).value
        rows.append((value, found.low, found.high))
    for name in METRICS:
        change = difference(metric_by_name(name), others, texts, clusters)
        rows.append((change.value, change.interval.low, change.interval.high))
    return rows


def table(size: int, prompts: int, results: np.ndarray) -> list[str]:
    """Rows of the table for one design from the results, shape (experiments, rows, 3)."""
    truth = results[:, :, 0].mean(axis=0)
    held = ((results[:, :, 1] <= truth) & (truth <= results[:, :, 2])).mean(axis=0)
    spread, width = results[:, :, 0].std(axis=0), (results[:, :, 2] - results[:, :, 1]).mean(axis=0)
    names = [*METRICS, *(f"difference of {name}" for name in METRICS)]
    return [
        f"| {size} | {prompts} | {name} | {truth[k]:.4f} | {spread[k]:.4f} | {width[k]:.4f} | {100 * held[k]:.1f} % |"
        for k, name in enumerate(names)
    ]


def main(
    experiments: Annotated[int, typer.Option(help="Experiments for each design.")] = 400,
    designs: Annotated[str, typer.Option(help="Numbers of texts, and of prompts that they share.")] = DESIGNS,
    workers: Annotated[int, typer.Option(help="Processes.")] = 2,
    out: Annotated[Path | None, typer.Option(help="Markdown file for the table.")] = None,
) -> None:
    """Simulate, count, print the table."""
    lines = [
        "| N | prompts | score | truth | sd of the score | mean width | interval holds the truth |",
        "|--:|--:|---|--:|--:|--:|--:|",
    ]
    with ProcessPoolExecutor(workers) as pool:
        for size, prompts in (map(int, design.split("x")) for design in designs.split(",")):
            found = list(pool.map(partial(experiment, size, prompts), range(experiments), chunksize=4))
            lines += table(size, prompts, np.array(found))
            print("\n".join(lines[-6:]), flush=True)
    intro = f"# Coverage of the 95 % intervals\n\n{experiments} experiments for each design, by `scripts/check_coverage.py`.\n\n"
    if out is not None:
        out.write_text(intro + "\n".join(lines) + "\n", encoding="utf-8")


if __name__ == "__main__":
    typer.run(main)
