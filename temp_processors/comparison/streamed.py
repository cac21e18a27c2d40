"""Scores of texts that may be larger than memory: read once, counted on disk, with the intervals and differences of texts in memory.

Differences are taken between groups that have the same prompts with the same samples (or, without prompts, equally many texts): which of
their texts two unequal groups have in common is not sought.
"""

from __future__ import annotations

from array import array
from collections.abc import Mapping, Sequence
from functools import cached_property, partial
from itertools import count
from typing import Any, TypeAlias

import numpy as np

from temp_processors.comparison.compare import (
    Change,
    add_differences,
    records_of,
    references_of,
    score_row,
    threads_for,
)
from temp_processors.comparison.cores import at_once
from temp_processors.comparison.pairing import Row
from temp_processors.comparison.progress import Meter
from temp_processors.metrics import Metric, StreamedTexts
from temp_processors.metrics.arrays import Ints
from temp_processors.metrics.intervals import Measured, Units, difference_of, measure
from temp_processors.metrics.scratch import Scratch

Keys: TypeAlias = tuple[Ints, Ints, Ints]
NO_SAMPLE = -1
"""Stands for the sample number of a text that has none."""


class StreamedGroup:
    """What is kept of the texts of one group: their statistics, and 16 bytes for the prompt and the sample number of each.

    Args:
        texts: The statistics, of no text yet.
    """

    def __init__(self, texts: StreamedTexts) -> None:
        self.texts = texts
        self._prompts, self._samples = array("q"), array("q")

    def add(self, row: Row) -> None:
        """Count this text too; either all texts name their prompt or none does."""
        self.texts.add([row.text])
        if row.prompt is not None:
            self._prompts.append(hash(row.prompt))
            self._samples.append(NO_SAMPLE if row.sample is None else hash(row.sample))

    @cached_property
    def prompts(self) -> Ints:
        """The prompt of every text, numbered alike in all groups of the same prompts, shape (texts,)."""
        if not self._prompts:
            return np.zeros(len(self.texts), dtype=np.int32)
        _, numbers = np.unique(np.array(self._prompts), return_inverse=True)
        return numbers.astype(np.int32)

    @property
    def number_of_prompts(self) -> int:
        """Different prompts; 1 where the source names none."""
        return int(self.prompts.max()) + 1

    def keys(self) -> Keys:
        """The places of the texts by prompt and sample, and there the prompt (0 where there is one) and the number of the sample.

        The sample is counted where the source has no number that is unique.
        """
        prompts = self.prompts
        if not self._prompts:
            places = np.arange(len(self.texts), dtype=np.int32)
            return places, prompts, places
        names, samples = np.array(self._prompts), np.array(self._samples)
        order = np.lexsort((samples, prompts))
        repeated = (np.diff(prompts[order]) == 0) & (np.diff(samples[order]) == 0)
        numbers = samples[order]
        if repeated.any() or samples.min() == NO_SAMPLE:
            order = np.argsort(prompts, kind="stable")
            numbers = np.arange(len(order)) - np.searchsorted(prompts[order], prompts[order])
        return order.astype(np.int32), names[order] if self.number_of_prompts > 1 else prompts, numbers

    def counterparts(self, keys: Keys) -> Ints | None:
        """The place in a group of these keys of the text with the same prompt and sample, shape (texts,); None where these differ."""
        others_order, *others = keys
        if len(self.texts) != len(others_order):
            return None
        order, *own = self.keys()
        if not all(np.array_equal(*sides) for sides in zip(own, others, strict=True)):
            return None
        places: Ints = np.empty(len(order), dtype=np.int32)
        places[order] = others_order
        return places

    def forget_keys(self) -> None:
        """Let go of what pairs texts, which is no longer needed: 16 bytes a text."""
        _ = self.prompts
        self._prompts, self._samples = array("q"), array("q")

    def units(self, places: Ints | None = None) -> Units:
        """What the texts are counted by: prompts where there are several, else the texts, numbered by their counterparts' places."""
        if self.number_of_prompts > 1:
            return Units(self.prompts, several=True)
        return Units(self.texts.units if places is None else places, several=False)


