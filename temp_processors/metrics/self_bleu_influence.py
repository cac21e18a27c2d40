"""What leaving out one text, or all texts of one prompt, does to self-BLEU: exact, in time linear in the number of tokens.

For an n-gram of a text only the largest count elsewhere matters. Leaving out a unit lowers it where that unit alone holds the largest
count; so every n-gram of every text feels the absence of at most one unit, and all effects together are no more than the tokens.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

import numpy as np

from temp_processors.metrics.arrays import Floats, Ints
from temp_processors.metrics.influence import Influence
from temp_processors.metrics.ngrams import Held, run_starts
from temp_processors.metrics.self_bleu import SMOOTHED_NUMERATOR, penalty_of
from temp_processors.metrics.sparse import Sparse
from temp_processors.metrics.texts import TokenizedTexts

FEWEST_MATCHED = 5
"""Fewest units with a match at every order: with fewer, the next match is rare and moves the value a lot."""
IN_CACHE = 1 << 15
"""Entries whose losses are found at a time."""
BELIEVED = 1 / 1.8
"""Smallest part of the one-at-a-time variance: self-BLEU has effects of triples and more, which pairs do not show."""


def of_self_bleu(texts: TokenizedTexts, n: int, units: Ints) -> Influence:
    """Of self-BLEU-n with method1 smoothing; `units` says which unit each text belongs to, at least two of them."""
    count, size = int(units.max()) + 1, len(texts)
    matches, felt = np.zeros((n, size)), []
    for order, repeated in enumerate(texts.repeated(n)):
        text, here, unit, loss = _losses(repeated.held, units)
        matches[order] = np.bincount(text, weights=here, minlength=size)
        some = loss > 0
        felt.append((text[some].astype(np.int64) * count + unit[some], loss[some]))
    lengths = _Lengths(texts.lengths, units)
    keys = np.unique(np.concatenate([*(key for key, _ in felt), lengths.keys]))
    text, unit = keys // count, keys % count
    fewer = matches[:, text]
    for order, (key, loss) in enumerate(felt):
        np.subtract.at(fewer[order], np.searchsorted(keys, key), loss)
    whole = _bleu(matches, texts.lengths, lengths.penalty)
    lost = whole[text] - _bleu(fewer, texts.lengths[text], lengths.without(keys, text))
    sizes, held = np.bincount(units, minlength=count), np.bincount(units, weights=whole, minlength=count)
    without = (whole.sum() - held - np.bincount(unit, weights=lost, minlength=count)) / (size - sizes)
    value = float(whole.mean())
    first, second = np.minimum(units[text], unit), np.maximum(units[text], unit)
    pairs, place = np.unique(first.astype(np.int64) * count + second, return_inverse=True)
    together = np.bincount(place, weights=lost, minlength=len(pairs)) / size
    own = (value - without) * (count - 1) / count
    matched = len(np.unique(units[(matches > 0).all(axis=0)]))
    found = Influence(
        value, own, Sparse(pairs, together), different=texts.different_texts, contributing=matched, least=BELIEVED
    )
    if matched < min(FEWEST_MATCHED, count):
        reason = (
            f"only {matched} of {count} share an n-gram of every order with others: the value is mostly the smoothing"
        )
        return replace(found, rare=matched, lowest=0.0, short=reason)
    if count < size:
        return found
    return replace(found, rare=int((np.bincount(texts.kinds) == 1).sum()))  # texts that occur once


def _losses(held: Held, units: Ints) -> tuple[Ints, Ints, Ints, Ints]:
    """For each text and n-gram: the text, its clipped matches, the unit whose absence lowers them, and by how many."""
    parts = [_losses_of(block, units) for block in held.blocks(IN_CACHE)]
    text, here, best, loss = (np.concatenate(column) for column in zip(*parts, strict=True))
    return text, here, best, loss


def _losses_of(held: Held, units: Ints) -> tuple[Ints, Ints, Ints, Ints]:
    """`_losses` of some n-grams."""
    unit = units[held.text]
    order = np.lexsort((-held.times, unit, held.gram))
    gram, unit, times, text = held.gram[order], unit[order], held.times[order], held.text[order]
    first = run_starts(gram) | run_starts(unit)
    heads = np.flatnonzero(first)
    group = np.cumsum(first) - 1
    sizes = np.diff(heads, append=len(gram))
    second = np.where(sizes > 1, times[np.minimum(heads + 1, max(len(times) - 1, 0))], 0)
    inside = np.where(first, second[group], times[heads][group])  # the largest count in another text of the same unit
    ranked = list(_largest_units(gram[heads], unit[heads], times[heads]))
    place = np.cumsum(run_starts(gram)) - 1
    (u1, v1), (u2, v2), (_, v3) = ((who[place], most[place]) for who, most in ranked)
    elsewhere, best = np.where(u1 == unit, v2, v1), np.where(u1 == unit, u2, u1)
    behind = np.where((u1 == unit) | (u2 == unit), v3, v2)
    here = np.minimum(times, np.maximum(inside, elsewhere))
    return text, here, best, here - np.minimum(times, np.maximum(inside, behind))


def _largest_units(gram: Ints, unit: Ints, most: Ints) -> Iterator[tuple[Ints, Ints]]:
    """For each n-gram the unit with the largest count and that count, then the second, then the third; -1 and 0 for none."""
    order = np.lexsort((-most, gram))
    gram, unit, most = gram[order], unit[order], most[order]
    heads = np.flatnonzero(run_starts(gram)) if len(gram) else np.zeros(0, dtype=np.int64)
    sizes = np.diff(heads, append=len(gram))
    for rank in range(3):
        place = np.minimum(heads + rank, max(len(gram) - 1, 0))
        yield np.where(sizes > rank, unit[place], -1), np.where(sizes > rank, most[place], 0)


def _bleu(matches: Floats, lengths: Ints, penalty: Floats) -> Floats:
    """BLEU from clipped matches, shape (orders, texts)."""
    orders = np.arange(len(matches))[:, None]
    counted = np.where(matches <= 0, SMOOTHED_NUMERATOR, matches) / np.maximum(1, lengths - orders)
    value: Floats = np.where(matches[0] <= 0, 0.0, penalty * np.exp(np.log(counted).mean(axis=0)))
    return value


class _Lengths:
    """Brevity penalties, and those of texts that lose the text of the closest length.

    Args:
        lengths: Tokens of each text.
        units: The unit of each text.
    """

    def __init__(self, lengths: Ints, units: Ints) -> None:
        self.sizes, self.place, counts = np.unique(lengths, return_inverse=True, return_counts=True)
        usual = penalty_of(self.sizes, counts)
        self.penalty: Floats = usual[self.place]
        self._count = int(units.max()) + 1
        self._changed: dict[int, Floats] = {}
        keys = [np.zeros(0, dtype=np.int64)]
        for unit in self._rare(counts, units):
            left = counts - np.bincount(self.place[units == unit], minlength=len(counts))
            new = penalty_of(self.sizes, left)
            felt = (new != usual)[self.place] & (units != unit)
            if felt.any():
                self._changed[int(unit)] = new
                keys.append(np.flatnonzero(felt) * self._count + unit)
        self.keys: Ints = np.concatenate(keys)

    def _rare(self, counts: Ints, units: Ints) -> Ints:
        """The units that hold all texts of some length, or all but one."""
        pairs, held = np.unique(self.place.astype(np.int64) * self._count + units, return_counts=True)
        return np.unique(pairs[counts[pairs // self._count] - held <= 1] % self._count)

    def without(self, keys: Ints, text: Ints) -> Floats:
        """The penalty of each text when its unit of `keys` (text * units + unit) is left out."""
        penalty = self.penalty[text].copy()
        units = keys % self._count
        for unit, new in self._changed.items():
            felt = units == unit
            penalty[felt] = new[self.place[text[felt]]]
        return penalty
