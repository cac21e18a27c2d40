"""Which texts of streamed groups are pairs: what `pairing.py` and `groups.py` say of texts in memory, here of numbers in a temporary file.

Prompts, their numbers and samples are told apart by 64 bits. While texts are read they take no memory; at the end 8 bytes for each text and
some 50 for each of the largest group.
"""

from __future__ import annotations

import math
from collections.abc import Hashable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import NamedTuple

import numpy as np

from temp_processors.comparison.groups import nothing_in_common
from temp_processors.comparison.pairing import Row, unnamed_prompts
from temp_processors.metrics.arrays import Bools, Ints
from temp_processors.metrics.scratch import Column, Scratch
from temp_processors.metrics.sorting import run_starts
from temp_processors.metrics.streaming import mixed


@dataclass
class Source:
    """What is known of all texts of a source together, in whatever groups they are.

    Args:
        name: For errors.
        texts: Their number so far.
        sampled: Whether all have a sample number.
        numbered: Whether all have a sample number and a number of their prompt.
        most: The largest sample number.
    """

    name: str = ""
    texts: int = 0
    sampled: bool = True
    numbered: bool = True
    most: int = 0


class Places:
    """Prompt and sample number of every text of a group.

    Args:
        source: Where its texts come from.
        scratch: The temporary file.
    """

    def __init__(self, source: Source | None = None, scratch: Scratch | None = None) -> None:
        self.source = Source() if source is None else source
        scratch = Scratch() if scratch is None else scratch
        self._prompts, self._numbers, self._samples, self._rows = (Column(scratch) for _ in range(4))
        self._size, self._first = 0, (math.inf, math.inf, 0)

    def __len__(self) -> int:
        return self._size

    def add(self, row: Row) -> None:
        """Count this text too; either all texts of a group name their prompt or none does."""
        source, sampled = self.source, row.sample is not None
        source.sampled = source.sampled and sampled
        source.numbered = source.numbered and sampled and isinstance(row.number, int)
        source.most = max(source.most, row.sample or 0)
        if isinstance(row.number, int) and row.sample is not None:
            self._first = min(self._first, (row.number, row.sample, source.texts))
        if row.prompt is not None:
            self._prompts.append(_word(row.prompt))
            self._numbers.append(_word(row.number))
            self._samples.append(_word(row.sample))
            self._rows.append(source.texts)
        source.texts += 1
        self._size += 1

    @property
    def first(self) -> tuple[float, float, int]:
        """What groups of one source are sorted by: number, sample and row of the first text, alike for all where texts are not numbered."""
        return self._first if self.source.numbered else (0, 0, 0)

    @property
    def prompts(self) -> Ints:
        """A word for the prompt of each text, 0 where none is named, shape (texts,)."""
        return self._prompts.read() if len(self._prompts) else np.zeros(len(self), dtype=np.int64)

    @cached_property
    def named(self) -> Ints:
        """The words of its prompts, ascending; of none where its texts name none."""
        return np.unique(self._prompts.read())

    @property
    def samples(self) -> Ints:
        """The sample number of each text, shape (texts,)."""
        return self._samples.read()

    def unique(self) -> bool:
        """Whether no two texts have the same prompt, number of the prompt and sample number."""
        words = _mixed(self.prompts, self._numbers.read(), self.samples)
        return len(np.unique(words)) == len(self)

    def counted(self) -> Ints:
        """How many texts of the same prompt came before each text, shape (texts,)."""
        prompts = self.prompts
        order = np.argsort(prompts, kind="stable")
        found = np.empty(len(self), dtype=np.int64)
        found[order] = _within(prompts[order])
        return found

    def pairs(self) -> tuple[Ints, Ints, Ints]:
        """The different pairs of a prompt and its number, and the row of the source where each comes first."""
        prompts, numbers = self._prompts.read(), self._numbers.read()
        _, first = np.unique(_mixed(prompts, numbers), return_index=True)
        return prompts[first], numbers[first], self._rows.read()[first]

    def pair_words(self) -> Ints:
        """A word for the prompt of each text with its number, shape (texts,)."""
        return _mixed(self._prompts.read(), self._numbers.read())

    def order(self) -> Ints:
        """The places of the texts as `grouped` puts them: by number and sample where all of the source have both, else as they came."""
        if not (self.source.numbered and len(self._numbers)):
            return np.arange(len(self))
        return np.lexsort((self.samples, self._numbers.read()))


class Paired(NamedTuple):
    """The texts of a group that all groups have.

    Args:
        kept: Which these are, shape (texts,).
        ranks: The place of each among those of the first group, shape (kept texts,).
        prompts: The number of the prompt of each, shape (kept texts,); alike in all groups.
    """

    kept: Bools
    ranks: Ints
    prompts: Ints


