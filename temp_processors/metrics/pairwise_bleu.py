"""Pairwise BLEU-n: mean over ordered pairs (i, j) of BLEU-n of text i with text j as its only reference.

Not self-BLEU, though some call it so: there all other texts are references together. BLEU is not symmetric, so both orders count. NLTK's
formula with method1 smoothing; equals vendi-score's `pairwise_bleu` for n = 4. Source: Shen et al. 2019, arXiv 1902.07816. Time
grows with the square of the number of texts, memory with the number.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import Any

import numpy as np

from temp_processors.metrics.arrays import Bools, Floats, Ints
from temp_processors.metrics.ngrams import Held, check_order
from temp_processors.metrics.score import Score, signature, undefined
from temp_processors.metrics.self_bleu import SMOOTHED_NUMERATOR
from temp_processors.metrics.texts import TokenizedTexts, tokenize
from temp_processors.metrics.tokenizers import Tokens

PAIRS = 1 << 20
"""Pairs that are scored at a time."""


def pairwise_bleu(texts: Iterable[str | Tokens] | TokenizedTexts, n: int = 4, *, tokenizer: Any = "auto") -> Score:
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
    per_text, smoothed = np.zeros(size), 0
    for rows, bleu, no_match in _blocks(tokenized, n):
        others = rows[:, None] != np.arange(size)
        per_text[rows] = np.where(others, bleu, 0).sum(axis=1) / (size - 1)
        smoothed += int((no_match & others).sum())
    counts["smoothed_share"] = smoothed / (size * (size - 1))
    return Score(name, float(per_text.mean()), sign, counts=counts, per_text=per_text)


def _blocks(texts: TokenizedTexts, n: int) -> Iterator[tuple[Ints, Floats, Bools]]:
    """Hypotheses, BLEU of each with every text as reference, and whether an order had no match, a block of hypotheses at a time."""
    size = len(texts)
    held = [occurrences(found.held, size) for found in texts.repeated(n)]
    for begin in range(0, size, max(1, PAIRS // size)):
        rows = np.arange(begin, min(size, begin + max(1, PAIRS // size)))
        yield rows, *_bleu([(matrix[rows] @ matrix.T).toarray() for matrix in held], texts.lengths, rows)


def _bleu(common: Sequence[Floats], lengths: Ints, rows: Ints) -> tuple[Floats, Bools]:
    """BLEU of the hypotheses `rows` with every text as reference, from the n-grams that they have in common, order by order."""
    log_precision, no_match = np.zeros(common[0].shape), np.zeros(common[0].shape, dtype=bool)
    for order, matches in enumerate(common, start=1):
        possible = np.maximum(1, lengths[rows] - order + 1)[:, None]
        no_match |= matches == 0
        log_precision += np.log(np.where(matches == 0, SMOOTHED_NUMERATOR, matches) / possible) / len(common)
    penalty = np.exp(np.minimum(0.0, 1 - lengths[None, :] / np.maximum(lengths[rows], 1)[:, None]))
    return np.where(common[0] == 0, 0.0, penalty * np.exp(log_precision)), no_match


def occurrences(held: Held, texts: int) -> Any:
    """Sparse (texts, first, second... occurrences of n-grams) of ones: a product of two rows is the sum of min(count, other count).

    Example:
        >>> from temp_processors.metrics import tokenize
        >>> first, *_ = tokenize(["a a b", "a a a"]).repeated(1)
        >>> matrix = occurrences(first.held, 2)
        >>> (matrix @ matrix.T).toarray()
        array([[2., 2.],
               [2., 3.]])
    """
    from scipy.sparse import csr_array

    ones = np.repeat(np.arange(len(held.times)), held.times)
    before = np.repeat(np.cumsum(held.times) - held.times, held.times)
    which = np.arange(len(ones)) - before  # 0 for the first occurrence of an n-gram in its text, 1 for the second
    most = int(held.times.max()) if len(held.times) else 1
    columns = np.unique(held.gram[ones].astype(np.int64) * most + which, return_inverse=True)[1]
    width = int(columns.max()) + 1 if len(columns) else 1
    return csr_array((np.ones(len(ones)), (held.text[ones], columns)), shape=(texts, width))
