"""Scores of groups of texts side by side, as `metrics.json` holds them: values, intervals, differences to a baseline.

A group is what one policy wrote, or one file of texts. Groups are compared on the texts that all of them have (by prompt and sample number,
or by position), because scores move with the number of texts; `counts["left_out_texts"]` says how many each group has beyond them. Where
these belong to one prompt, the value of distinct-n uses them all the same (`rarefaction.py`), interval and difference do not. Scores
move with the number of tokens too: differences are taken between texts cut two groups at a time to equal lengths, or `length` cuts the
texts of all groups alike, and `notes.py` says what was cut or left unequal.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from functools import partial
from typing import Any, NamedTuple

from rich.console import Console
from rich.progress import track

from temp_processors.comparison.cores import at_once, cores
from temp_processors.comparison.groups import Group, ScoredTexts
from temp_processors.comparison.verdicts import as_dict
from temp_processors.metrics import Metric, Score, TokenizedTexts, metric_record, rarefied_distinct_n
from temp_processors.metrics.counted_once import CountedOnce
from temp_processors.metrics.intervals import Difference, Measured, difference_of, holm, measure

LONG_WORK = 2_000_000
"""Tokens times metrics from which a terminal gets a progress bar."""
WORTH_THREADS = 200_000
"""Tokens times metrics from which several threads pay."""


def compare_groups(
    groups: Mapping[str, Group],
    metrics: Sequence[str],
    baseline: str | Mapping[str, str] | None = None,
    *,
    confidence: float = 0.95,
    length: str = "full",
    tokenizer: Any = "auto",
    primary: str | None = None,
) -> dict[str, dict[str, dict[str, Any]]]:
    """Every metric of every group, as the part `policies` of `metrics.json`.

    Args:
        groups: At least one, by name.
        metrics: Names of `temp_processors.metrics`; `perplexity` needs groups with log-probabilities.
        baseline: Name of the group that the others are compared with; the first one by default. Or what each group is compared with, by
            name; a group that is left out has no difference.
        confidence: Of intervals. p-values are corrected by Holm's method over the whole table, groups times metrics.
        length: `full`; `paired`, values of whole texts and differences of texts cut pair by pair to equal lengths, where these differ;
            `matched`, all cut to the shortest text of all; or `first:K`, the first K tokens. `"length"` in a difference says what
            it was taken on. Perplexity is always that of whole texts, and so is the mean length where lengths are made equal.
        tokenizer: As for `temp_processors.metrics.tokenize`; `auto` decides once, by the texts of all groups.
        primary: The metric that was chosen before the texts were looked at: it is corrected over the groups alone, the others over the
            whole table.

    Returns:
        `{group: {metric: {"value", "signature", "reason", "counts", "interval", "no_interval", "difference"}}}`; `no_interval` says why
        there is none, and `verdicts.as_dict` what a difference holds.

    Raises:
        ValueError: An unknown metric, baseline, primary or length, or perplexity of groups without log-probabilities.

    Example:
        >>> cold = Group(["a b", "a b", "a b", "a b"], [(0, i) for i in range(4)])
        >>> warm = Group(["a b", "c d", "e f", "g h"], [(0, i) for i in range(4)])
        >>> scores = compare_groups({"cold": cold, "warm": warm}, ["distinct_1"])
        >>> scores["cold"]["distinct_1"]["value"], scores["warm"]["distinct_1"]["difference"]["value"]
        (0.25, 0.75)
    """
    references = references_of(groups, baseline)
    records = records_of(metrics, primary)
    work = ScoredTexts(groups, "full" if length == "paired" else length, tokenizer)
    work.prepare(records.values())
    size = sum(len(text) // 5 for group in work.common.values() for text in group.texts) * len(records)
    threads = threads_for(size, len(groups))
    values: dict[str, dict[str, Measured]] = {}
    changed: dict[str, dict[str, Change]] = {}

    def steps() -> Iterator[None]:
        for name, found in zip(
            groups, at_once(lambda name: measured(work, name, records.values()), groups, threads), strict=True
        ):
            values[name] = found
            yield
        differ = partial(_changes, work, values, records, length, confidence)
        for name, changes in zip(references, at_once(differ, references.items(), threads), strict=True):
            changed[name] = changes
            yield

    for _ in _with_progress(steps(), len(groups) + len(references), size):
        pass
    scores: dict[str, dict[str, dict[str, Any]]] = {name: {} for name in groups}
    for name, metric in ((name, metric) for metric in records for name in groups):
        found = values[name][metric]
        left_out: dict[str, float] = {
            "left_out_texts": len(groups[name].texts) - len(work.clusters),
            "prompts": len(set(work.clusters)),
        }
        if records[metric].takes != "log_probs" and "|len:full|" not in found.score.signature:
            left_out["left_out_tokens"] = work.left_out_tokens(name)
        if work.without_spaces:
            left_out["letters_without_spaces"] = work.without_spaces
        rarefied = _rarefied(groups[name], work, records[metric]) if left_out["left_out_texts"] else None
        scores[name][metric] = score_row(found, left_out, confidence, rarefied)

    add_differences(scores, changed, references, records, primary, confidence)
    return scores


def records_of(metrics: Sequence[str], primary: str | None) -> dict[str, Metric]:
    """The metrics by name. Raises ValueError for an unknown one, and where `primary` is none of them."""
    if primary is not None and primary not in metrics:
        raise ValueError(f"`primary` has to be one of {', '.join(metrics)}, but is {primary!r}")
    return {metric: metric_record(metric) for metric in metrics}


def threads_for(size: int, groups: int) -> int:
    """Threads that measuring groups pays for, by their tokens times the metrics."""
    return min(cores(), groups) if size >= WORTH_THREADS else 1


def references_of(groups: Iterable[str], baseline: str | Mapping[str, str] | None) -> dict[str, str]:
    """What each group is compared with, by name.

    Raises:
        ValueError: There is no group of such a name.
    """
    groups = list(groups)
    if isinstance(baseline, Mapping):
        found = dict(baseline)
    else:
        reference = next(iter(groups)) if baseline is None else baseline
        found = dict.fromkeys((name for name in groups if name != reference), reference)
        found.setdefault(reference, reference)  # so that a baseline of no other group is looked at too
    for name in (*found, *found.values()):
        if name not in groups:
            raise ValueError(f"`baseline` has to be one of {', '.join(groups)}, but is {name!r}")
    return {name: other for name, other in found.items() if name != other}


class Change(NamedTuple):
    """A difference to the baseline, the length that it was taken on, and the value of the baseline there."""

    difference: Difference
    length: str
    baseline_value: float


def measured(texts: ScoredTexts, name: str, metrics: Iterable[Metric]) -> dict[str, Measured]:
    """The score of one group by each metric with the influence of each of its texts or prompts; n-grams are found once for all."""
    found: dict[str, Measured] = {}
    counted: dict[str, CountedOnce] = {}
    for metric in metrics:
        items = texts.items(name, metric)
        if isinstance(items, TokenizedTexts):
            items = counted.setdefault(items.length, CountedOnce.of(items))
        found[metric.name] = measure(metric, items, texts.clusters, score=texts.function(metric)(items))
    return found


def _changes(
    work: ScoredTexts,
    values: Mapping[str, Mapping[str, Measured]],
    records: Mapping[str, Metric],
    length: str,
    confidence: float,
    names: tuple[str, str],
) -> dict[str, Change]:
    """What every metric of a group differs by from its baseline; `names` are the group's and the baseline's."""
    name, reference = names
    pair = (
        equally_long(work, name, reference)
        if length == "paired" and any(record.cut for record in records.values())
        else None
    )
    cut = [record for record in records.values() if record.cut]
    again = {} if pair is None else {side: measured(pair, side, cut) for side in names}
    changes = {}
    for metric, record in records.items():
        paired = bool(again) and record.cut
        own, other = (again[side][metric] if paired else values[side][metric] for side in names)
        on = "paired" if paired else "full" if length == "paired" else length
        changes[metric] = Change(difference_of(own, other, confidence), on, other.score.value)
    return changes


def _corrected(changes: Mapping[tuple[str, str], Difference], primary: str | None) -> dict[tuple[str, str], float]:
    """p-values by Holm's method: of the whole table, and of the primary metric over the groups alone."""
    whole = dict(zip(changes, holm([change.p_value for change in changes.values()]), strict=True))
    family = {key: change for key, change in changes.items() if key[1] == primary}
    return whole | dict(zip(family, holm([change.p_value for change in family.values()]), strict=True))


