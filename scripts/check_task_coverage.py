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

from temp_processors.comparison.best import task_verdict
from temp_processors.comparison.sample_size import CORRELATION, SHARED, sizes, spread_from_accuracy
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


def pair(rng: np.random.Generator, kind: str, cell: tuple[int, int, float, float]) -> tuple[Floats, Floats]:
    """Mean scores of two policies that are equally good."""
    prompts, samples, accuracy, correlation = cell
    first = difficulties(rng, prompts, accuracy, correlation)
    second = difficulties(rng, prompts, accuracy, correlation) if kind == "own" else first
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


def power(accuracy: float, difference: float, samples: int, experiments: int) -> str:
    """One line of the table of power: two policies whose difficulties are shared for four prompts of five, as `plan` takes it."""
    spread = spread_from_accuracy(accuracy)
    size = next(size for size in sizes(spread, difference) if size.samples == samples)
    rng = np.random.default_rng([round(100 * accuracy), round(100 * difference), samples])
    found, low = 0, accuracy - difference / 2
    for _ in range(experiments):
        first, own = (difficulties(rng, size.prompts, low, CORRELATION) for _ in range(2))
        second = np.where(rng.random(size.prompts) < SHARED, first, own)
        second = second + (1 - second) * difference / (1 - low)  # every prompt, a share of what it has to go
        values = {"worse": scores(rng, first, samples), "better": scores(rng, second, samples)}
        verdict = task_verdict(values)
        found += verdict.leader.name == "better" and verdict.policies[1].verdict == "lower"
    return f"| {accuracy} | {difference} | {samples} | {size.prompts:,} | {100 * found / experiments:.0f} % |"


POWERS = """
## Power of the verdict at the sizes that `plan` proposes for 80 %

Two policies, one better by the difference; how often the verdict says `lower` of the other.

| accuracy | difference | samples | prompts | found |
|--:|--:|--:|--:|--:|
"""
PLANNED = (
    (0.02, 0.02, 4),
    (0.1, 0.05, 8),
    (0.2, 0.1, 16),
    (0.5, 0.02, 16),
    (0.5, 0.05, 4),
    (0.5, 0.1, 1),
    (0.5, 0.2, 4),
)
PLANNED += ((0.7, 0.08, 8), (0.9, 0.02, 4), (0.9, 0.05, 1))

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
    powers = [power(*planned, experiments) for planned in PLANNED]
    print(POWERS + "\n".join(powers))
    if out is not None:
        tables = (
            INTRO.format(experiments=f"{experiments:,}") + "\n".join(lines) + "\n" + POWERS + "\n".join(powers) + "\n"
        )
        out.write_text(tables, encoding="utf-8")


if __name__ == "__main__":
    typer.run(main)
