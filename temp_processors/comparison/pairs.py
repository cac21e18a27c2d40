"""Every group against every other, by one metric: what stands in no table with one baseline.

Texts are cut two groups at a time to equal lengths and scored again, as for differences to a baseline, so the work grows with the square
of the number of groups; `pairs_work` says how much it is. p-values are corrected by Holm's method over all pairs of the metric.
"""

from __future__ import annotations

from collections.abc import Mapping
from itertools import combinations
from typing import Any

from temp_processors.comparison.compare import equally_long, measured
from temp_processors.comparison.groups import Group, ScoredTexts
from temp_processors.comparison.verdicts import as_dict
from temp_processors.metrics import metric_record
from temp_processors.metrics.intervals import difference_of, holm

Pair = tuple[str, str]
"""A group and the one that it is compared with."""
CHARACTERS_OF_A_TOKEN = 5


def pairs_work(groups: Mapping[str, Group]) -> int:
    """About how many tokens `all_pairs` scores: of two groups for every pair.

    Example:
        >>> pairs_work({name: Group(["a fox ran"] * 10, [(0, i) for i in range(10)]) for name in "abc"})
        108
    """
    tokens = sum(len(text) for group in groups.values() for text in group.texts) // CHARACTERS_OF_A_TOKEN
    return tokens * (len(groups) - 1)


def all_pairs(
    groups: Mapping[str, Group], metric: str, *, tokenizer: Any = "auto", confidence: float = 0.95
) -> dict[Pair, dict[str, Any]]:
    """The difference of every later group to every earlier one, as `verdicts.as_dict` gives it.

    Args:
        groups: By name.
        metric: A name of `temp_processors.metrics`; `perplexity` needs groups with log-probabilities.
        tokenizer: As for `temp_processors.metrics.tokenize`.
        confidence: Of intervals and verdicts.

    Raises:
        ValueError: An unknown metric, or groups that have no texts in common.

    Example:
        >>> groups = {name: Group(["a b", f"a {name}"] * 4, [(0, i) for i in range(8)]) for name in "bcd"}
        >>> [pair for pair in all_pairs(groups, "distinct_1")]
        [('c', 'b'), ('d', 'b'), ('d', 'c')]
    """
    record = metric_record(metric)
    work = ScoredTexts(groups, "full", tokenizer)
    whole = {name: measured(work, name, [record])[metric] for name in groups}
    changes, baselines = {}, {}
    for other, name in combinations(groups, 2):
        pair = equally_long(work, name, other) if record.cut else None
        sides = [whole[side] if pair is None else measured(pair, side, [record])[metric] for side in (name, other)]
        changes[name, other] = difference_of(sides[0], sides[1], confidence)
        baselines[name, other] = sides[1].score.value
    corrected = dict(zip(changes, holm([change.p_value for change in changes.values()]), strict=True))
    return {
        pair: as_dict(
            change,
            corrected[pair],
            baseline_name=pair[1],
            baseline=baselines[pair],
            confidence=confidence,
            scale=record.scale,
        )
        for pair, change in changes.items()
    }
