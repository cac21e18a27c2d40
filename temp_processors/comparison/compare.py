"""Score groups of texts side by side: values, intervals, differences to a baseline. What `metrics.json` holds.

A group is what one policy wrote, or one file of texts. Groups are compared on the texts that all of them have (by prompt and sample number,
or by position), because scores move with the number of texts; `counts["left_out_texts"]` says how many each group has beyond them. Scores
move with the number of tokens too: `length` cuts the texts of all groups alike, and `length_notes` says what was cut or left unequal.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

from rich.console import Console
from rich.progress import track

from temp_processors.comparison.groups import WHOLE, ScoredTexts
from temp_processors.comparison.groups import Group as Group
from temp_processors.metrics.intervals import (
    Difference,
    Interval,
    Replicates,
    difference_of,
    holm,
    interval_of,
    replicates,
)

NOT_CUT = WHOLE | {"perplexity"}
"""Metrics of whole texts, whatever is done to the lengths of the texts for the others."""
LONG_WORK = 2_000_000
"""Tokens times metrics from which a terminal gets a progress bar."""
LOWER_IS_BETTER = frozenset({"perplexity"})
"""Metrics that measure quality; every other one measures diversity, where the name says which way is more diverse."""
LESS_DIVERSE_WHEN_HIGHER = ("self_bleu", "pairwise_bleu", "seq_rep", "cross_repetition", "compression_ratio")


def compare_groups(
    groups: Mapping[str, Group],
    metrics: Sequence[str],
    baseline: str | None = None,
    *,
    confidence: float = 0.95,
    length: str = "full",
    tokenizer: Any = "whitespace",
    fair: bool = False,
) -> dict[str, dict[str, dict[str, Any]]]:
    """Every metric of every group, as the part `policies` of `metrics.json`.

    Args:
        groups: At least one, by name.
        metrics: Names of `temp_processors.metrics`; `perplexity` needs groups with log-probabilities.
        baseline: Name of the group that the others are compared with; the first one by default.
        confidence: Of intervals. p-values of one metric are corrected by Holm's method over the groups.
        length: `full`; `paired`, text i of every group cut to the shortest of these, so that all groups have equally many tokens;
            `matched`, all cut to the shortest text of all; or `first:K`, the first K tokens. Perplexity is always that of whole texts,
            and so is the mean length where lengths are made equal.
        tokenizer: As for `temp_processors.metrics.tokenize`.

        fair: Take differences between texts cut pair by pair to equal lengths where they have unequal ones, values from
            texts as `length` says; `"length"` in a difference says so. Perplexity and length are compared whole.

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
    work = ScoredTexts(groups, length, tokenizer)
    functions = {metric: work.function(metric) for metric in metrics}
    found = {
        (name, metric): replicates(functions[metric], work.items(name, metric), work.clusters)
        for name, metric in _shown([(name, metric) for metric in metrics for name in groups], work)
    }
    scores: dict[str, dict[str, dict[str, Any]]] = {name: {} for name in groups}
    others = [name for name in groups if name != reference]
    pairs = {name: _equally_long(work, name, reference, tokenizer) for name in others} if fair else {}

    for metric in metrics:
        changes = {name: _difference(found, pairs.get(name), (name, reference), metric, confidence) for name in others}
        corrected = dict(zip(changes, holm([change.p_value for change in changes.values()]), strict=True))
        for name in groups:
            row = _row(found[name, metric], confidence)
            row["counts"]["left_out_texts"] = len(groups[name].texts) - len(work.clusters)
            if metric != "perplexity" and not row["signature"].count("|len:full|"):
                row["counts"]["left_out_tokens"] = work.left_out_tokens(name)
            if name in changes:
                cut = pairs.get(name) is not None and metric not in NOT_CUT
                row["difference"] = {
                    **_as_dict(changes[name], corrected[name], reference, confidence),
                    "length": "paired" if cut else length,
                }
            scores[name][metric] = row
    return scores


