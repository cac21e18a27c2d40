"""Texts whose repeated n-grams are found once, for several metrics and their intervals."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property

from temp_processors.metrics.arrays import Bools
from temp_processors.metrics.ngrams import Repeated, ngram_lengths, repeated_ngrams
from temp_processors.metrics.texts import TokenizedTexts


@dataclass(frozen=True)
class CountedOnce(TokenizedTexts):
    """The same texts, which remember the repeated n-grams of every n that was asked for: at most 8 bytes a token and n.

    Scores of it equal those of the `TokenizedTexts` that it was made of to the last digit. It is for one thread at a time.

    Example:
        >>> from temp_processors.metrics import distinct_n, tokenize
        >>> texts = CountedOnce.of(tokenize(["a b a b", "a b c"]))
        >>> [distinct_n(texts, n).value for n in (1, 2)], texts.count_ngrams(2)
        ([0.42857142857142855, 0.6], (3, 5))
    """

    @classmethod
    def of(cls, texts: TokenizedTexts) -> CountedOnce:
        """These texts; the arrays are shared."""
        return cls(texts.ids, texts.starts, texts.tokenizer, texts.length)

    @cached_property
    def _found(self) -> list[Repeated]:
        return []

    @cached_property
    def _further(self) -> Iterator[Repeated]:
        held = TokenizedTexts(self.ids, self.starts, self.tokenizer)  # not `self`: they would keep each other in memory
        return repeated_ngrams(held, sys.maxsize)

    def repeated(self, largest: int, among: Bools | None = None) -> Iterator[Repeated]:
        """As `repeated_ngrams`; what was found before is not sought again, except `among` some texts."""
        if among is not None:
            return super().repeated(largest, among)
        while len(self._found) < largest:
            self._found.append(next(self._further))
        return iter(self._found[:largest])

    def count_ngrams(self, n: int) -> tuple[int, int]:
        """Number of different n-grams and number of n-grams, of all texts together."""
        *_, (gram, _) = self.repeated(n)
        total = int(ngram_lengths(self, n).sum())
        return total - len(gram) + (int(gram[-1]) + 1 if len(gram) else 0), total
