"""Best of k, chosen by one who knows the scores: the expected largest score of k samples, over all subsets of size k.

With the scores sorted, s_1 <= ... <= s_n, it is the sum of s_i C(i - 1, k - 1) / C(n, k): s_i is the largest of the subsets that take the
other k - 1 below it. For scores of 0 and 1 it is pass@k. What it is above maj@k is what a perfect selector would gain over the vote.
"""

from __future__ import annotations

import numpy as np

from temp_processors.tasks.measures.table import Row, check_k, scores_of


def best_of_k(row: Row, k: int) -> float:
    """Expected largest score of one prompt, in [0, 1].

    Raises:
        ValueError: k below 1, or above the number of scored samples.

    Example:
        >>> from temp_processors.tasks.measures import Outcome
        >>> best_of_k([Outcome(0.2), Outcome(0.5), Outcome(1)], 2)  # 0.5, 1 and 1
        0.8333333333333333
    """
    scores = np.sort(scores_of(row))[::-1]
    n = len(scores)
    check_k(k, n)
    chance, total = k / n, 0.0  # that the largest is among k of n; then that the next is the largest of them
    for place, score in enumerate(scores[: n - k + 1]):
        total += chance * score
        if place < n - k:
            chance *= (n - k - place) / (n - 1 - place)
    return min(1.0, float(total))
