"""Which policy is best on a task: the leader, which cannot be told from it, what each buys and costs, and what would resolve it.

The leader is the policy with the largest mean. Every other policy is compared with it on the same prompts (`paired_difference`), and gets
the verdict of `verdicts.py`: `lower`, `equal within d`, or `not resolved (could be up to ...)`. Because the leader is chosen after the
data were seen, any pair might have been the one that is shown: p-values are corrected by Holm's method over all pairs of policies.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from itertools import combinations
from typing import Any, NamedTuple

import numpy as np

from temp_processors.comparison.sample_size import MOST_PROMPTS, level_of, prompts_needed
from temp_processors.comparison.verdicts import MARGIN, Verdict, as_dict, verdict_of
from temp_processors.metrics.arrays import Floats
from temp_processors.metrics.intervals import CONFIDENCE, Difference, Interval, holm
from temp_processors.tasks.measures.prompt_interval import PromptMean, paired_difference


@dataclass(frozen=True)
class PolicyVerdict:
    """One policy against the leader.

    Args:
        name: Of the policy.
        value: Its mean score.
        interval: Of the mean.
        change: Its mean minus the leader's; None for the leader.
        p_value: Of that difference, corrected by Holm's method over all pairs; NaN for the leader.
        verdict: `best` for the leader, else that of `verdicts.py`.
        statement: The verdict in words.
        more_prompts: About how many more prompts would resolve it in 4 of 5 experiments; None where it is resolved, or where more than
            ten million would be needed.
        buys: What else is known of it: diversity scores by their names, and `tokens`.
    """

    name: str
    value: float
    interval: Interval
    change: Difference | None
    p_value: float
    verdict: Verdict | str
    statement: str
    more_prompts: int | None
    buys: Mapping[str, float] = field(default_factory=dict)


@dataclass(frozen=True)
class TaskVerdict:
    """The verdict on all policies.

    Args:
        measure: What was compared: `accuracy`, `pass@8`, ...
        prompts: Prompts that all policies have a value for.
        margin: Difference that counts as none.
        confidence: Of intervals; one minus the level of tests.
        policies: The leader first, then in the order given.
        diversity: The diversity score that `sentence` speaks of; None where there is none.
    """

    measure: str
    prompts: int
    margin: float
    confidence: float
    policies: tuple[PolicyVerdict, ...]
    diversity: str | None = None

    @property
    def leader(self) -> PolicyVerdict:
        """The policy with the largest mean."""
        return self.policies[0]

    def which(self, *verdicts: str) -> list[PolicyVerdict]:
        """The policies with one of these verdicts."""
        return [policy for policy in self.policies if policy.verdict in verdicts]

    @property
    def sentence(self) -> str:
        """The verdict in words that one can act on, a few sentences."""
        if self.leader.interval.reason is not None:
            return f"{self.measure} cannot be judged: {self.leader.interval.reason}."
        parts = [self._best(), *self._unresolved(), *self._lower(), *self._advice()]
        return " ".join(parts)

    def _best(self) -> str:
        best, open_ones = self.which("best", "equal"), self.which("not resolved")
        names = _listed([policy.name for policy in best])
        low, high = self.leader.interval.low, self.leader.interval.high
        value = f"{self.measure} {self.leader.value:.3g}, {low:.3g} to {high:.3g}"
        if len(best) > 1:
            return f"{names} are best and equal within {self.margin:g} ({self.leader.name}: {value})."
        if len(self.policies) == 1:
            return f"{names} stands alone ({value})."
        if open_ones:
            return f"{names} is ahead ({value}), but not proven best."
        return f"{names} is best ({value}): all others are lower."

    def _unresolved(self) -> list[str]:
        found = []
        for policy in self.which("not resolved"):
            assert policy.change is not None
            below = max(0.0, -policy.change.interval.low)
            more = (
                f"about {policy.more_prompts:,} more prompts would tell" if policy.more_prompts else "no run would tell"
            )
            found.append(f"{policy.name} cannot be told from it: not resolved (at most {below:.2g} lower; {more}).")
        return found

    def _lower(self) -> list[str]:
        """Those that are worse for sure, where it was not said that all others are."""
        names = [policy.name for policy in self.which("lower")]
        said = not self.which("not resolved") and len(self.which("best", "equal")) == 1
        return [f"{_listed(names)} {'is' if len(names) == 1 else 'are'} lower."] if names and not said else []

    def _advice(self) -> list[str]:
        """Among the policies that may be taken, which is the most diverse and which the cheapest."""
        best = self.which("best", "equal")
        found = []
        if len(best) > 1 and self.diversity is not None:
            most = max(best, key=lambda policy: policy.buys.get(self.diversity or "", -math.inf))
            if self.diversity in most.buys:
                found.append(
                    f"Of these {most.name} is the most diverse ({self.diversity} {most.buys[self.diversity]:.3g})."
                )
        costs = [policy for policy in best if "tokens" in policy.buys]
        if len(costs) > 1:
            least = min(costs, key=lambda policy: policy.buys["tokens"])
            found.append(f"{least.name} is the cheapest ({least.buys['tokens']:.4g} tokens a text).")
        return found

    def lines(self) -> list[str]:
        """One line a policy, for a terminal: value, interval, statement, what it buys."""
        return [
            f"{policy.name}: {_value(policy)}, {policy.statement}"
            + "".join(f", {name} {value:.3g}" for name, value in policy.buys.items())
            for policy in self.policies
        ]

    def to_dict(self) -> dict[str, Any]:
        """For `verdict.json`; what is not known is null."""
        return {
            "measure": self.measure,
            "prompts": self.prompts,
            "margin": self.margin,
            "confidence": self.confidence,
            "sentence": self.sentence,
            "best": [policy.name for policy in self.which("best", "equal")],
            "not_resolved": [policy.name for policy in self.which("not resolved")],
            "lower": [policy.name for policy in self.which("lower")],
            "policies": {policy.name: self._as_dict(policy) for policy in self.policies},
        }

    def _as_dict(self, policy: PolicyVerdict) -> dict[str, Any]:
        known = policy.interval.known
        change = None if policy.change is None else self._change(policy, policy.change)
        return {
            "value": policy.value if math.isfinite(policy.value) else None,
            "interval": [policy.interval.low, policy.interval.high] if known else None,
            "no_interval": policy.interval.reason,
            "verdict": policy.verdict,
            "statement": policy.statement,
            "difference": change,
            "more_prompts": policy.more_prompts,
            "buys": {name: value if math.isfinite(value) else None for name, value in policy.buys.items()},
        }

    def _change(self, policy: PolicyVerdict, change: Difference) -> dict[str, Any]:
        return as_dict(
            change,
            policy.p_value,
            baseline_name=self.leader.name,
            baseline=self.leader.value,
            confidence=self.confidence,
            scale="share",
            margin=self.margin,
        )


class _Rules(NamedTuple):
    """What differences are held against; `level` is that of the first step of Holm's method."""

    margin: float
    confidence: float
    level: float


