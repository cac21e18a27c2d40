"""`plan`: prompts and samples that show a difference, from a pilot run or a stated accuracy, beside what a configuration has."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from itertools import combinations
from pathlib import Path

import numpy as np

from temp_processors.comparison.sample_size import (
    Spread,
    level_of,
    sizes,
    smallest_difference,
    spread_from_pilot,
)
from temp_processors.config.counts import counted
from temp_processors.metrics.arrays import Floats


class PilotError(ValueError):
    """A run is no pilot; the message says why."""


def pilot_spread(folder: Path) -> Spread:
    """The spread of a run with a task, the mean over all pairs of its policies; of its first scorer.

    Raises:
        PilotError: No run with answers, fewer than two policies, or fewer than 4 prompts.
    """
    scores = scores_of_run(folder)
    if len(scores) < 2:
        raise PilotError(f"{folder}: a pilot needs two policies, but has {len(scores)}")
    try:
        found = [spread_from_pilot(scores[one], scores[other]) for one, other in combinations(scores, 2)]
    except ValueError as error:
        raise PilotError(f"{folder}: {error}") from error
    return Spread(float(np.mean([s.between for s in found])), float(np.mean([s.within for s in found])))


def scores_of_run(folder: Path) -> dict[str, list[Floats]]:
    """Policy -> scores of the samples of every prompt, in order of their numbers, NaN where there is none; of the first scorer.

    Raises:
        PilotError: No run with answers.
    """
    path = folder / "answers.jsonl"
    if not path.is_file():
        raise PilotError(f"{path}: no such file: a pilot is a finished run of a configuration with a `task`")
    with path.open(encoding="utf-8") as lines:
        return _scores(map(json.loads, lines))


def _scores(rows: Iterator[Mapping[str, object]]) -> dict[str, list[Floats]]:
    held: dict[str, dict[tuple[int, int], float]] = {}
    for row in rows:
        score = next(iter(row["scores"].values()))  # type: ignore[attr-defined]
        place = int(row["prompt_id"]), int(row["sample_id"])  # type: ignore[call-overload]
        held.setdefault(str(row["policy"]), {})[place] = np.nan if score is None else float(score)
    prompts = 1 + max(prompt for by_place in held.values() for prompt, _ in by_place)
    samples = 1 + max(sample for by_place in held.values() for _, sample in by_place)
    tables = {}
    for policy, by_place in held.items():
        table = np.full((prompts, samples), np.nan)
        for place, score in by_place.items():
            table[place] = score
        tables[policy] = list(table)
    return tables


def plan_lines(
    spread: Spread, difference: float, policies: int, prompts: int, samples: int, *, told: str
) -> Sequence[str]:
    """A plan in words.

    Args:
        spread: Of the difference of two policies over prompts.
        difference: To be shown.
        policies: That are compared.
        prompts, samples: What the configuration has.
        told: Where the spread comes from.

    Raises:
        ValueError: As `sizes`.
    """
    lines = [f"to show a difference of {difference:g} between {policies} policies in 4 of 5 runs ({told}):"]
    lines.append("  samples  prompts  texts of each policy")
    planned = sizes(spread, difference, policies)
    lines += [f"  {size.samples:>7,}  {size.prompts:>7,}  {size.texts:>20,}" for size in planned]
    here = smallest_difference(prompts, spread.at(samples), level=level_of(policies)) if prompts >= 4 else 1.0
    shows = f"it shows differences of {here:.2g} and more"
    judged = (
        "too few to show any difference" if here >= 1 else f"{'enough' if here <= difference else 'too few'}: {shows}"
    )
    return [*lines, f"the configuration has {counted(prompts, 'prompt')} x {counted(samples, 'sample')}, {judged}"]
