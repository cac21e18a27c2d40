"""A race: policies meet the same prompts in rounds, and one leaves as soon as it cannot be the best.

After every round each policy is compared with the leader of that moment on all prompts so far (`paired_difference` of
`tasks/measures/prompt_interval.py`, the interval of the verdict). A policy leaves when the upper end of its one-sided interval is below 0.

Error control: alpha spending by Bonferroni. With P policies and R looks, every comparison is one-sided at level error / (R (P - 1)). The
best policy can only be lost to one of P - 1 others at one of R looks, so it is lost with probability `error` at most, whenever the race is
stopped and however many rounds are run; the same holds for each policy that equals the best. (Successive halving, as of Jamieson and
Talwalkar 2016, has no such bound; racing goes back to Maron and Moore 1994, Hoeffding races.)

A race ends when one policy is left, when all that are left are equal within `margin` (the lower end of every interval against the leader is
above -margin, at the same level), when the rounds are used up, or when the budget is.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import NamedTuple

import numpy as np

from temp_processors.metrics.arrays import Floats
from temp_processors.metrics.influence import FEWEST
from temp_processors.tasks.measures.prompt_interval import PairedMeans

ERROR = 0.05
"""Probability with which the best policy may be lost."""


class Left(NamedTuple):
    """A policy that left the race: after which round, counted from 1, against whom, and how far below it is at least."""

    round: int
    leader: str
    at_least: float


class Race:
    """Which of several policies is best, with fewer texts than all of them on all prompts.

    Args:
        policies: Their names, at least two.
        rounds: Looks that are planned, at least 1; `add` refuses more.
        margin: Difference that counts as none.
        error: Probability with which the best policy may be lost.

    Raises:
        ValueError: Fewer than two policies, names twice, or a value out of range.

    Example:
        >>> race, rng = Race(["cold", "warm"], rounds=2), np.random.default_rng(0)
        >>> race.add({"cold": rng.binomial(4, 0.2, 50) / 4, "warm": rng.binomial(4, 0.8, 50) / 4}, tokens=4000)
        >>> race.alive, race.ended, race.left["cold"].round, race.tokens
        (['warm'], 'one policy is left', 1, 4000)
    """

    def __init__(self, policies: Sequence[str], *, rounds: int, margin: float = 0.02, error: float = ERROR) -> None:
        if len(policies) < 2 or len(set(policies)) < len(policies):
            raise ValueError(f"a race needs two policies or more, each with its own name, but has {list(policies)}")
        if rounds < 1:
            raise ValueError(f"`rounds` has to be at least 1, but is {rounds!r}")
        for name, value in {"margin": margin, "error": error}.items():
            if not 0 < value < 1:
                raise ValueError(f"`{name}` has to be between 0 and 1, but is {value!r}")
        self.policies, self.rounds, self.margin = list(policies), rounds, margin
        self.level = error / (rounds * (len(policies) - 1))
        self.alive = list(policies)
        self.left: dict[str, Left] = {}
        self.round = 0
        self.tokens = 0
        self.ended: str | None = None
        self._values: dict[str, list[Floats]] = {name: [] for name in policies}

    def add(self, values: Mapping[str, Floats], tokens: int = 0) -> None:
        """Take the results of one round, and let go of policies that cannot be the best.

        Args:
            values: Policy -> its mean score of every prompt of this round, (prompts,), in the same order; of all that are alive. A prompt
                where some policy has NaN is left out.
            tokens: That the round drew.

        Raises:
            ValueError: The race has ended, or a policy is missing or too many, or has another number of prompts.
        """
        if self.ended is not None:
            raise ValueError(f"the race has ended: {self.ended}")
        if set(values) != set(self.alive):
            raise ValueError(
                f"a round needs the values of {', '.join(self.alive)}, but has those of {', '.join(values)}"
            )
        if len({len(held) for held in values.values()}) > 1:
            raise ValueError("the policies of a round have different numbers of prompts")
        shared = ~np.isnan(np.stack(list(values.values()))).any(axis=0)
        for name, held in values.items():
            self._values[name].append(np.asarray(held, dtype=np.float64)[shared])
        self.round += 1
        self.tokens += tokens
        self._look()

    def stop(self, reason: str) -> None:
        """End the race, such as for a budget that is spent; what it found so far holds."""
        if self.ended is None:
            self.ended = reason

    def values(self, name: str) -> Floats:
        """Every value of a policy so far, (prompts,): a beginning of those of a policy that stayed longer."""
        return np.concatenate(self._values[name]) if self._values[name] else np.zeros(0)

    @property
    def leader(self) -> str:
        """Of those that are alive the one with the largest mean; the first named one before the first round."""
        return max(self.alive, key=lambda name: float(self.values(name).mean()) if self.round else 0.0)

    def _look(self) -> None:
        leader = self.leader
        best = self.values(leader)
        if len(best) >= FEWEST:
            ends = {
                name: PairedMeans.of(self.values(name) - best).ends(1 - 2 * self.level)
                for name in self.alive
                if name != leader
            }
            for name, (_, high) in ends.items():
                if high < 0:
                    self.left[name] = Left(self.round, leader, -high)
                    self.alive.remove(name)
            if all(ends[name][0] > -self.margin for name in self.alive if name != leader):
                equal = f"the {len(self.alive)} policies that are left are equal within {self.margin:g}"
                self.ended = "one policy is left" if len(self.alive) == 1 else equal
        if self.ended is None and self.round == self.rounds:
            self.ended = "all prompts are used"