def add_differences(
    scores: dict[str, dict[str, dict[str, Any]]],
    changed: Mapping[str, Mapping[str, Change]],
    references: Mapping[str, str],
    records: Mapping[str, Metric],
    primary: str | None,
    confidence: float,
) -> None:
    """Write the differences into the scores, with p-values corrected for all of them.

    Args:
        scores: Rows of `score_row`, by group and metric.
        changed: Differences by group and metric.
        references: What each of these groups is compared with.
        records: The metrics by name.
        primary: The metric that is corrected over the groups alone.
        confidence: Of intervals and verdicts.
    """
    changes = {(name, metric): changed[name][metric] for name in references for metric in records}
    corrected = _corrected({key: change.difference for key, change in changes.items()}, primary)
    for (name, metric), change in changes.items():
        scores[name][metric]["difference"] = {
            **as_dict(
                change.difference,
                corrected[name, metric],
                baseline_name=references[name],
                baseline=change.baseline_value,
                confidence=confidence,
                scale=records[metric].scale,
            ),
            "length": change.length,
            "primary": metric == primary,
        }


def equally_long(work: ScoredTexts, name: str, reference: str) -> ScoredTexts | None:
    """Two groups with their texts cut pair by pair to equal lengths, not split again; None where these are equal anyway."""
    sides = (reference, name)
    pair = ScoredTexts({side: work.common[side] for side in sides}, "paired", work.tokenizer)
    pair.whole = {side: work.whole[side] for side in sides}
    return pair if any(pair.left_out_tokens(side) for side in sides) else None


