"""Policies that draw from the seed of a text, each as a policy of its own for every text."""

from __future__ import annotations

from collections.abc import Sequence

from temp_processors.engines.engine import DecodeRow, PolicyFactory


def for_texts(
    rows: Sequence[DecodeRow], policies: Sequence[PolicyFactory]
) -> tuple[Sequence[DecodeRow], Sequence[PolicyFactory]]:
    """The same rows, each of a policy that needs seeds under one of its own, which has the row's.

    Args:
        rows: `DecodeRow.policy` counts `policies`.
        policies: As `LocalEngine.prepare` makes them.
    """
    seeded = {place for place in {row.policy for row in rows} if policies[place](0).needs_seeds}
    moved, every = list(rows), list(policies)
    for place, row in enumerate(rows):
        if row.policy in seeded:
            moved[place] = row._replace(policy=len(every))
            every.append(_with_seed(policies[row.policy], row.seed))
    return moved, every


def _with_seed(policy: PolicyFactory, seed: int) -> PolicyFactory:
    return lambda prompt_length: policy(prompt_length).with_seeds([seed])
