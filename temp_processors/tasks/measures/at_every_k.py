"""The measures that have a k, at k = 1, 2, 4, 8, ... and the most that every prompt has samples for."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np

from temp_processors.metrics.arrays import Floats
from temp_processors.tasks.measures.best_of_k import best_of_k
from temp_processors.tasks.measures.pass_at_k import pass_at_k
from temp_processors.tasks.measures.pass_hat_k import pass_hat_k
from temp_processors.tasks.measures.table import Row, Table, check_k, ks_up_to, largest_k
from temp_processors.tasks.measures.vote import majority_at_k, weighted_vote_at_k

AT_K: dict[str, Callable[[Row, int], float]] = {
    "pass@k": pass_at_k,
    "pass^k": pass_hat_k,
    "maj@k": majority_at_k,
    "weighted@k": weighted_vote_at_k,
    "best@k": best_of_k,
}
"""Measures of a prompt by their usual names."""


def at_every_k(table: Table, ks: Sequence[int] | None = None) -> dict[str, dict[int, Floats]]:
    """Every measure that has a k: name -> k -> its value of every prompt, (prompts,), which intervals need; their mean is the policy's.

    Votes are left out where no sample has an answer, weighted ones where all weights are equal. `best@k - maj@k`, prompt by prompt, is what
    a perfect selector would gain over the vote.

    Args:
        table: One row a prompt.
        ks: The k to compute; 1, 2, 4, 8, ... and `largest_k` by default.

    Raises:
        ValueError: A k for which some prompt has too few samples; the message says which k can be given.

    Example:
        >>> from temp_processors.tasks.measures import Outcome
        >>> found = at_every_k([[Outcome(1, "12"), Outcome(0, "7")], [Outcome(0, "3"), Outcome(0, "4")]])
        >>> {name: {k: float(values.mean()) for k, values in by_k.items()} for name, by_k in found.items() if name != "pass^k"}
        {'pass@k': {1: 0.25, 2: 0.5}, 'maj@k': {1: 0.25, 2: 0.25}, 'best@k': {1: 0.25, 2: 0.5}}
    """
    largest = largest_k(table)
    for k in ks or ():
        check_k(k, largest)
    outcomes = [outcome for row in table for outcome in row if outcome.score is not None]
    answered = any(outcome.answer is not None for outcome in outcomes)
    weighted = answered and len({outcome.weight for outcome in outcomes}) > 1
    given = {"maj@k": answered, "weighted@k": weighted}
    return {
        name: {k: np.array([measure(row, k) for row in table]) for k in (ks_up_to(largest) if ks is None else ks)}
        for name, measure in AT_K.items()
        if given.get(name, True)
    }
