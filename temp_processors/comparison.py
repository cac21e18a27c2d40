"""Score groups of texts side by side: values, intervals, differences to a baseline. What `metrics.json` holds.

A group is what one policy wrote, or one file of texts. Groups are compared on the texts that all of them have (by prompt and sample number,
or by position), because scores move with the number of texts; `counts["left_out_texts"]` says how many each group has beyond them. Scores
move with the number of tokens too: `length` cuts the texts of all groups alike, and `unequal_tokens` says where that was not done.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from rich.console import Console
from rich.progress import track

from temp_processors.metrics import (
    Needs,
    Score,
    StreamedTexts,
    TokenizedTexts,
    matched,
    metric_by_name,
    perplexity,
    tokenize,
)
from temp_processors.metrics.intervals import (
    Difference,
    Interval,
    Replicates,
    difference_of,
    holm,
    interval_of,
    replicates,
)

TAKES_STRINGS = frozenset({"compression_ratio"})
LONG_WORK = 2_000_000
"""Tokens times metrics from which a terminal gets a progress bar."""
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
    groups: Mapping[str, Group],
    metrics: Sequence[str],
    baseline: str | None = None,
    *,
    confidence: float = 0.95,
    length: str = "full",
) -> dict[str, dict[str, dict[str, Any]]]:
    """Every metric of every group, as the part `policies` of `metrics.json`.

    Args:
        groups: At least one, by name.
        metrics: Names of `temp_processors.metrics`; `perplexity` needs groups with log-probabilities.
        baseline: Name of the group that the others are compared with; the first one by default.
        confidence: Of intervals. p-values of one metric are corrected by Holm's method over the groups.
        length: `full`, `first:K` (the first K words of every text) or `matched` (all cut to the shortest text of all groups);
            perplexity is always that of whole texts.

    Returns:
        `{group: {metric: {"value", "signature", "reason", "counts", "interval", "difference"}}}`.

    Raises:
        ValueError: An unknown metric, baseline or length, or perplexity of groups without log-probabilities.

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
    work = _Work(_common(groups), length)
    functions = {metric: work.function(metric) for metric in metrics}
    found = {
        (name, metric): replicates(functions[metric], work.items(name, metric), work.clusters)
        for name, metric in _shown([(name, metric) for metric in metrics for name in groups], work)
    }
    scores: dict[str, dict[str, dict[str, Any]]] = {name: {} for name in groups}
    for metric in metrics:
        changes = {
            name: difference_of(found[name, metric], found[reference, metric], confidence)
            for name in groups
            if name != reference
        }
        corrected = dict(zip(changes, holm([change.p_value for change in changes.values()]), strict=True))
        for name in groups:
            row = _row(found[name, metric], len(groups[name].texts), confidence)
            if name in changes:
                row["difference"] = _as_dict(changes[name], corrected[name], reference, confidence)
            scores[name][metric] = row
    return scores


def cut_of(length: str) -> int | None:
    """K of `first:K`; None for `full` and `matched`.

    Raises:
        ValueError: It is none of the three.

    Example:
        >>> cut_of("first:20")
        20
    """
    if length in ("full", "matched"):
        return None
    kind, _, number = length.partition(":")
    if kind != "first" or not number.isdecimal() or int(number) < 1:
        raise ValueError(f"`length` has to be full, matched or first:K with K >= 1, but is {length!r}")
    return int(number)


def unequal_tokens(scores: Mapping[str, Mapping[str, Mapping[str, Any]]]) -> list[str]:
    """One sentence for every group whose number of tokens differs from that of its baseline: differences are then partly length."""
    found = {}
    for name, row in scores.items():
        for metric, score in row.items():
            if score["difference"] is None or "len:" not in score["signature"]:
                continue
            baseline = score["difference"]["baseline"]
            own, other = (int(side["counts"]["tokens"]) for side in (score, scores[baseline][metric]))
            if own != other:
                found[name] = f"{name}: {own:,} tokens against {other:,} of {baseline}"
    ways = "diversity moves with length; --length matched or first:K cuts all groups alike"
    return [f"{sentence}: {ways}" for sentence in found.values()]


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


class _Work:
    """What is scored: the common texts of all groups, cut to a length, tokenized once."""

    def __init__(self, common: Mapping[str, Group], length: str) -> None:
        self.common, self.length, self.first = common, length, cut_of(length)
        self.clusters = [prompt for prompt, _ in next(iter(common.values())).keys]

    @cached_property
    def tokenized(self) -> dict[str, TokenizedTexts]:
        found = {name: tokenize(group.texts) for name, group in self.common.items()}
        if self.first is not None:
            return {name: texts.first(self.first) for name, texts in found.items()}
        return dict(zip(found, matched(list(found.values())), strict=True)) if self.length == "matched" else found

    def items(self, name: str, metric: str) -> Any:
        """What the metric scores: one item a text."""
        group = self.common[name]
        if metric == "perplexity":
            if group.log_probs is None or group.token_counts is None:
                raise ValueError("perplexity needs the log-probability of every text, which only runs have")
            return list(zip(group.log_probs, group.token_counts, strict=True))
        return list(group.texts) if metric in TAKES_STRINGS else self.tokenized[name]

    def function(self, metric: str) -> Callable[[Any], Score]:
        """From items to a score."""
        if metric == "perplexity":
            return lambda pairs: perplexity([pair[0] for pair in pairs], [pair[1] for pair in pairs])
        score = metric_by_name(metric)
        if metric not in TAKES_STRINGS or self.length == "full":
            return score
        kind, _, number = next(iter(self.tokenized.values())).length.partition(":")
        return lambda texts: score(StreamedTexts(Needs(compressed=True), first=int(number), name=kind).add(texts))


def _shown(work: Sequence[tuple[str, str]], scored: _Work) -> Any:
    """The work with a progress bar where it is long and there is a terminal."""
    console = Console(stderr=True)
    tokens = sum(len(text) // 5 for group in scored.common.values() for text in group.texts)
    long = console.is_terminal and tokens * len(work) // len(scored.common) >= LONG_WORK
    return track(work, "scoring", console=console, transient=True) if long else work


def _row(found: Replicates, texts: int, confidence: float) -> dict[str, Any]:
    """The score of a group that has so many texts of its own."""
    row = {**found.score.to_dict(), "interval": _bounds(interval_of(found, confidence)), "difference": None}
    row["counts"]["left_out_texts"] = texts - len(found.clusters)
    return row


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