def _with_progress(steps: Iterable[None], number: int, size: int) -> Iterable[None]:
    """The steps, with a progress bar and the time left where they take long (`size` tokens times metrics) and there is a terminal."""
    console = Console(stderr=True)
    long = console.is_terminal and size >= LONG_WORK
    return track(steps, "scoring", total=number, console=console, transient=True) if long else steps


def _rarefied(group: Group, work: ScoredTexts, metric: Metric) -> Score | None:
    """distinct-n of a group with more texts than the others, as the mean over all its subsets of their size; None for other metrics.

    Only within one prompt: texts of several prompts are no random sample of one source.
    """
    order = rarefied_order(metric)
    if order is None or len({prompt for prompt, _ in group.keys}) > 1 or (texts := work.all_of(group)) is None:
        return None
    return rarefied_distinct_n(texts, order, number=len(work.clusters))


def rarefied_order(metric: Metric) -> int | None:
    """n of distinct-n, the metric that is rarefied; None for other metrics."""
    family, _, order = metric.name.rpartition("_")
    return int(order) if family == "distinct" else None


def score_row(
    scored: Measured, left_out: Mapping[str, float], confidence: float, rarefied: Score | None = None
) -> dict[str, Any]:
    row = (rarefied or scored.score).to_dict()
    interval = scored.interval(confidence)
    bounds = [end if math.isfinite(end) else None for end in (interval.low, interval.high)] if interval.known else None
    counts = {**scored.score.counts, **left_out}
    return {**row, "counts": counts, "interval": bounds, "no_interval": interval.reason, "difference": None}
