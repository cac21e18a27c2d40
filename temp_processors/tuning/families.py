"""Families of policies compared fairly: the same number of settings and texts each, tuned on one half of the prompts, judged on the other.

A family that was tried at more settings has more chances to look good by luck, and so has one that is judged on the prompts that chose its
setting; arXiv 2506.13681 found both behind published gains of min-p. Here each family's setting is the one with the largest mean score on
the first half of the prompts (shuffled with the seed), and the verdict is on the second half alone. Every setting draws as many texts for
the same prompts; what these cost in tokens is shown, for a family may well write longer texts.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase
from typing import Any

import numpy as np

from temp_processors.comparison.best import TaskVerdict, task_verdict
from temp_processors.metrics.arrays import Floats
from temp_processors.metrics.influence import FEWEST
from temp_processors.tasks.measures.prompt_interval import PromptMean

FEWEST_PROMPTS = 2 * FEWEST


class FamilyError(ValueError):
    """Families cannot be compared; the message says why."""


@dataclass(frozen=True)
class FamilyComparison:
    """How families compare.

    Args:
        chosen: Family -> its setting, chosen on the first half.
        settings: How many settings each had.
        tuned_on, judged_on: Prompts of the halves.
        verdict: On the second half; policies are named `family (setting)`.
        tokens: Family -> tokens of all its texts; empty where unknown.
    """

    chosen: Mapping[str, str]
    settings: int
    tuned_on: int
    judged_on: int
    verdict: TaskVerdict
    tokens: Mapping[str, int]

    def lines(self) -> Iterator[str]:
        """The comparison in words."""
        yield f"{self.settings} settings of each family, tuned on {self.tuned_on} prompts, judged on {self.judged_on} others"
        yield self.verdict.sentence
        yield from self.verdict.lines()
        if self.tokens:
            yield "tokens drawn: " + ", ".join(f"{family} {count:,}" for family, count in self.tokens.items())

    def to_dict(self) -> dict[str, Any]:
        """For `families.json`."""
        return {
            "chosen": dict(self.chosen),
            "settings": self.settings,
            "prompts_tuned_on": self.tuned_on,
            "prompts_judged_on": self.judged_on,
            "tokens": dict(self.tokens),
            "verdict": self.verdict.to_dict(),
        }


def families_of(kinds: Mapping[str, str], patterns: Sequence[str] = ()) -> dict[str, list[str]]:
    """The families of policies, each a list of their names.

    Args:
        kinds: Policy -> its kind, which is its family where there are no patterns.
        patterns: `FAMILY=PATTERN`, such as `min-p=*min_p=*`: the policies whose names match, as in a shell; all others are left out.

    Raises:
        FamilyError: A pattern that is none or matches nothing, a policy in two families, fewer than two families, or families with
            different numbers of settings.

    Example:
        >>> families_of({"T=0.5": "fixed", "T=1": "fixed", "edt T=0.5": "edt", "edt T=1": "edt"})
        {'fixed': ['T=0.5', 'T=1'], 'edt': ['edt T=0.5', 'edt T=1']}
    """
    found: dict[str, list[str]] = {}
    for pattern in patterns:
        family, equals, shape = pattern.partition("=")
        if not equals or not family or not shape:
            raise FamilyError(f"--family: has to look like NAME=PATTERN, but is {pattern!r}")
        found.setdefault(family, []).extend(name for name in kinds if fnmatchcase(name, shape))
        if not found[family]:
            raise FamilyError(f"--family: no policy is named like {shape!r}; policies: {', '.join(kinds)}")
    if not patterns:
        for name, kind in kinds.items():
            found.setdefault(kind, []).append(name)
    _refuse_unfair(found)
    return found


def _refuse_unfair(families: Mapping[str, Sequence[str]]) -> None:
    members = [name for names in families.values() for name in names]
    twice = next((name for name in members if members.count(name) > 1), None)
    if twice is not None:
        raise FamilyError(f"policy {twice!r} is in a family twice: give each policy one family")
    if len(families) < 2:
        raise FamilyError(
            f"a comparison needs two families, but there is only {', '.join(families)}: name them with --family NAME=PATTERN"
        )
    if len({len(names) for names in families.values()}) > 1:
        counts = ", ".join(f"{family} has {len(names)}" for family, names in families.items())
        raise FamilyError(
            f"families have to have the same number of settings, or the one with more has more luck: {counts}"
        )


def compare_families(
    values: Mapping[str, Floats],
    families: Mapping[str, Sequence[str]],
    *,
    seed: int = 0,
    margin: float = 0.02,
    tokens: Mapping[str, int] | None = None,
) -> FamilyComparison:
    """Tune every family on one half of the prompts, judge them on the other.

    Args:
        values: Policy -> its mean score of every prompt, (prompts,), NaN where there is none.
        families: As `families_of` gives.
        seed: Of the halves.
        margin: Difference that counts as none.
        tokens: Policy -> tokens of all its texts.

    Raises:
        FamilyError: As `families_of`, or fewer than 8 prompts.
    """
    _refuse_unfair(families)
    prompts = len(next(iter(values.values())))
    if prompts < FEWEST_PROMPTS:
        raise FamilyError(f"two halves of prompts need {FEWEST_PROMPTS} prompts, but there are {prompts}")
    order = np.random.default_rng(seed).permutation(prompts)
    first, second = np.sort(order[: prompts // 2]), np.sort(order[prompts // 2 :])
    chosen = {family: max(names, key=lambda name: _mean(values[name][first])) for family, names in families.items()}
    judged = {f"{family} ({name})": values[name][second] for family, name in chosen.items()}
    cost = {family: sum((tokens or {}).get(name, 0) for name in names) for family, names in families.items()}
    settings = len(next(iter(families.values())))
    verdict = task_verdict(judged, measure="score", margin=margin)
    return FamilyComparison(chosen, settings, len(first), len(second), verdict, cost if tokens else {})


def _mean(values: Floats) -> float:
    """The mean of what is known; below every score where nothing is."""
    mean = PromptMean(values).value
    return -1.0 if np.isnan(mean) else mean
