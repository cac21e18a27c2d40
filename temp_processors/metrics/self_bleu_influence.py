"""What leaving out one text, or all texts of one prompt, does to self-BLEU: exact, in time linear in the number of tokens.

For an n-gram of a text only the largest count elsewhere matters. Leaving out a unit lowers it where that unit alone holds the largest
count; so every n-gram of every text feels the absence of at most one unit, and all effects together are no more than the tokens.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace

import numpy as np

from temp_processors.metrics.arrays import Floats, Ints
from temp_processors.metrics.influence import Influence
from temp_processors.metrics.ngrams import Held
from temp_processors.metrics.self_bleu import SMOOTHED_NUMERATOR, matches_elsewhere, penalty_of
from temp_processors.metrics.sorting import order_within, run_starts, stable_order
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
    matches, felt = np.zeros((n, size)), list[tuple[int, Ints, Ints]]()
    for order, repeated in enumerate(texts.repeated(n)):
        for block in repeated.blocks(IN_CACHE):
            text, clipped, unit, loss = _losses(block.held, units, count)
            np.add.at(matches[order], text, clipped.astype(float))
            some = loss > 0
            felt.append((order, text[some].astype(np.int64) * count + unit[some], loss[some]))
    lengths = _Lengths(texts.lengths, units)
    keys, lost = _by_text(felt, lengths.keys, size * count, n)
    text, unit = keys // count, keys % count
    whole = _bleu(matches, texts.lengths, lengths.penalty)
    less = np.empty(len(keys))
    for begin in range(0, len(keys), IN_CACHE):
        here = slice(begin, begin + IN_CACHE)
        own, fewer = text[here], matches[:, text[here]] - lost[:, here]
        less[here] = whole[own] - _bleu(fewer, texts.lengths[own], lengths.without(keys[here], own))
    sizes, held = np.bincount(units, minlength=count), np.bincount(units, weights=whole, minlength=count)
    without = (whole.sum() - held - np.bincount(unit, weights=less, minlength=count)) / (size - sizes)
    value = float(whole.mean())
    first, second = np.minimum(units[text], unit), np.maximum(units[text], unit)
    pairs, place = np.unique(first.astype(np.int64) * count + second, return_inverse=True)
    together = np.bincount(place, weights=less, minlength=len(pairs)) / size
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


def _by_text(felt: Sequence[tuple[int, Ints, Ints]], more: Ints, bound: int, n: int) -> tuple[Ints, Floats]:
    """All keys, ascending, and for each order what is lost there, shape (orders, keys).

    Args:
        felt: Orders, keys and losses.
        more: Keys without a loss.
        bound: One more than the largest possible key.
        n: Number of orders.
    """
    found = np.concatenate([*(key for _, key, _ in felt), more])
    order = stable_order(found, bound)
    found = found[order]
    new = run_starts(found)
    place = np.empty(len(order), dtype=np.int64)
    place[order] = np.cumsum(new) - 1
    lost, begin = np.zeros((n, int(np.count_nonzero(new)))), 0
    for number, key, loss in felt:
        np.add.at(lost[number], place[begin : begin + len(key)], loss.astype(float))
        begin += len(key)
    return found[new], lost


def _losses(held: Held, units: Ints, count: int) -> tuple[Ints, Ints, Ints, Ints]:
    """For each text and n-gram: the text, its clipped matches, the unit whose absence lowers them, and by how many."""
    unit = units[held.text]
    order = order_within(held.gram, unit, count)
    gram, unit, times, text = held.gram, unit[order], held.times[order], held.text[order]
    first = run_starts(gram) | run_starts(unit)
    heads = np.flatnonzero(first)
    inside = matches_elsewhere(np.cumsum(first) - 1, times)  # counted in another text of the same unit too
    ranked = list(_largest_units(gram[heads], unit[heads], np.maximum.reduceat(times, heads)))
    place = np.cumsum(run_starts(gram)) - 1
    (u1, v1), (u2, v2), (_, v3) = ((who[place], most[place]) for who, most in ranked)
    elsewhere, best = np.where(u1 == unit, v2, v1), np.where(u1 == unit, u2, u1)
    behind = np.where((u1 == unit) | (u2 == unit), v3, v2)
    here = np.minimum(times, np.maximum(inside, elsewhere))
    return text, here, best, here - np.minimum(times, np.maximum(inside, behind))


def _largest_units(gram: Ints, unit: Ints, most: Ints) -> Iterator[tuple[Ints, Ints]]:
    """For each n-gram the unit with the largest count and that count, then the second, then the third; -1 and 0 for none."""
    top = int(most.max())
    order = order_within(gram, top - most, top)
    unit, most = unit[order], most[order]
    heads = np.flatnonzero(run_starts(gram))
    sizes = np.diff(heads, append=len(gram))
    for rank in range(3):
        place = np.minimum(heads + rank, len(gram) - 1)
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
