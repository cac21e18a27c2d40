"""The table that every measure reads: prompts x samples of one policy, each with its score and its answer.

A table is a list with one row a prompt, in the same order of prompts for all policies, and a row is the list of that prompt's `Outcome`s
in the order of their sample numbers. Nothing here knows how a text was scored or where it came from.
"""

from __future__ import annotations

import math
from collections.abc import Hashable, Sequence
from typing import NamedTuple

import numpy as np

from temp_processors.metrics.arrays import Floats


class Outcome(NamedTuple):
    """What one text is worth.

    Args:
        score: In [0, 1], 1 is right; None where the text could not be scored, which costs this sample only.
        answer: What was taken out of the text, equal for equal answers (`"12"` and `"12.0"` have to be normalised before); None where it
            holds no answer: such a text takes its place in a vote, votes for nothing, and is scored as it is.
        reason: Why there is no score; None where there is one.
        tokens: Tokens that were drawn; None where unknown.
        cut: Whether the text ended because it was long enough.
        weight: Its say in a weighted vote, >= 0; 0 abstains.
    """

    score: float | None
    answer: Hashable = None
    reason: str | None = None
    tokens: int | None = None
    cut: bool = False
    weight: float = 1.0


Row = Sequence[Outcome]
"""The samples of one prompt."""
Table = Sequence[Row]
"""One row a prompt."""
RIGHT = 1.0
"""Score from which a text counts as right where right or wrong is asked for: pass@k, pass^k, solved prompts."""


def scores_of(row: Row) -> Floats:
    """Scores of the samples that have one.

    Example:
        >>> scores_of([Outcome(1.0), Outcome(None, reason="no reference"), Outcome(0)])
        array([1., 0.])
    """
    return np.array([outcome.score for outcome in row if outcome.score is not None], dtype=np.float64)


def right_of(row: Row) -> tuple[int, int]:
    """How many samples have a score, and how many of them are right: n and c of pass@k."""
    scores = scores_of(row)
    return len(scores), int((scores >= RIGHT).sum())


def largest_k(table: Table) -> int:
    """The largest k for which every prompt has samples enough: the fewest scored samples of a prompt, 0 for an empty table."""
    return min((len(scores_of(row)) for row in table), default=0)


def ks_up_to(largest: int) -> tuple[int, ...]:
    """1, 2, 4, 8, ... and the largest.

    Example:
        >>> ks_up_to(12), ks_up_to(8), ks_up_to(0)
        ((1, 2, 4, 8, 12), (1, 2, 4, 8), ())
    """
    return tuple(sorted({*(2**power for power in range(largest.bit_length())), largest} - {0}))


def check_k(k: int, n: int) -> None:
    """Refuse subsets that do not exist.

    Raises:
        ValueError: k is no whole number of at least 1, or larger than the n samples that have a score.
    """
    if isinstance(k, bool) or not isinstance(k, (int, np.integer)) or k < 1:
        raise ValueError(f"`k` has to be a whole number of at least 1, but is {k!r}")
    if k > n:
        given = f"k up to {n} can be given" if n else "no k can be given"
        raise ValueError(f"`k` is {k}, but a prompt has only {n} scored samples: {given}")


def check_table(table: Table) -> None:
    """Refuse scores that are none.

    Raises:
        ValueError: A score outside of [0, 1], a sample with neither score nor reason, or a negative or infinite weight; names prompt and
            sample, counted from 0.
    """
    for prompt, row in enumerate(table):
        for sample, outcome in enumerate(row):
            where = f"prompt {prompt}, sample {sample}"
            if outcome.score is None and not outcome.reason:
                raise ValueError(f"{where}: has neither a score nor a reason why there is none")
            if outcome.score is not None and not 0 <= outcome.score <= 1:
                raise ValueError(f"{where}: a score has to be in [0, 1], but is {outcome.score!r}")
            if not 0 <= outcome.weight < math.inf:
                raise ValueError(f"{where}: a weight has to be finite and at least 0, but is {outcome.weight!r}")
