"""How often the 95 % intervals of `temp_processors.metrics.intervals` hold the truth, and how often verdicts are false.

python scripts/check_coverage.py --design stories --design 'uniform words' --experiments 200
python scripts/check_coverage.py --workers 2 --out temp_processors/metrics/coverage.md

One experiment draws N texts of one process, N of a second one that differs from it in one word of twenty, and N texts of the second one
that share their random numbers with the first (a coupled difference). The true value of a score is its mean over all experiments of a
design and size. `scripts/draw_pools.py` drew the texts of the two models.
"""

from __future__ import annotations

import random
import re
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from functools import partial
from pathlib import Path
from typing import Annotated, Any

import numpy as np
import typer
from coverage_designs import DESIGNS, log_probs, pool

from temp_processors.fox.grammar import sample_story
from temp_processors.metrics import CATALOGUE, tokenize
from temp_processors.metrics.ends import few_events
from temp_processors.metrics.intervals import Measured, difference_interval, difference_of, holm, measure

METRICS = (
    "distinct_1",
    "distinct_2",
    "distinct_4",
    "distinct_2_per_text",
    "self_bleu_2",
    "self_bleu_4",
    "seq_rep_2",
    "unique_share",
    "mean_length",
    "perplexity",
)
EDGE = 1e-12
LARGE = 200  # texts from which a design gets a third of the experiments


