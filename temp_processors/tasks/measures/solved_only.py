"""Solved by which: prompts that are solved at one policy only, with the chance of that under equal rates.

A prompt is solved by a policy when at least one of its n_p samples is right. If all policies had the same chance on a prompt, its C right
samples would lie anywhere among the N = sum of n_p, and all of them with policy p with probability C(n_p, C) / C(N, C). Summed over prompts
that is how many are expected to be solved by p alone; the number of them is a sum of independent yes-or-no draws (Poisson binomial), whose
upper tail at the number that was seen is the p-value. A prompt of few right samples is often solved at one policy by luck.

Choices: the number of right samples of each prompt is held fixed (a permutation test, exact); under `coupled` draws the samples of policies
resemble each other, and fewer prompts than expected are solved at one policy only.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import NamedTuple

import numpy as np

from temp_processors.tasks.measures.table import Table, right_of


class SolvedOnly(NamedTuple):
    """Prompts that one policy alone solved.

    Args:
        prompts: Their positions.
        expected: How many there would be if rates were equal on every prompt.
        p_value: Chance of as many or more, if rates were equal.
    """

    prompts: tuple[int, ...]
    expected: float
    p_value: float


def solved_only(tables: Mapping[str, Table]) -> dict[str, SolvedOnly]:
    """For every policy the prompts that it alone solved.

    Raises:
        ValueError: Policies have different numbers of prompts.

    Example:
        >>> from temp_processors.tasks.measures import Outcome
        >>> yes, no = Outcome(1), Outcome(0)
        >>> found = solved_only({"cold": [[yes, no], [no, no]], "warm": [[no, no], [yes, yes]]})
        >>> found["warm"].prompts, found["warm"].expected  # 1/2 of the first, 1/6 of the second
        ((1,), 0.6666666666666666)
    """
    counts = {name: [right_of(row) for row in table] for name, table in tables.items()}
    if len({len(rows) for rows in counts.values()}) > 1:
        raise ValueError("policies have different numbers of prompts, so that prompts cannot be compared")
    prompts = list(zip(*counts.values(), strict=True))
    totals = [(sum(n for n, _ in row), sum(c for _, c in row)) for row in prompts]
    found = {}
    for place, name in enumerate(counts):
        chances = [_alone(row[place][0], *total) for row, total in zip(prompts, totals, strict=True)]
        alone = [i for i, row in enumerate(prompts) if row[place][1] and row[place][1] == totals[i][1]]
        found[name] = SolvedOnly(tuple(alone), sum(chances), _tail(chances, len(alone)))
    return found


def _alone(own: int, samples: int, right: int) -> float:
    return math.comb(own, right) / math.comb(samples, right) if right else 0.0


def _tail(chances: list[float], least: int) -> float:
    """Chance that at least so many of independent draws say yes."""
    counts = np.eye(1, len(chances) + 1)[0]
    for chance in chances:
        counts[1:] = counts[1:] * (1 - chance) + counts[:-1] * chance
        counts[0] *= 1 - chance
    return min(1.0, float(counts[least:].sum()))
