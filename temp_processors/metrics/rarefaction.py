"""Rarefied distinct-n: what distinct-n would be, on average, of n texts drawn from N, so that groups of unequal numbers of texts compare.

    D(n) = sum_g [1 - C(N - df_g, n) / C(N, n)] / (n L)

over the different n-grams g, df_g the number of texts that hold g and L the mean number of n-grams of a text. Choices: no draw takes
place, the mean over all subsets of n texts is exact where texts hold equally many n-grams, and else a ratio of two exact means. At n = N
it is distinct-n. Source: rarefaction, Hurlbert 1971, The nonconcept of species diversity, with texts as samples.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import numpy as np

from temp_processors.metrics.arrays import Floats, Ints
from temp_processors.metrics.ngrams import check_order
from temp_processors.metrics.score import Score, signature, undefined
from temp_processors.metrics.statistics import TextStatistics
from temp_processors.metrics.texts import counted
from temp_processors.metrics.tokenizers import Tokens


def rarefied_distinct_n(
    texts: Iterable[str | Tokens] | TextStatistics, n: int = 2, *, number: int, tokenizer: Any = "auto"
) -> Score:
    """Expected distinct-n of `number` of the texts; higher is more diverse.

    Args:
        texts: As for `distinct_n`.
        n: Length of the n-grams, >= 1.
        number: How many texts the expectation is of, from 1 to all of them.
        tokenizer: See `tokenize`.

    Returns:
        NaN with a reason when no text has n tokens.

    Raises:
        ValueError: `number` or `n` out of range.

    Example:
        >>> rarefied_distinct_n(["a b", "a c", "d e"], n=1, number=2).value  # of the three pairs, one has 3 of 4 words, two have 4
        0.9166666666666666
    """
    check_order(n)
    held = counted(texts, tokenizer)
    if not 1 <= number <= max(len(held), 1):
        raise ValueError(f"`number` has to lie between 1 and the number of texts, {len(held)}, but is {number!r}")
    sign = signature("distinct_n", n=n, pool="all", rarefied=number, tok=held.tokenizer, len=held.length)
    _, total = held.count_ngrams(n)
    if not total:
        return undefined(
            f"distinct_{n}", sign, f"no text has {n} tokens" if len(held) else "there are no texts", held.counts
        )
    kinds = held.holders(n)
    holding = np.flatnonzero(kinds)
    found = (kinds[holding] * _seen(holding, len(held), number)).sum()
    return Score(f"distinct_{n}", float(found / (number * total / len(held))), sign, counts=held.counts)


def _seen(holding: Ints, texts: int, number: int) -> Floats:
    """Chance that at least one of `number` texts, drawn from `texts` without replacement, is among so many that hold an n-gram."""
    from scipy.special import gammaln

    rest = texts - holding
    possible = rest >= number
    rest = np.maximum(rest, number)
    ways = gammaln(rest + 1) - gammaln(rest - number + 1) - gammaln(texts + 1) + gammaln(texts - number + 1)
    missed: Floats = np.where(possible, np.exp(ways), 0.0)
    return 1 - missed
