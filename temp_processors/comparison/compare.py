"""Scores of groups of texts side by side, as `metrics.json` holds them: values, intervals, differences to a baseline.

A group is what one policy wrote, or one file of texts. Groups are compared on the texts that all of them have (by prompt and sample number,
or by position), because scores move with the number of texts; `counts["left_out_texts"]` says how many each group has beyond them. Scores
move with the number of tokens too: `length` cuts the texts of all groups alike, and `notes.py` says what was cut or left unequal.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

from rich.console import Console
from rich.progress import track

from temp_processors.comparison.groups import Group, ScoredTexts
from temp_processors.metrics import Metric, metric_record
from temp_processors.metrics.intervals import (
    Difference,
    Interval,
    Replicates,
    difference_of,
    holm,
    interval_of,
    replicates,
)

LONG_WORK = 2_000_000
"""Tokens times metrics from which a terminal gets a progress bar."""


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
    records = [metric_record(metric) for metric in metrics]
    work = ScoredTexts(groups, length, tokenizer)
    tasks = [(name, metric) for metric in records for name in groups]
    scored = {(name, metric.name): _replicates(work, name, metric) for name, metric in _with_progress(tasks, work)}
    others = [name for name in groups if name != reference]
    pairs = {name: _equally_long(work, name, reference, tokenizer) for name in others} if fair else {}

    scores: dict[str, dict[str, dict[str, Any]]] = {name: {} for name in groups}
    for metric in records:
        own = {name: scored[name, metric.name] for name in groups}
        for name, group in groups.items():
            left_out = {"left_out_texts": len(group.texts) - len(work.clusters)}
            if metric.takes != "log_probs" and "|len:full|" not in own[name].score.signature:
                left_out["left_out_tokens"] = work.left_out_tokens(name)
            scores[name][metric.name] = _row(own[name], left_out, confidence)
        cut = {name: pair for name, pair in pairs.items() if pair is not None and metric.cut}
        changes = {name: _difference(own, cut.get(name), (name, reference), metric, confidence) for name in others}
        corrected = holm([change.p_value for change in changes.values()])
        for (name, change), p_value in zip(changes.items(), corrected, strict=True):
            on = "paired" if name in cut else length
            scores[name][metric.name]["difference"] = {**_as_dict(change, p_value, reference, confidence), "length": on}
    return scores


def _replicates(texts: ScoredTexts, name: str, metric: Metric) -> Replicates:
    return replicates(texts.function(metric), texts.items(name, metric), texts.clusters)


def _difference(
    scored: Mapping[str, Replicates],
    pair: ScoredTexts | None,
    sides: tuple[str, str],
    metric: Metric,
    confidence: float,
) -> Difference:
    """Between a group and its baseline (`sides`), on texts cut to equal lengths where there is a `pair`."""
    own, other = (scored[side] if pair is None else _replicates(pair, side, metric) for side in sides)
    return difference_of(own, other, confidence)


def _equally_long(work: ScoredTexts, name: str, reference: str, tokenizer: Any) -> ScoredTexts | None:
    """Two groups with their texts cut pair by pair to equal lengths; None where these are equal anyway."""
    sides = {side: work.common[side] for side in (reference, name)}
    pair = ScoredTexts(sides, "paired", tokenizer)
    return pair if any(pair.left_out_tokens(side) for side in sides) else None


def _with_progress(tasks: Sequence[tuple[str, Metric]], texts: ScoredTexts) -> Any:
    """The tasks, with a progress bar where they take long and there is a terminal."""
    console = Console(stderr=True)
    tokens = sum(len(text) // 5 for group in texts.common.values() for text in group.texts)
    long = console.is_terminal and tokens * len(tasks) // len(texts.common) >= LONG_WORK
    return track(tasks, "scoring", console=console, transient=True) if long else tasks


def _row(scored: Replicates, left_out: Mapping[str, int], confidence: float) -> dict[str, Any]:
    row = scored.score.to_dict()
    bounds = _bounds(interval_of(scored, confidence))
    return {**row, "counts": {**row["counts"], **left_out}, "interval": bounds, "difference": None}


def _bounds(interval: Interval) -> list[float] | None:
    return [interval.low, interval.high] if math.isfinite(interval.standard_error) else None


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
