"""Agreement: the chance that two different samples of a prompt give the same answer, sum of n_a (n_a - 1) over n (n - 1).

Choices: the unbiased estimate (pairs of different samples), not the sum of squared shares, which never falls to 0; a sample without an
answer agrees with nobody; samples without a score take part, since agreement needs no reference. It is 1 minus Simpson's diversity index.
"""

from __future__ import annotations

import math
from collections import Counter

from temp_processors.tasks.measures.table import Row


def agreement(row: Row) -> float:
    """Agreement of one prompt, in [0, 1]; NaN for fewer than two samples.

    Example:
        >>> from temp_processors.tasks.measures import Outcome
        >>> agreement([Outcome(1, "12"), Outcome(1, "12"), Outcome(1, "12"), Outcome(0, "7")])  # 3 of 6 pairs
        0.5
    """
    n = len(row)
    if n < 2:
        return math.nan
    counts = Counter(outcome.answer for outcome in row if outcome.answer is not None)
    return sum(count * (count - 1) for count in counts.values()) / (n * (n - 1))