def experiment(name: str, size: int, prompts: int, seed: int) -> list[tuple[float, float, float, float]]:
    """(value, low, high, whether these are bounds) of every metric, of every difference, of every coupled difference; NaN ends where
    refused, values of perplexity as logarithms."""
    rng = random.Random(f"{name} {size} {prompts} {seed}")
    clusters = [place * prompts // size for place in range(size)]
    first, second = (DESIGNS[name].draw(rng, clusters) for _ in range(2))
    sides = [first.texts, second.replaced, first.replaced]
    tokens = [tokenize(side) for side in sides]
    chances = [log_probs(rng, side) for side in sides[:2]]
    chances.append([(value * rng.lognormvariate(0, 0.1), count) for value, count in chances[0]])
    rows: list[list[tuple[float, float, float, float]]] = [[], [], []]
    for metric in map(CATALOGUE.__getitem__, METRICS):
        items: list[Any] = chances if metric.takes == "log_probs" else tokens
        scale = np.log if metric.takes == "log_probs" else float
        own, other, coupled = (_measured(metric, held, clusters) for held in items)
        found = own.interval()
        rows[0].append((scale(own.score.value), scale(found.low), scale(found.high), _bounded(own)))
        for place, side in enumerate((other, coupled), start=1):
            ends = difference_interval(side, own)
            value = scale(side.score.value) - scale(own.score.value)
            rows[place].append((value, scale(ends.low), scale(ends.high), _bounded(own) or _bounded(side)))
    return [row for part in rows for row in part]


def _bounded(side: Measured) -> bool:
    """Whether what is said of a score are bounds on a handful of events, or on what was not seen."""
    return side.influence is not None and (side.refusal is not None or few_events(side.influence, side.scale))


def _measured(metric: Any, items: Any, clusters: Sequence[int]) -> Any:
    if metric.takes == "log_probs":
        score = metric.function([pair[0] for pair in items], [pair[1] for pair in items])
        return measure(metric, items, clusters, score=score)
    return measure(metric, items, clusters)


def cells(results: np.ndarray) -> list[str]:
    """One cell for each score: how often the interval held the truth, b where most were bounds, in how many experiments there was one."""
    truth = np.nanmean(results[:, :, 0], axis=0)
    given = np.isfinite(results[:, :, 1]) | np.isfinite(results[:, :, 2])
    held = (results[:, :, 1] <= truth + EDGE) & (truth - EDGE <= results[:, :, 2])
    found = []
    for place in range(results.shape[1]):
        some, share = given[:, place], given[:, place].mean()
        if share < 0.05:
            found.append("refused")
            continue
        mark = "b" if results[some, place, 3].mean() > 0.5 or results[:, place, 0].std() < EDGE else ""
        right = f"{100 * held[some, place].mean():.1f}{mark}"
        found.append(right if share > 0.995 else f"{right} ({100 * share:.0f})")
    return found


def false_verdicts(seed: int, policies: int = 6, size: int = 32) -> bool:
    """Whether a table of equal policies has a verdict: Holm over all metrics and policies."""
    rng = random.Random(f"equal {seed}")
    names = ("distinct_1", "distinct_2", "distinct_4", "self_bleu_4", "mean_length", "unique_share")
    groups = [tokenize([sample_story(rng).text.split()[:40] for _ in range(size)]) for _ in range(policies)]
    values = []
    for name in names:
        base, *others = (measure(CATALOGUE[name], group) for group in groups)
        values += [difference_of(other, base).p_value for other in others]
    return any(value < 0.05 for value in holm(values))


def power(size: int, seed: int) -> list[bool]:
    """Whether fox at T = 0.9 and at 1.0 are told apart, for distinct-2, self-BLEU-4 and perplexity's texts' length."""
    rng = random.Random(f"power {size} {seed}")
    warm, hot = (tokenize(rng.sample(pool(f"fox-{t}"), size)) for t in ("0.9", "1.0"))
    metrics = [CATALOGUE[name] for name in ("distinct_2", "self_bleu_4")]
    return [difference_of(measure(metric, hot), measure(metric, warm)).p_value < 0.05 for metric in metrics]


def tables(names: Sequence[str], experiments: int, largest: int, run: Callable[..., Any]) -> Iterator[str]:
    """Lines of the tables, design by design."""
    heads = ["value", "difference", "coupled difference"]
    parts: list[list[str]] = [[], [], []]
    for name in names:
        for size, prompts in DESIGNS[name].sizes:
            if size > largest:
                continue
            count = experiments // 3 if size >= LARGE else experiments
            found = np.array(list(run(partial(experiment, name, size, prompts), range(count), chunksize=4)))
            mark = "" if DESIGNS[name].tuned else " *"
            row = cells(found)
            for place in range(3):
                shown = row[place * len(METRICS) : (place + 1) * len(METRICS)]
                parts[place].append(f"| {name}{mark} | {size} | {prompts} | {' | '.join(shown)} |")
            print(parts[0][-1], flush=True)
    for head, lines in zip(heads, parts, strict=True):
        yield f"\n## Intervals of a {head}\n"
        yield f"| texts | N | prompts | {' | '.join(METRICS)} |"
        yield "|---|--:|--:|" + "--:|" * len(METRICS)
        yield from lines


def verdicts(experiments: int, run: Callable[..., Any]) -> list[str]:
    """Lines on false verdicts, and on true differences that are found."""
    wrong = np.mean(list(run(false_verdicts, range(experiments), chunksize=4)))
    lines = [
        "\n## False verdicts and power\n",
        f"Tables of 6 equal policies x 6 metrics, 32 texts each, with at least one verdict: {100 * wrong:.1f} %.\n",
        "fox at T = 0.9 and at T = 1.0 are told apart (without correction) in this share of experiments:\n",
        "| N | distinct_2 | self_bleu_4 |",
        "|--:|--:|--:|",
    ]
    for size in (16, 32, 64, 256):
        told = np.mean(list(run(partial(power, size), range(experiments // 3), chunksize=4)), axis=0)
        lines.append(f"| {size} | " + " | ".join(f"{100 * share:.0f} %" for share in told) + " |")
    return lines


INTRO = """# Coverage of the 95 % intervals

How often the interval held the truth, in per cent, by `scripts/check_coverage.py`; {experiments} experiments a row, a third of it at 256
texts: {low:.0f} to {high:.0f} are within chance of 95. In brackets the per cent of experiments that gave an interval, where not all did;
`refused` where fewer than 5 % did: there `score`, `run` and `compare` print a reason in its place. `b`: most were bounds, because a
handful of repeats was seen, or none, or because few texts differed; a bound on a count mostly holds more often than it says, often always.
With one prompt the unit is the text, with several the prompt. Texts marked * were not looked at while the method was chosen.
Perplexities are made up, with heavy tails. Metrics that are not here have no interval and no verdict.
"""


def summary(lines: Sequence[str]) -> str:
    """How many cells lie outside of 92 to 98 per cent."""
    found = [
        cell
        for line in lines
        for cell in re.findall(r" ([0-9.]+)(b?)(?: \([0-9]+\))? (?=\|)", line.partition(" | ")[2])
    ]
    cells = [(float(value), bool(bound)) for value, bound in found if "." in value]
    plain = [value for value, bound in cells if not bound]
    inside, below = sum(92 <= value <= 98 for value in plain), sum(value < 92 for value, _ in cells)
    return (
        f"Of {len(plain)} cells that are no bounds {inside} lie between 92 and 98, nearly all others above; "
        f"below 92 lie {below} of all {len(cells)}, the lowest at {min(value for value, _ in cells):.1f}."
    )


def main(
    experiments: Annotated[int, typer.Option(help="Experiments for each design and size.")] = 600,
    design: Annotated[list[str] | None, typer.Option(help="Name of a design; repeatable, all by default.")] = None,
    largest: Annotated[int, typer.Option(help="Leave out designs of more texts.")] = 256,
    workers: Annotated[int, typer.Option(help="Processes.")] = 2,
    out: Annotated[Path | None, typer.Option(help="Markdown file for the tables.")] = None,
) -> None:
    """Simulate, count, print the tables."""
    names = design or list(DESIGNS)
    with ProcessPoolExecutor(workers) as processes:
        lines = list(tables(names, experiments, largest, processes.map))
        lines += [] if design else verdicts(experiments, processes.map)
    chance = 196 * (0.95 * 0.05 / experiments) ** 0.5
    text = (
        INTRO.format(experiments=experiments, low=95 - chance, high=min(100.0, 95 + chance))
        + "\n".join([summary(lines), *lines])
        + "\n"
    )
    print(text)
    if out is not None:
        out.write_text(text, encoding="utf-8")


if __name__ == "__main__":
    typer.run(main)
