"""Repetition inside texts: seq-rep-n, the share of n-grams of a text that repeat an earlier n-gram of the same text.

    seq_rep_n = 1 - sum over texts of |different n-grams| / sum over texts of |n-grams|

Source: Welleck et al. 2020, arXiv 1908.04319; pooled as SimCTG pools it. Differs from SimCTG's code on purpose: that drops the last
n-gram of every text and rounds. It is blind to texts that repeat each other: see `duplicates` and `self_bleu`.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from temp_processors.metrics.ngrams import check_order
from temp_processors.metrics.score import Score, signature, undefined
from temp_processors.metrics.statistics import TextStatistics
from temp_processors.metrics.texts import counted
from temp_processors.metrics.tokenizers import Tokens


def seq_rep_n(texts: Iterable[str | Tokens] | TextStatistics, n: int = 4, *, tokenizer: Any = "auto") -> Score:
    """Share of repeated n-grams inside texts, in [0, 1); higher is more repetitive.

    Args:
        texts: Strings or token lists.
        n: Length of the n-grams, >= 1.
        tokenizer: See `tokenize`.

    Returns:
        NaN with a reason when no text has n tokens. `per_text` holds the share of each text, NaN for texts shorter than n.

    Example:
        >>> seq_rep_n(["a b a b a"], n=2).value  # ab ba ab ba: 2 different of 4
        0.5
    """
    check_order(n)
    tokenized = counted(texts, tokenizer)
    name, sign = f"seq_rep_{n}", signature("seq_rep_n", n=n, pool="all", tok=tokenized.tokenizer, len=tokenized.length)
    counts = {**tokenized.counts, "shorter_than_n_share": tokenized.shorter_than(n)}
    different, total, _, shares = tokenized.inside(n)
    if not total:
        return undefined(name, sign, f"no text has {n} tokens" if len(tokenized) else "there are no texts", counts)
    return Score(name, 1 - different / total, sign, counts=counts, per_text=1 - shares)