def task_verdict(
    values: Mapping[str, Floats],
    *,
    measure: str = "accuracy",
    margin: float = MARGIN,
    confidence: float = CONFIDENCE,
    diversity: Mapping[str, Mapping[str, float]] | None = None,
    tokens: Mapping[str, float] | None = None,
) -> TaskVerdict:
    """Compare policies on a score in [0, 1].

    Args:
        values: Policy -> its value of every prompt, (prompts,), in the same order of prompts; NaN where there is none. Prompts that some
            policy has no value for are left out.
        measure: Its name in sentences.
        margin: Difference that counts as none, > 0, chosen beforehand.
        confidence: Of intervals; one minus the level of tests.
        diversity: Diversity score -> policy -> value; the first one is spoken of.
        tokens: Policy -> tokens of a text.

    Raises:
        ValueError: No policy, different numbers of prompts, or a margin that is not between 0 and 1.

    Example:
        >>> rng = np.random.default_rng(1)
        >>> chance = rng.random(400)
        >>> cold, warm, hot = (rng.binomial(16, chance * part) / 16 for part in (1.0, 1.0, 0.6))
        >>> task_verdict({"T=0.2": cold, "T=0.6": warm, "T=1.4": hot}, tokens={"T=0.2": 40.0, "T=0.6": 44.0, "T=1.4": 61.0}).sentence
        'T=0.2 and T=0.6 are best and equal within 0.02 (T=0.2: accuracy 0.487, 0.458 to 0.516). T=1.4 is lower. T=0.2 is the
        cheapest (40 tokens a text).'
    """
    if not values:
        raise ValueError("a verdict needs at least one policy")
    if not 0 < margin < 1:
        raise ValueError(f"`margin` has to be between 0 and 1, but is {margin!r}")
    table = _on_shared_prompts(values)
    rules = _Rules(margin, confidence, level_of(len(table), confidence))
    leader = max(table, key=lambda name: PromptMean(table[name]).value)
    p_values = _corrected(table, confidence)
    bought = {name: _buys(name, diversity or {}, tokens or {}) for name in table}
    judged = [_judged_leader(leader, PromptMean(table[leader]), confidence, bought[leader])]
    for name in table:
        if name != leader:
            pair = table[name], table[leader]
            judged.append(_judged(name, pair, p_values[frozenset((name, leader))], rules, bought[name]))
    return TaskVerdict(
        measure, len(table[leader]), margin, confidence, tuple(judged), next(iter(diversity or {}), None)
    )


