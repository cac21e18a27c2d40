"""Pairwise BLEU-n: mean over ordered pairs (i, j) of BLEU-n of text i with text j as its only reference.

Not self-BLEU, though some call it so: there all other texts are references together. BLEU is not symmetric, so both orders count. NLTK's
formula with method1 smoothing; equals vendi-score's `pairwise_bleu` for n = 4. Source: Shen et al. 2019, arXiv 1902.07816. Time and memory
grow with the square of the number of texts.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import numpy as np

from temp_processors.metrics.ngrams import Repeated, check_order, repeated_ngrams
from temp_processors.metrics.score import Score, signature, undefined
from temp_processors.metrics.self_bleu import SMOOTHED_NUMERATOR, Floats
from temp_processors.metrics.tokenization import TokenizedTexts, Tokens, tokenize

BLOCK = 4096


def pairwise_bleu(
    texts: Iterable[str | Tokens] | TokenizedTexts, n: int = 4, *, tokenizer: Any = "whitespace"
) -> Score:
    """Mean BLEU-n over ordered pairs of texts, in [0, 1]; higher is less diverse. NaN with a reason for fewer than two texts.

    `counts["smoothed_share"]` is the share of pairs with an order that had no match, `per_text` the mean of every text as hypothesis.

    Example:
        >>> pairwise_bleu(["the fox ran home"] * 3).value
        1.0
    """
    check_order(n)
    tokenized = tokenize(texts, tokenizer)
    name = f"pairwise_bleu_{n}"
    sign = signature(
        "pairwise_bleu", n=n, pairs="ordered", smooth="method1", tok=tokenized.tokenizer, len=tokenized.length
    )
    counts = {**tokenized.counts, "shorter_than_n_share": tokenized.shorter_than(n)}
    size = len(tokenized)
    if size < 2:
        return undefined(name, sign, f"it compares texts with each other, and there are {size}", counts)
    lengths = tokenized.lengths.astype(float)
    log_precision, nothing = np.zeros((size, size)), np.zeros((size, size), dtype=bool)
    smoothed = np.zeros((size, size), dtype=bool)
    for order, found in enumerate(repeated_ngrams(tokenized, n), start=1):
        common = common_counts(found, size)
        nothing |= (common == 0) & (order == 1)
        smoothed |= common == 0
        possible = np.maximum(1, lengths - order + 1)[:, None]
        log_precision += np.log(np.where(common == 0, SMOOTHED_NUMERATOR, common) / possible) / n
    penalty = np.exp(np.minimum(0.0, 1 - lengths[None, :] / np.maximum(lengths, 1)[:, None]))
    bleu = np.where(nothing, 0.0, penalty * np.exp(log_precision))
    np.fill_diagonal(bleu, 0.0)
    np.fill_diagonal(smoothed, False)
    counts["smoothed_share"] = float(smoothed.sum() / (size * (size - 1)))
    return Score(name, float(bleu.sum() / (size * (size - 1))), sign, counts=counts, per_text=bleu.sum(1) / (size - 1))


def common_counts(found: Repeated, texts: int) -> Floats:
    """Sum over n-grams of min(count in i, count in j) for every pair, (texts, texts): min(a, b) counts the t with a, b >= t."""
    total = np.zeros((texts, texts))
    gram, owner, here = found.held
    for level in range(1, int(here.max()) + 1 if len(here) else 1):
        kept = here >= level
        columns, held = np.unique(gram[kept], return_inverse=True)
        for start in range(0, len(columns), BLOCK):
            inside = (held >= start) & (held < start + BLOCK)
            block = np.zeros((texts, min(BLOCK, len(columns) - start)), dtype=np.float32)
            block[owner[kept][inside], held[inside] - start] = 1
            total += block @ block.T
    return total
