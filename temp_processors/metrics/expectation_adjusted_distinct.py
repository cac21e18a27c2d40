"""Expectation-adjusted distinct-n: different n-grams divided by the number one would expect of uniform draws.

With N different n-grams among C, and V the size of the vocabulary that they are thought to be drawn from:

    EAD = N / (V (1 - ((V - 1) / V) ** C))

Source: Liu et al. 2022, arXiv 2202.13587. The authors use unigrams and V = 50257, the vocabulary of GPT-2. Equals rlfh-gen-div's formula
on n-grams (which uses the same V for every n). It corrects the fall of distinct-n with the number of tokens only for nearly uniform
vocabularies; for n > 1 with a unigram V it passes 1 and grows without bound, so use it for n = 1 or compare equal sizes.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from typing import Any

from temp_processors.metrics.ngrams import check_order
from temp_processors.metrics.score import Score, signature, undefined
from temp_processors.metrics.statistics import TextStatistics
from temp_processors.metrics.texts import counted
from temp_processors.metrics.tokenizers import Tokens


def expectation_adjusted_distinct(
    texts: Iterable[str | Tokens] | TextStatistics,
    n: int = 1,
    *,
    vocabulary: int = 50257,
    tokenizer: Any = "auto",
) -> Score:
    """N / (V (1 - ((V - 1) / V) ** C)); higher is more diverse.

    Args:
        texts: Strings or token lists.
        n: Length of the n-grams, >= 1.
        vocabulary: V, >= 2; state it with the score, as the signature does.
        tokenizer: See `tokenize`.

    Returns:
        NaN with a reason when no text has n tokens.

    Raises:
        TypeError, ValueError: As `tokenize`; `n` or `vocabulary` out of range.

    Example:
        >>> round(expectation_adjusted_distinct(["a b", "a c"], vocabulary=3).value, 4)  # 3 different, 2.4074 expected
        1.2462
    """
    check_order(n)
    if vocabulary < 2:
        raise ValueError(f"`vocabulary` has to be >= 2, but is {vocabulary!r}")
    tokenized = counted(texts, tokenizer)
    name = f"expectation_adjusted_distinct_{n}"
    sign = signature("expectation_adjusted_distinct", n=n, V=vocabulary, tok=tokenized.tokenizer, len=tokenized.length)
    counts = {**tokenized.counts, "shorter_than_n_share": tokenized.shorter_than(n)}
    different, total = tokenized.count_ngrams(n)
    if not total:
        return undefined(name, sign, f"no text has {n} tokens" if len(tokenized) else "there are no texts", counts)
    expected = -vocabulary * math.expm1(total * math.log1p(-1 / vocabulary))
    return Score(name, different / expected, sign, counts=counts)
