"""The influence of every text or prompt on each metric that carries an interval; `influence.py` says what that is."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from temp_processors.metrics.arrays import Ints
from temp_processors.metrics.influence import Influence, of_distinct, of_ratio
from temp_processors.metrics.self_bleu_influence import of_self_bleu
from temp_processors.metrics.texts import TokenizedTexts, tokenize

FEW = 10
"""Units of which repeated whole texts may be unseen: 1 in 10 pairs alike stays unseen by 10 texts in less than 1 of 40 experiments."""


def of_distinct_n(texts: Any, units: Ints, n: int) -> Influence:
    """On the share of different n-grams over all texts."""
    tokenized = tokenize(texts)
    found = of_distinct(tokenized, n, units, tokenized.different_texts)
    if len(tokenized) == found.units < FEW and _apart(tokenized, units):
        return replace(
            found, short=f"the {found.units} texts have no word in common: they may be a few that come again and again"
        )
    return found


def of_self_bleu_n(texts: Any, units: Ints, n: int) -> Influence:
    """On self-BLEU-n."""
    return of_self_bleu(tokenize(texts), n, units)


def of_unique_share(texts: Any, units: Ints) -> Influence:
    """On the share of different texts: that of different n-grams where every text is one n-gram."""
    tokenized = tokenize(texts)
    single = TokenizedTexts(tokenized.kinds, np.arange(len(tokenized) + 1), tokenized.tokenizer)
    return of_distinct(single, 1, units, tokenized.different_texts)


def of_distinct_per_text(texts: Any, units: Ints, n: int) -> Influence:
    """On the mean share of different n-grams of a text, over the texts with n tokens."""
    tokenized = tokenize(texts)
    shares = tokenized.inside(n).shares
    assert shares is not None
    scored = ~np.isnan(shares)
    total = int(_ngrams(tokenized, n).sum())
    return of_ratio(np.where(scored, shares, 0.0), scored.astype(float), units, total=total)


def of_repetition(texts: Any, units: Ints, n: int) -> Influence:
    """On the share of repeated n-grams inside texts."""
    tokenized = tokenize(texts)
    shares, lengths = tokenized.inside(n).shares, _ngrams(tokenized, n)
    assert shares is not None
    repeated = np.where(lengths > 0, (1 - np.nan_to_num(shares)) * lengths, 0.0)
    return of_ratio(repeated, lengths.astype(float), units, total=int(lengths.sum()))


def of_lengths(texts: Any, units: Ints) -> Influence:
    """On the mean length of a text in tokens."""
    lengths = tokenize(texts).lengths.astype(float)
    return of_ratio(lengths, np.ones(len(lengths)), units)


def of_perplexity(pairs: Sequence[tuple[float, int]], units: Ints) -> Influence:
    """On the mean negative log-likelihood of a token; `pairs` hold the log-probability and the tokens of every text."""
    log_probs, tokens = (np.array(column, dtype=float) for column in zip(*pairs, strict=True))
    return of_ratio(-log_probs, tokens, units)


def _apart(texts: TokenizedTexts, units: Ints) -> bool:
    """Whether no two units share a token."""
    *_, repeated = texts.repeated(1)
    held = np.unique(np.stack([repeated.gram, units[repeated.text]]), axis=1)
    return len(held[0]) == len(np.unique(held[0]))


def _ngrams(texts: TokenizedTexts, n: int) -> Ints:
    """n-grams of each text, shape (texts,)."""
    counts: Ints = np.maximum(texts.lengths - (n - 1), 0)
    return counts
