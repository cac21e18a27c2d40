"""What answers cost: share of texts that were cut off, tokens a text, tokens for every prompt solved.

Tokens per solved prompt at k = k * (mean tokens of a text) / (pass@k), means over prompts: what is drawn on average until one prompt more
is solved, if k samples are drawn for each. Choices: a ratio of means, not a mean of ratios, which is infinite as soon as one prompt is
never solved; infinite where no prompt is; NaN where tokens are unknown. Texts count whether or not they could be scored: they were paid.
"""

from __future__ import annotations

import math

import numpy as np

from temp_processors.tasks.measures.pass_at_k import pass_at_k
from temp_processors.tasks.measures.table import Row, Table


def cut_share(row: Row) -> float:
    """Share of a prompt's texts that ended because they were long enough, in [0, 1]; NaN without texts.

    Example:
        >>> from temp_processors.tasks.measures import Outcome
        >>> cut_share([Outcome(1, cut=True), Outcome(0)])
        0.5
    """
    return sum(outcome.cut for outcome in row) / len(row) if row else math.nan


def tokens_per_text(row: Row) -> float:
    """Mean tokens of a prompt's texts; NaN where they are unknown."""
    known = [outcome.tokens for outcome in row if outcome.tokens is not None]
    return sum(known) / len(known) if known else math.nan


def tokens_per_solved(table: Table, k: int) -> float:
    """Tokens for every prompt solved, when k samples are drawn for each.

    Raises:
        ValueError: As `pass_at_k`.

    Example:
        >>> from temp_processors.tasks.measures import Outcome
        >>> tokens_per_solved([[Outcome(1, tokens=10), Outcome(0, tokens=30)], [Outcome(0, tokens=20), Outcome(0, tokens=20)]], 2)
        80.0
    """
    solved = float(np.mean([pass_at_k(row, k) for row in table]))
    tokens = float(np.mean([tokens_per_text(row) for row in table]))
    return k * tokens / solved if solved else math.inf
