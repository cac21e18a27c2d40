"""Multi-temperature vote: the samples of several policies pooled for each prompt, at equal total k (arXiv 2510.02611).

The pool of one prompt holds the samples of every policy; any measure of a row then is that of the pool: maj@k of the pool at k is the vote
of k samples, as many as each policy alone has at k, so that nothing is bought by drawing more. Choices: all subsets of size k of the pool
are equally likely, so a policy has k / policies of them on average (the paper takes exactly so many of each, with a little less noise).
"""

from __future__ import annotations

from collections.abc import Mapping

from temp_processors.tasks.measures.table import Row, Table


def pooled(tables: Mapping[str, Table]) -> list[Row]:
    """One table that holds the samples of all policies, prompt by prompt.

    Raises:
        ValueError: Policies have different numbers of prompts.

    Example:
        >>> from temp_processors.tasks.measures import Outcome, majority_at_k
        >>> pool = pooled({"cold": [[Outcome(0, "7"), Outcome(0, "7")]], "warm": [[Outcome(1, "12"), Outcome(0, "9")]]})
        >>> len(pool[0]), majority_at_k(pool[0], 2)  # right in 3 of 6 pairs, by half each
        (4, 0.25)
    """
    counts = {name: len(table) for name, table in tables.items()}
    if len(set(counts.values())) > 1:
        held = ", ".join(f"{name!r} has {count}" for name, count in counts.items())
        raise ValueError(f"policies have different prompts and cannot be pooled: {held}")
    return [[outcome for row in rows for outcome in row] for rows in zip(*tables.values(), strict=True)]
