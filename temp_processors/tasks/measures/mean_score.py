"""Mean score of a prompt's samples: s = (s_1 + ... + s_n) / n. For right or wrong it is the accuracy, and pass@1.

Choices: samples without a score are left out; a policy's value is the mean over prompts, so that every prompt counts alike however many
of its samples have a score.
"""

from __future__ import annotations

import math

from temp_processors.tasks.measures.table import Row, scores_of


def mean_score(row: Row) -> float:
    """Mean score of one prompt, in [0, 1]; NaN where no sample has a score.

    Example:
        >>> from temp_processors.tasks.measures import Outcome
        >>> mean_score([Outcome(1), Outcome(0), Outcome(0.5), Outcome(None, reason="timed out")])
        0.5
    """
    scores = scores_of(row)
    return float(scores.mean()) if len(scores) else math.nan
