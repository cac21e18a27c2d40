"""The influence of every text or prompt on each metric that carries an interval; `influence.py` says what that is."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from temp_processors.metrics.arrays import Ints
from temp_processors.metrics.influence import Influence, of_ratio, of_spread
from temp_processors.metrics.self_bleu_influence import of_self_bleu
from temp_processors.metrics.texts import counted, tokenize

FEW = 10
"""Units of which repeated whole texts may be unseen: 1 in 10 pairs alike stays unseen by 10 texts in less than 1 of 40 experiments."""


def of_distinct_n(texts: Any, units: Ints, n: int) -> Influence:
    """On the share of different n-grams over all texts."""
    held = counted(texts)
    found = of_spread(held.spread(n, units), held.different_texts)
    if len(held) == found.units < FEW and not held.spread(1, units).shared:
        return replace(
            found, short=f"the {found.units} texts have no word in common: they may be a few that come again and again"
        )
    return found


def of_self_bleu_n(texts: Any, units: Ints, n: int) -> Influence:
    """On self-BLEU-n."""
    return of_self_bleu(tokenize(texts), n, units)


def of_unique_share(texts: Any, units: Ints) -> Influence:
    """On the share of different texts: that of different n-grams where every text is one n-gram."""
    held = counted(texts)
    return of_spread(held.text_spread(units), held.different_texts)


def of_distinct_per_text(texts: Any, units: Ints, n: int) -> Influence:
    """On the mean share of different n-grams of a text, over the texts with n tokens."""
    _, total, _, shares = counted(texts).inside(n)
    scored = ~np.isnan(shares)
    return of_ratio(np.where(scored, shares, 0.0), scored.astype(float), units, total=total)


def of_repetition(texts: Any, units: Ints, n: int) -> Influence:
    """On the share of repeated n-grams inside texts."""
    held = counted(texts)
    shares, lengths = held.inside(n).shares, np.maximum(held.lengths - (n - 1), 0)
    repeated = np.where(lengths > 0, (1 - np.nan_to_num(shares)) * lengths, 0.0)
    return of_ratio(repeated, lengths.astype(float), units, total=int(lengths.sum()))


def of_lengths(texts: Any, units: Ints) -> Influence:
    """On the mean length of a text in tokens."""
    lengths = counted(texts).lengths.astype(float)
    return of_ratio(lengths, np.ones(len(lengths)), units)


def of_perplexity(pairs: Sequence[tuple[float, int]], units: Ints) -> Influence:
    """On the mean negative log-likelihood of a token; `pairs` hold the log-probability and the tokens of every text."""
    log_probs, tokens = (np.array(column, dtype=float) for column in zip(*pairs, strict=True))
    return of_ratio(-log_probs, tokens, units)
