"""Scores of texts that may be larger than memory: read once, counted on disk, with the intervals and differences of texts in memory."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import partial
from itertools import count
from typing import Any

import numpy as np

from temp_processors.comparison.compare import (
    Change,
    add_differences,
    rarefied_order,
    records_of,
    references_of,
    score_row,
    threads_for,
)
from temp_processors.comparison.cores import at_once
from temp_processors.comparison.pairing import Row
from temp_processors.comparison.places import Paired, Places, of_one_prompt, paired
from temp_processors.comparison.progress import Meter
from temp_processors.metrics import Metric, Score, StreamedTexts, rarefied_distinct_n
from temp_processors.metrics.arrays import Ints
from temp_processors.metrics.intervals import Measured, Units, difference_of, measure
from temp_processors.metrics.scratch import Scratch


class StreamedGroup:
    """What is kept of the texts of one group: their statistics, and which texts of other groups belong to them.

    Args:
        texts: The statistics, of no text yet.
        places: Prompts and sample numbers, of no text yet.
    """

    def __init__(self, texts: StreamedTexts, places: Places | None = None) -> None:
        self.texts, self.places = texts, Places() if places is None else places

    def add(self, row: Row) -> None:
        """Count this text too; either all texts name their prompt or none does."""
        self.texts.add([row.text])
        self.places.add(row)


class _Common:
    """The texts of a group that all groups have.

    Args:
        group: All of its texts.
        found: Which these are.
    """

    def __init__(self, group: StreamedGroup, found: Paired) -> None:
        self.all, self.ranks, self.number = group, found.ranks, len(found.ranks)
        self.left_out = len(found.kept) - self.number
        self.prompts = int(found.prompts.max()) + 1 if len(found.prompts) else 0
        self.texts = group.texts.take(found.kept) if self.left_out else group.texts
        if (np.diff(found.ranks) < 0).any():
            self.texts.arrange(np.argsort(found.ranks))
        several = self.prompts > 1
        self.units = Units(found.prompts if several else found.ranks, several=several)

    def lengths(self) -> Ints:
        """Tokens of the texts in the order of the first group, shape (texts,)."""
        found = np.empty(len(self.ranks), dtype=np.int32)
        found[self.ranks] = self.texts.lengths
        return found

    def forget_ranks(self) -> None:
        """Let go of what pairs texts, which is no longer needed: 4 bytes a text."""
        self.ranks = np.zeros(0, dtype=np.int32)

    def row(self, record: Metric, found: Measured, confidence: float) -> dict[str, Any]:
        """The score as `metrics.json` holds it."""
        left_out: dict[str, float] = {"left_out_texts": self.left_out, "prompts": self.prompts}
        if "|len:full|" not in found.score.signature:
            left_out["left_out_tokens"] = self.texts.left_out_tokens
        return score_row(found, left_out, confidence, self._rarefied(record) if self.left_out else None)

    def _rarefied(self, record: Metric) -> Score | None:
        """As `compare_groups` rarefies."""
        order = rarefied_order(record)
        if order is None or len(self.all.places.named) > 1:
            return None
        return rarefied_distinct_n(self.all.texts, order, number=self.number)


class _Pair:
    """A group and its baseline, with what is measured again of both where their texts are cut to equal lengths.

    Args:
        own, other: The group and the baseline.
        cut: Whether to cut.
    """

    def __init__(self, own: _Common, other: _Common, *, cut: bool) -> None:
        self.again: tuple[StreamedTexts, StreamedTexts] | None = None
        lengths, others = own.lengths(), other.lengths()
        if cut and not np.array_equal(lengths, others):
            shortest, scratch = np.minimum(lengths, others), Scratch()
            mine, its = (side.texts.cut(shortest[side.ranks], "paired", scratch) for side in (own, other))
            self.again = mine, its
        self._units = own.units, other.units

    def change(self, record: Metric, own: Measured, other: Measured, length: str, confidence: float) -> Change:
        """The difference of the two by a metric; `own` and `other` are their measures as they are."""
        on = "full" if length == "paired" else length
        if self.again is not None and record.cut:
            own, other = (_measured(record, *side) for side in zip(self.again, self._units, strict=True))
            on = "paired"
        return Change(difference_of(own, other, confidence), on, other.score.value)


def _measured(record: Metric, texts: StreamedTexts, units: Units) -> Measured:
    texts.units = units.numbers
    return measure(record, texts, units)


def _measured_of(common: Mapping[str, _Common], record: Metric, name: str) -> Measured:
    return _measured(record, common[name].texts, common[name].units)


def _change(
    pairs: Mapping[str, _Pair],
    record: Metric,
    found: Mapping[str, Measured],
    references: Mapping[str, str],
    length: str,
    confidence: float,
    name: str,
) -> Change:
    return pairs[name].change(record, found[name], found[references[name]], length, confidence)


def score_streams(
    groups: Mapping[str, StreamedGroup],
    metrics: Sequence[str],
    baseline: str | Mapping[str, str] | None = None,
    *,
    length: str = "full",
    primary: str | None = None,
    confidence: float = 0.95,
) -> dict[str, dict[str, dict[str, Any]]]:
    """Every metric of every group, as `compare_groups` gives them, of the texts that all groups have.

    Args:
        groups: At least one, by name; their texts are cut already where `length` is `first:K`.
        metrics: Names of `temp_processors.metrics.STREAMED`.
        baseline, primary, confidence: As for `compare_groups`.
        length: As for `compare_groups`: `full`, `paired` or `first:K`.

    Raises:
        RowsError: Some groups name several prompts and others none.
        ValueError: An unknown baseline or primary, or the groups have no prompt and sample number in common.

    Example:
        >>> groups = {"cold": StreamedGroup(StreamedTexts()), "warm": StreamedGroup(StreamedTexts())}
        >>> for cold, warm in zip(["a b"] * 4, ["a b", "c d", "e f", "g h"]):
        ...     groups["cold"].add(Row("cold", cold))
        ...     groups["warm"].add(Row("warm", warm))
        >>> scores = score_streams(groups, ["distinct_1"])
        >>> scores["cold"]["distinct_1"]["value"], scores["warm"]["distinct_1"]["difference"]["value"]
        (0.25, 0.75)
    """
    places = {name: group.places for name, group in groups.items()}
    one_prompt = of_one_prompt(places)
    references = references_of(groups, baseline)
    records = records_of(metrics, primary)
    cut = length == "paired" and any(record.cut for record in records.values())
    common = {name: _Common(groups[name], found) for name, found in paired(places, one_prompt=one_prompt).items()}
    pairs = {name: _Pair(common[name], common[other], cut=cut) for name, other in references.items()}
    for held in common.values():
        held.forget_ranks()
    tokens = sum(int(held.texts.counts["tokens"]) for held in common.values())
    threads = threads_for(tokens * len(records), len(groups))
    scores: dict[str, dict[str, dict[str, Any]]] = {name: {} for name in groups}
    changed: dict[str, dict[str, Change]] = {name: {} for name in pairs}
    steps = count(1)
    with Meter("counting", len(records) * (len(groups) + len(pairs)), "steps") as meter:
        for metric, record in records.items():  # one at a time: an influence holds a number for every text
            found = {}
            measured = partial(_measured_of, common, record)
            for name, own in zip(groups, at_once(measured, groups, threads), strict=True):
                found[name] = own
                scores[name][metric] = common[name].row(record, own, confidence)
                meter.show(next(steps), metric)
            change = partial(_change, pairs, record, found, references, length, confidence)
            for name, changes in zip(pairs, at_once(change, pairs, threads), strict=True):
                changed[name][metric] = changes
                meter.show(next(steps), metric)
    add_differences(scores, changed, references, records, primary, confidence)
    return scores