def _difference(
    found: Mapping[tuple[str, str], Replicates],
    pair: ScoredTexts | None,
    sides: tuple[str, str],
    metric: str,
    confidence: float,
) -> Difference:
    """Between a group and its baseline (`sides`), on what was `found`, or on texts cut to equal lengths if there is a `pair`."""
    if pair is None or metric in NOT_CUT:
        own, other = (found[side, metric] for side in sides)
    else:
        own, other = (replicates(pair.function(metric), pair.items(side, metric), pair.clusters) for side in sides)
    return difference_of(own, other, confidence)


def _equally_long(work: ScoredTexts, name: str, reference: str, tokenizer: Any) -> ScoredTexts | None:
    """Two groups with their texts cut pair by pair to equal lengths; None where these are equal anyway."""
    sides = {side: work.common[side] for side in (reference, name)}
    pair = ScoredTexts(sides, "paired", tokenizer)
    return pair if any(pair.left_out_tokens(side) for side in sides) else None


def length_notes(scores: Mapping[str, Mapping[str, Mapping[str, Any]]]) -> list[str]:
    """What was cut off to compare texts of equal length, or where lengths differ: differences are then partly length."""
    cut, unequal = {}, {}
    for name, row in scores.items():
        for metric, score in row.items():
            if left_out := score["counts"].get("left_out_tokens"):
                cut[name] = f"{name}: {left_out:,} tokens cut off, so that all groups have texts of equal length"
            baseline = (score["difference"] or {}).get("baseline")
            if baseline is None or metric in WHOLE or "len:" not in score["signature"]:
                continue
            own, other = (int(side["counts"]["tokens"]) for side in (score, scores[baseline][metric]))
            if own != other:
                unequal[name] = f"{name}: {own:,} tokens against {other:,} of {baseline}: diversity moves with length; "
    notes = [*cut.values(), *(f"{note}--length paired cuts texts alike" for note in unequal.values())]
    return [*notes, *_streamed_note(scores)]


def _streamed_note(scores: Mapping[str, Mapping[str, Mapping[str, Any]]]) -> list[str]:
    """Groups that were not compared and do not compare."""
    firsts = {name: next(iter(row.values())) for name, row in scores.items()}
    sizes = {name: (int(score["counts"]["texts"]), int(score["counts"]["tokens"])) for name, score in firsts.items()}
    if len(set(sizes.values())) < 2 or any(score["difference"] for score in firsts.values()):
        return []
    listed = ", ".join(f"{name} {texts:,} texts of {tokens:,} tokens" for name, (texts, tokens) in sizes.items())
    return [f"{listed}: scores move with both, so these groups do not compare; without --stream they are cut alike"]


def better_direction(metric: str) -> str:
    """`higher` or `lower`: the direction of more diversity, for quality metrics of more quality; empty for lengths and exponents.

    Example:
        >>> better_direction("distinct_2"), better_direction("self_bleu_4"), better_direction("mean_length")
        ('higher', 'lower', '')
    """
    if metric in LOWER_IS_BETTER or metric.startswith(LESS_DIVERSE_WHEN_HIGHER):
        return "lower"
    return "" if metric in ("mean_length", "zipf_exponent") else "higher"


def _shown(work: Sequence[tuple[str, str]], scored: ScoredTexts) -> Any:
    """The work with a progress bar where it is long and there is a terminal."""
    console = Console(stderr=True)
    tokens = sum(len(text) // 5 for group in scored.common.values() for text in group.texts)
    long = console.is_terminal and tokens * len(work) // len(scored.common) >= LONG_WORK
    return track(work, "scoring", console=console, transient=True) if long else work


def _row(found: Replicates, confidence: float) -> dict[str, Any]:
    return {**found.score.to_dict(), "interval": _bounds(interval_of(found, confidence)), "difference": None}


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