def of_one_prompt(groups: Mapping[str, Places]) -> bool:
    """Whether some groups name no prompts, so that all texts belong to one.

    Raises:
        RowsError: Others name several.
    """
    named = np.unique(np.concatenate([group.named for group in groups.values()]))
    without = [group.source.name for group in groups.values() if not len(group.named)]
    if without and len(named) > 1:
        raise unnamed_prompts(without[0], len(named))
    return bool(without)


def paired(groups: Mapping[str, Places], *, one_prompt: bool) -> dict[str, Paired]:
    """The texts that all groups have, as `grouped` and `common_groups` find them.

    Args:
        groups: By name.
        one_prompt: Whether all texts belong to one prompt.

    Raises:
        ValueError: They have no prompt and sample number in common.
    """
    keys = _keys(groups, one_prompt=one_prompt)
    first = next(iter(keys.values()))
    shared = first
    for own in keys.values():
        if not np.array_equal(own, first):
            shared = np.intersect1d(shared, own, assume_unique=True)
    if not len(shared) and any(len(own) for own in keys.values()):
        raise nothing_in_common(groups)
    kept = {
        name: np.isin(own, shared) if len(own) > len(shared) else np.ones(len(own), bool) for name, own in keys.items()
    }
    keys = {name: own if kept[name].all() else own[kept[name]] for name, own in keys.items()}
    leading = next(iter(groups))
    order = groups[leading].order()
    order = order[kept[leading][order]]
    prompts = np.zeros(len(order), dtype=np.int64) if one_prompt else groups[leading].prompts[order]
    ranks = np.empty(len(kept[leading]), dtype=np.int32)
    ranks[order] = np.arange(len(order), dtype=np.int32)
    ranks = ranks[kept[leading]]
    numbers = _numbered(prompts)
    found = {}
    for name, own in keys.items():
        places = _matched(keys[leading], ranks, own)
        found[name] = Paired(kept[name], places, numbers[places])
    return found


def _matched(keys: Ints, ranks: Ints, others: Ints) -> Ints:
    """The ranks of other keys, the same ones in another order."""
    if np.array_equal(keys, others):
        return ranks
    found = np.empty_like(ranks)
    found[np.argsort(others)] = ranks[np.argsort(keys)]
    return found


def _numbered(words: Ints) -> Ints:
    """Numbers from 0 in place of words, in the order in which these come first."""
    _, first, place = np.unique(words, return_index=True, return_inverse=True)
    numbers = np.empty(len(first), dtype=np.int32)
    numbers[np.argsort(first)] = np.arange(len(first))
    return numbers[place]


def _keys(groups: Mapping[str, Places], *, one_prompt: bool) -> dict[str, Ints]:
    """A word for prompt and sample number of every text of every group, as `keys_of` says; or, of one prompt, for the sample number."""
    sources: dict[int, list[Places]] = {}
    for group in groups.values():
        sources.setdefault(id(group.source), []).append(group)
    unique = {
        number: members[0].source.sampled and all(group.unique() for group in members)
        for number, members in sources.items()
    }
    again = {number: _again(members) for number, members in sources.items() if unique[number]}
    found = {}
    for name, group in groups.items():
        number = id(group.source)
        samples = _beyond(group, again[number]) if unique[number] else group.counted()
        found[name] = _mixed(np.zeros_like(samples) if one_prompt else group.prompts, samples)
    return found


def _beyond(group: Places, again: tuple[Ints, Ints] | None) -> Ints:
    """The sample numbers, which go on counting where a prompt comes again under another number."""
    if again is None:
        return group.samples
    words, times = again
    found: Ints = group.samples + times[np.searchsorted(words, group.pair_words())] * _word(1 + group.source.most)
    return found


def _again(members: Sequence[Places]) -> tuple[Ints, Ints] | None:
    """Words of prompts with their numbers, ascending, and how many numbers of the same prompt came first; None where all have one."""
    prompts, numbers, rows = (np.concatenate(column) for column in zip(*(m.pairs() for m in members), strict=True))
    words, place = np.unique(_mixed(prompts, numbers), return_inverse=True)
    first = np.full(len(words), np.iinfo(np.int64).max)
    np.minimum.at(first, place, rows)
    prompt = np.empty(len(words), dtype=np.int64)
    prompt[place] = prompts
    order = np.lexsort((first, prompt))
    times = np.empty(len(words), dtype=np.int64)
    times[order] = _within(prompt[order])
    return (words, times) if times.any() else None


def _within(ascending: Ints) -> Ints:
    """The place of each entry in its run of equal ones."""
    starts = np.flatnonzero(run_starts(ascending))
    return np.arange(len(ascending)) - np.repeat(starts, np.diff(starts, append=len(ascending)))


def _word(value: Hashable) -> int:
    """A whole number by itself where it has room in 64 bits, all else by its hash."""
    return value if isinstance(value, int) and -(1 << 63) <= value < 1 << 63 else hash(value)


def _mixed(*columns: Ints) -> Ints:
    """A word for each row of columns."""
    found = np.zeros(len(columns[0]), dtype=np.uint64)
    for column in columns:
        found = mixed(found ^ column.astype(np.uint64))
    return found
