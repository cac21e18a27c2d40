"""Score groups of texts side by side: values, intervals, differences to a baseline. What `metrics.json` holds.

A group is what one policy wrote, or one file of texts. Groups are compared on the texts that all of them have (by prompt and sample number,
or by position), because scores move with the number of texts; `counts["left_out_texts"]` says how many each group has beyond them.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from temp_processors.metrics import Score, metric_by_name, perplexity, tokenize
from temp_processors.metrics.intervals import Difference, Interval, difference, holm, interval

TAKES_STRINGS = frozenset({"compression_ratio"})
LOWER_IS_BETTER = frozenset({"perplexity"})
"""Metrics that measure quality; every other one measures diversity, where the name says which way is more diverse."""
LESS_DIVERSE_WHEN_HIGHER = ("self_bleu", "pairwise_bleu", "seq_rep", "cross_repetition", "compression_ratio")


@dataclass(frozen=True)
class Group:
    """Texts that are scored together.

    Args:
        texts: The texts, without their prompts.
        keys: What pairs a text with its counterpart in another group: (prompt, sample number). Position by default.
        log_probs: Natural-log probability of every text under the untempered model, for perplexity.
        token_counts: Number of tokens behind each of them.
    """

    texts: Sequence[str]
    keys: Sequence[tuple[Any, int]]
    log_probs: Sequence[float] | None = None
    token_counts: Sequence[int] | None = None

    def take(self, places: Sequence[int]) -> Group:
        """The texts at these places."""

        def at(values: Sequence[Any] | None) -> Any:
            return None if values is None else [values[place] for place in places]

        return Group(at(self.texts), at(self.keys), at(self.log_probs), at(self.token_counts))


def compare_groups(
    groups: Mapping[str, Group], metrics: Sequence[str], baseline: str | None = None, *, confidence: float = 0.95
) -> dict[str, dict[str, dict[str, Any]]]:
    """Every metric of every group, as the part `policies` of `metrics.json`.

    Args:
        groups: At least one, by name.
        metrics: Names of `temp_processors.metrics`; `perplexity` needs groups with log-probabilities.
        baseline: Name of the group that the others are compared with; the first one by default.
        confidence: Of intervals. p-values of one metric are corrected by Holm's method over the groups.

    Returns:
        `{group: {metric: {"value", "signature", "reason", "counts", "interval", "difference"}}}`.

    Raises:
        ValueError: An unknown metric or baseline, or perplexity of groups without log-probabilities.

    Example:
        >>> cold = Group(["a b", "a b", "a b", "a b"], [(0, i) for i in range(4)])
        >>> warm = Group(["a b", "c d", "e f", "g h"], [(0, i) for i in range(4)])
        >>> scores = compare_groups({"cold": cold, "warm": warm}, ["distinct_1"])
        >>> scores["cold"]["distinct_1"]["value"], scores["warm"]["distinct_1"]["difference"]["value"]
        (0.25, 0.75)
    """
    reference = next(iter(groups)) if baseline is None else baseline
    if reference not in groups:
        raise ValueError(f"`baseline` has to be one of {', '.join(groups)}, but is {reference!r}")
    common = _common(groups)
    found: dict[str, dict[str, dict[str, Any]]] = {name: {} for name in groups}
    for metric in metrics:
        items = {name: _items(metric, group) for name, group in common.items()}
        function, clusters = _function(metric), [prompt for prompt, _ in common[reference].keys]
        changes = {
            name: difference(function, items[name], items[reference], clusters, confidence=confidence)
            for name in groups
            if name != reference
        }
        corrected = dict(zip(changes, holm([change.p_value for change in changes.values()]), strict=True))
        for name in groups:
            score = function(items[name])
            reach = interval(function, items[name], clusters, confidence=confidence)
            found[name][metric] = {**score.to_dict(), "interval": _bounds(reach), "difference": None}
            found[name][metric]["counts"]["left_out_texts"] = len(groups[name].texts) - len(common[name].texts)
            if name in changes:
                found[name][metric]["difference"] = _as_dict(changes[name], corrected[name], reference, confidence)
    return found


def better_direction(metric: str) -> str:
    """`higher` or `lower`: the direction of more diversity, for quality metrics of more quality; empty for lengths and exponents.

    Example:
        >>> better_direction("distinct_2"), better_direction("self_bleu_4"), better_direction("mean_length")
        ('higher', 'lower', '')
    """
    if metric in LOWER_IS_BETTER or metric.startswith(LESS_DIVERSE_WHEN_HIGHER):
        return "lower"
    return "" if metric in ("mean_length", "zipf_exponent") else "higher"


def _common(groups: Mapping[str, Group]) -> dict[str, Group]:
    """The groups cut to the keys that all of them have, in one order."""
    shared = set.intersection(*(set(group.keys) for group in groups.values()))
    if not shared and any(len(group.keys) for group in groups.values()):
        raise ValueError(f"{', '.join(groups)} have no prompt and sample number in common: there is nothing to compare")
    common = {}
    for name, group in groups.items():
        place = {key: position for position, key in enumerate(group.keys)}
        common[name] = group.take([place[key] for key in sorted(shared)])
    return common


def _items(metric: str, group: Group) -> Any:
    """What the metric scores: one item a text."""
    if metric == "perplexity":
        if group.log_probs is None or group.token_counts is None:
            raise ValueError("perplexity needs the log-probability of every text, which only runs have")
        return list(zip(group.log_probs, group.token_counts, strict=True))
    return list(group.texts) if metric in TAKES_STRINGS else tokenize(group.texts)


def _function(metric: str) -> Callable[[Any], Score]:
    if metric == "perplexity":
        return lambda pairs: perplexity([pair[0] for pair in pairs], [pair[1] for pair in pairs])
    return metric_by_name(metric)


def _bounds(found: Interval) -> list[float] | None:
    return [found.low, found.high] if math.isfinite(found.standard_error) else None


def _as_dict(change: Difference, p_value: float, baseline: str, confidence: float) -> dict[str, Any]:
    """A difference is real when its own interval leaves out 0 and its corrected p-value agrees."""
    real = change.verdict != "no difference" and p_value < 1 - confidence
    return {
        "baseline": baseline,
        "value": None if math.isnan(change.value) else change.value,
        "interval": _bounds(change.interval),
        "p_value_holm": None if math.isnan(p_value) else p_value,
        "verdict": change.verdict if real else "no difference",
    }
