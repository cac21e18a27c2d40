"""How often the 95 % intervals of a task's scores hold the truth, and how often the test that `plan` plans finds what it should.

python scripts/check_task_coverage.py --experiments 200
python scripts/check_task_coverage.py --out temp_processors/tasks/measures/coverage.md

One experiment draws the accuracy q of every prompt from a beta distribution with mean p and correlation c of two samples of a prompt (so
var(q) = c p (1 - p)), then its samples. Differences are of two policies with the same p: on prompts that are as hard for both (`same`), or
of difficulties of their own (`own`); `coupled` draws share their random numbers too, three of four.
"""

from __future__ import annotations

from itertools import product
from pathlib import Path
from typing import Annotated

import numpy as np
import typer

from temp_processors.metrics.arrays import Floats
from temp_processors.metrics.intervals import Interval
from temp_processors.tasks.measures.prompt_interval import FEW, PromptMean, paired_difference

PROMPTS = (10, 50, 200)
SAMPLES = (4, 16)
ACCURACIES = (0.02, 0.5, 0.98)
CORRELATIONS = (0.1, 0.5)
PAIRS = ("own", "same", "coupled")


def difficulties(rng: np.random.Generator, prompts: int, accuracy: float, correlation: float) -> Floats:
    """Accuracy of every prompt, (prompts,)."""
    size = (1 - correlation) / correlation
    return rng.beta(accuracy * size, (1 - accuracy) * size, prompts)


def scores(rng: np.random.Generator, chances: Floats, samples: int) -> Floats:
    """Mean score of every prompt."""
    return rng.binomial(samples, chances) / samples


def pair(
    rng: np.random.Generator, kind: str, cell: tuple[int, int, float, float], gap: float = 0.0
) -> tuple[Floats, Floats]:
    """Mean scores of two policies on the same prompts; the second is better by `gap` on average."""
    prompts, samples, accuracy, correlation = cell
    first = difficulties(rng, prompts, accuracy, correlation)
    second = difficulties(rng, prompts, accuracy, correlation) if kind == "own" else first
    if gap:  # moves every prompt that far towards right, as a share of what it has to go
        second = second + (1 - second) * gap / (1 - accuracy)
    if kind != "coupled":
        return scores(rng, first, samples), scores(rng, second, samples)
    draws = rng.random((prompts, samples))
    others = np.where(rng.random((prompts, samples)) < 0.75, draws, rng.random((prompts, samples)))
    return (draws < first[:, None]).mean(axis=1), (others < second[:, None]).mean(axis=1)


def row(cell: tuple[int, int, float, float], experiments: int) -> str:
    """One line of the table."""
    prompts, samples, accuracy, correlation = cell
    rng = np.random.default_rng([prompts, samples, round(100 * accuracy), round(100 * correlation)])
    shown = [f"{prompts} | {samples} | {accuracy} | {correlation}"]
    means = [
        PromptMean(scores(rng, difficulties(rng, prompts, accuracy, correlation), samples)) for _ in range(experiments)
    ]
    shown.append(held([(mean.interval(), mean.bound) for mean in means], accuracy))
    for kind in PAIRS:
        pairs = [pair(rng, kind, cell) for _ in range(experiments)]
        shown.append(held([(paired_difference(*two).interval, in_few(*two)) for two in pairs], 0.0))
    return f"| {' | '.join(shown)} |"


def in_few(first: Floats, second: Floats) -> bool:
    """Whether so few prompts are gained or lost that the interval of the difference is a bound."""
    return bool(min((first > second).sum(), (first < second).sum()) < FEW)


def held(found: list[tuple[Interval, bool]], truth: float) -> str:
    """Per cent of intervals that hold the truth, in brackets that of bounds where it is 5 or more."""
    share = np.mean([interval.low <= truth <= interval.high for interval, _ in found])
    bounds = np.mean([bound for _, bound in found])
    return f"{100 * share:.1f}" + (f" ({100 * bounds:.0f})" if bounds >= 0.05 else "")


INTRO = """# Coverage of the 95 % intervals of a task's scores

How often the interval held the truth, in per cent, by `scripts/check_task_coverage.py`; {experiments} experiments a row. In brackets,
where it is 5 or more, the per cent of experiments with a bound in place of an interval: fewer than 5 prompts differ from 0 or from 1, or,
for a difference, fewer than 5 prompts are gained or lost. A bound holds the truth at least as often as it says, and nearly always where
hardly any prompt differs. `own`, `same`, `coupled`: differences of two policies that are equally good, on prompts that are differently or
equally hard for both, without and with shared random numbers.

| prompts | samples | accuracy | correlation | value | own | same | coupled |
|--:|--:|--:|--:|--:|--:|--:|--:|
"""


def main(
    experiments: Annotated[int, typer.Option(help="Experiments for each row.")] = 1000,
    out: Annotated[Path | None, typer.Option(help="Markdown file for the tables.")] = None,
) -> None:
    """Simulate, count, print the tables."""
    lines = []
    for cell in product(PROMPTS, SAMPLES, ACCURACIES, CORRELATIONS):
        lines.append(row(cell, experiments))
        print(lines[-1], flush=True)
    if out is not None:
        out.write_text(INTRO.format(experiments=f"{experiments:,}") + "\n".join(lines) + "\n", encoding="utf-8")


if __name__ == "__main__":
    typer.run(main)
