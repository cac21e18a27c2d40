"""Counts that a score is computed from, given by texts in memory and by texts read once, so that one formula serves both."""

from __future__ import annotations

import math
from typing import NamedTuple, Protocol

import numpy as np

from temp_processors.metrics.arrays import Floats, Ints
from temp_processors.metrics.spread import Spread


class Inside(NamedTuple):
    """n-grams counted text by text.

    Args:
        different: Sum over texts of the number of different n-grams of a text.
        total: Sum over texts of its number of n-grams.
        mean_share: Mean of different by total over the texts that have n tokens, NaN where there are none.
        shares: That share of every text, NaN for texts shorter than n, shape (texts,).
    """

    different: int
    total: int
    mean_share: float
    shares: Floats

    @classmethod
    def of(cls, different: Ints, total: Ints) -> Inside:
        """From the different n-grams and all n-grams of every text."""
        scored = total > 0
        shares = np.where(scored, different / np.maximum(total, 1), np.nan)
        mean = float(shares[scored].mean()) if scored.any() else math.nan
        return cls(int(different.sum()), int(total.sum()), mean, shares)


class TextStatistics(Protocol):
    """`TokenizedTexts` in memory, or `StreamedTexts`."""

    @property
    def tokenizer(self) -> str:
        """Name of the tokenizer, for signatures."""

    @property
    def length(self) -> str:
        """What was cut off the texts, for signatures."""

    def __len__(self) -> int: ...

    @property
    def lengths(self) -> Ints:
        """Tokens of each text, shape (texts,)."""

    @property
    def counts(self) -> dict[str, float]:
        """`texts`, `tokens`, `duplicate_share`."""

    @property
    def different_texts(self) -> int:
        """Number of texts that differ from every earlier text."""

    @property
    def frequencies(self) -> Ints:
        """How often each different token occurs, shape (types,)."""

    def shorter_than(self, n: int) -> float:
        """Share of the texts with fewer than n tokens."""

    def count_ngrams(self, n: int) -> tuple[int, int]:
        """Number of different n-grams and number of n-grams, of all texts together."""

    def inside(self, n: int) -> Inside:
        """n-grams counted text by text."""

    def holders(self, n: int) -> Ints:
        """How many different n-grams are held by 0, 1, 2... of the texts, shape (texts + 1,)."""

    def spread(self, n: int, units: Ints) -> Spread:
        """How n-grams spread over units; `units` says which one each text belongs to, shape (texts,)."""

    def text_spread(self, units: Ints) -> Spread:
        """How whole texts spread over units."""
