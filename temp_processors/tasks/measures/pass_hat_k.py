"""pass^k = C(c, k) / C(n, k): the chance that all of k samples are right, of n drawn and c right. What a user meets who asks k times.

The mean over all subsets of size k, hence unbiased; (c/n)^k is not. Source: tau-bench, Yao et al. 2024, arXiv 2406.12045.
"""

from __future__ import annotations

from temp_processors.tasks.measures.pass_at_k import none_among
from temp_processors.tasks.measures.table import Row, check_k, right_of


def pass_hat_k(row: Row, k: int) -> float:
    """pass^k of one prompt, in [0, 1].

    Raises:
        ValueError: k below 1, or above the number of scored samples.

    Example:
        >>> from temp_processors.tasks.measures import Outcome
        >>> pass_hat_k([Outcome(1), Outcome(1), Outcome(0), Outcome(1)], 2)  # 3 of the 6 pairs
        0.5
    """
    n, c = right_of(row)
    check_k(k, n)
    return none_among(n, n - c, k)