class _Pair:
    """A group and its baseline, with what is measured again of both where their texts are cut to equal lengths.

    Args:
        own, other: The group and the baseline.
        places: The counterparts of its texts.
        cut: Whether to cut.
    """

    def __init__(self, own: StreamedGroup, other: StreamedGroup, places: Ints, *, cut: bool) -> None:
        self.again: tuple[StreamedTexts, StreamedTexts] | None = None
        lengths, others = own.texts.lengths, other.texts.lengths[places]
        if cut and not np.array_equal(lengths, others):
            shortest, scratch = np.minimum(lengths, others), Scratch()
            others[places] = shortest.copy()
            self.again = own.texts.cut(shortest, "paired", scratch), other.texts.cut(others, "paired", scratch)
        self._units = own.units(places), other.units()

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


def _measured_of(
    groups: Mapping[str, StreamedGroup], units: Mapping[str, Units], record: Metric, name: str
) -> Measured:
    return _measured(record, groups[name].texts, units[name])


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
    """Every metric of every group, as `compare_groups` gives them; a group with other prompts than its baseline has no difference.

    Args:
        groups: At least one, by name; their texts are cut already where `length` is `first:K`.
        metrics: Names of `temp_processors.metrics.STREAMED`.
        baseline, primary, confidence: As for `compare_groups`.
        length: As for `compare_groups`: `full`, `paired` or `first:K`.

    Raises:
        ValueError: An unknown baseline or primary.

    Example:
        >>> groups = {"cold": StreamedGroup(StreamedTexts()), "warm": StreamedGroup(StreamedTexts())}
        >>> for cold, warm in zip(["a b"] * 4, ["a b", "c d", "e f", "g h"]):
        ...     groups["cold"].add(Row("cold", cold))
        ...     groups["warm"].add(Row("warm", warm))
        >>> scores = score_streams(groups, ["distinct_1"])
        >>> scores["cold"]["distinct_1"]["value"], scores["warm"]["distinct_1"]["difference"]["value"]
        (0.25, 0.75)
    """
    records = records_of(metrics, primary)
    cut = length == "paired" and any(record.cut for record in records.values())
    references = references_of(groups, baseline)
    keys = {other: groups[other].keys() for other in set(references.values())}
    places = {name: groups[name].counterparts(keys[other]) for name, other in references.items()}
    del keys
    for group in groups.values():
        group.forget_keys()
    pairs = {
        name: _Pair(groups[name], groups[references[name]], found, cut=cut)
        for name, found in places.items()
        if found is not None
    }
    units = {name: group.units(places.get(name)) for name, group in groups.items()}
    tokens = sum(int(group.texts.counts["tokens"]) for group in groups.values())
    threads = threads_for(tokens * len(records), len(groups))
    scores: dict[str, dict[str, dict[str, Any]]] = {name: {} for name in groups}
    changed: dict[str, dict[str, Change]] = {name: {} for name in pairs}
    steps = count(1)
    with Meter("counting", len(records) * (len(groups) + len(pairs)), "steps") as meter:
        for metric, record in records.items():  # one at a time: an influence holds a number for every text
            found = {}
            measured = partial(_measured_of, groups, units, record)
            for name, own in zip(groups, at_once(measured, groups, threads), strict=True):
                found[name] = own
                scores[name][metric] = score_row(own, {"prompts": groups[name].number_of_prompts}, confidence)
                meter.show(next(steps), metric)
            change = partial(_change, pairs, record, found, references, length, confidence)
            for name, changes in zip(pairs, at_once(change, pairs, threads), strict=True):
                changed[name][metric] = changes
                meter.show(next(steps), metric)
    compared = {name: references[name] for name in pairs}
    add_differences(scores, changed, compared, records, primary, confidence)
    return scores