def _judged_leader(name: str, mean: PromptMean, confidence: float, buys: Mapping[str, float]) -> PolicyVerdict:
    statement = "best" if mean.refusal is None else f"not judged: {mean.refusal}"
    return PolicyVerdict(name, mean.value, mean.interval(confidence), None, math.nan, "best", statement, None, buys)


def _judged(
    name: str, pair: tuple[Floats, Floats], p_value: float, rules: _Rules, buys: Mapping[str, float]
) -> PolicyVerdict:
    """The verdict on a policy that is not the leader; `pair` is its values and the leader's."""
    mean, leader = map(PromptMean, pair)
    change = paired_difference(*pair, rules.confidence)
    verdict, statement = verdict_of(
        change, p_value, baseline=leader.value, confidence=rules.confidence, scale="share", margin=rules.margin
    )
    more = _more_prompts(pair[0] - pair[1], rules) if verdict == "not resolved" else None
    interval = mean.interval(rules.confidence)
    return PolicyVerdict(name, mean.value, interval, change, p_value, verdict, statement, more, buys)


def _corrected(table: Mapping[str, Floats], confidence: float) -> dict[frozenset[str], float]:
    """p-values of all pairs of policies, corrected for their number."""
    pairs = list(combinations(table, 2))
    found = holm([paired_difference(table[one], table[other], confidence).p_value for one, other in pairs])
    return dict(zip(map(frozenset, pairs), found, strict=True))


def _buys(name: str, diversity: Mapping[str, Mapping[str, float]], tokens: Mapping[str, float]) -> dict[str, float]:
    found = {score: by_policy[name] for score, by_policy in diversity.items() if name in by_policy}
    return {**found, **({"tokens": tokens[name]} if name in tokens else {})}


def _on_shared_prompts(values: Mapping[str, Floats]) -> dict[str, Floats]:
    counts = {name: len(held) for name, held in values.items()}
    if len(set(counts.values())) > 1:
        raise ValueError(
            f"policies have different numbers of prompts: {', '.join(f'{n} {c}' for n, c in counts.items())}"
        )
    shared = ~np.isnan(np.stack(list(values.values()))).any(axis=0)
    return {name: np.asarray(held)[shared] for name, held in values.items()}


def _more_prompts(differences: Floats, rules: _Rules) -> int | None:
    """Prompts beyond these that would show the difference that was seen, or that it is within the margin; the fewer of both."""
    prompts, seen = len(differences), abs(float(differences.mean()))
    spread = float(differences.std(ddof=1))
    ways = [prompts_needed(seen, spread, level=rules.level)] if seen else []
    if seen < rules.margin:  # two one-sided tests, each at 1 - confidence
        ways.append(prompts_needed(rules.margin - seen, spread, level=2 * (1 - rules.confidence)))
    needed = min(ways)
    return max(1, needed - prompts) if needed < MOST_PROMPTS else None


def _listed(names: list[str]) -> str:
    return names[0] if len(names) == 1 else f"{', '.join(names[:-1])} and {names[-1]}"


def _value(policy: PolicyVerdict) -> str:
    found = policy.interval
    return f"{policy.value:.3g} ({found.low:.3g} to {found.high:.3g})" if found.known else f"{policy.value:.3g}"
