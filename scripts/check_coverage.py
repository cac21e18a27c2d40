"""How often the 95 % intervals of `temp_processors.metrics.intervals` hold the truth, in experiments drawn from the story grammar.

python scripts/check_coverage.py
python scripts/check_coverage.py --experiments 400 --workers 2 --out temp_processors/metrics/coverage.md

One experiment draws N stories (first 40 words) and N stories of a second process, in which one word of twenty is replaced by a word of a
heavy-tailed vocabulary. The true value of a score is its mean over all experiments of the same N.
"""

from __future__ import annotations

import random
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


def story(rng: random.Random, replaced: float = 0.0) -> list[str]:
    """The first words of a story, some of them replaced by words of Zipf's law with exponent 2."""
    words = sample_story(rng).text.split()[:WORDS]
    return [f"z{int(1 / (1 - rng.random()))}" if rng.random() < replaced else word for word in words]


def experiment(size: int, seed: int) -> list[tuple[float, float, float]]:
    """(value, low, high) of every metric, then of every difference, in one experiment."""
    rng = random.Random(f"{size} {seed}")
    texts = tokenize([story(rng) for _ in range(size)])
    others = tokenize([story(rng, REPLACED) for _ in range(size)])
    rows = []
    for name in METRICS:
        metric = metric_by_name(name)
        found, value = interval(metric, texts), metric(texts).value
        rows.append((value, found.low, found.high))
    for name in METRICS:
        change = difference(metric_by_name(name), others, texts)
        rows.append((change.value, change.interval.low, change.interval.high))
    return rows


def table(size: int, results: np.ndarray) -> list[str]:
    """Rows of the table for one N from the results, shape (experiments, rows, 3)."""
    truth = results[:, :, 0].mean(axis=0)
    held = ((results[:, :, 1] <= truth) & (truth <= results[:, :, 2])).mean(axis=0)
    spread, width = results[:, :, 0].std(axis=0), (results[:, :, 2] - results[:, :, 1]).mean(axis=0)
    names = [*METRICS, *(f"difference of {name}" for name in METRICS)]
    return [
        f"| {size} | {name} | {truth[k]:.4f} | {spread[k]:.4f} | {width[k]:.4f} | {100 * held[k]:.1f} % |"
        for k, name in enumerate(names)
    ]


def main(
    experiments: Annotated[int, typer.Option(help="Experiments for each N.")] = 400,
    sizes: Annotated[str, typer.Option(help="Numbers of texts.")] = "16,64,256",
    workers: Annotated[int, typer.Option(help="Processes.")] = 2,
    out: Annotated[Path | None, typer.Option(help="Markdown file for the table.")] = None,
) -> None:
    """Simulate, count, print the table."""
    lines = [
        "| N | score | truth | sd of the score | mean width | interval holds the truth |",
        "|--:|---|--:|--:|--:|--:|",
    ]
    with ProcessPoolExecutor(workers) as pool:
        for size in map(int, sizes.split(",")):
            found = list(pool.map(partial(experiment, size), range(experiments), chunksize=4))
            lines += table(size, np.array(found))
            print("\n".join(lines[-6:]), flush=True)
    intro = (
        f"# Coverage of the 95 % intervals\n\n{experiments} experiments for each N, by `scripts/check_coverage.py`.\n\n"
    )
    if out is not None:
        out.write_text(intro + "\n".join(lines) + "\n", encoding="utf-8")


if __name__ == "__main__":
    typer.run(main)
