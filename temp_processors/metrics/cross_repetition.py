"""Repetition across texts: how many other texts share the n-grams of a text.

    mean over texts i of ln(1 + sum over the different n-grams g of i of (number of other texts that hold g))

Equals cshaib/diversity's `self_repetition_score` before its rounding (n = 4 there). Source: Salkar et al. 2022, ACL 2022.aacl-short.42.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import numpy as np

from temp_processors.metrics.ngrams import check_order
from temp_processors.metrics.score import Score, signature, undefined
from temp_processors.metrics.texts import TokenizedTexts, tokenize
from temp_processors.metrics.tokenizers import Tokens


def cross_repetition(texts: Iterable[str | Tokens] | TokenizedTexts, n: int = 4, *, tokenizer: Any = "auto") -> Score:
    """Mean log of one plus the matches in other texts, >= 0; higher is more alike. It grows with the number of texts.

    Example:
        >>> cross_repetition(["a b", "a c"], n=1).value == cross_repetition(["b a", "c a"], n=1).value  # ln 2 each
        True
    """
    check_order(n)
    tokenized = tokenize(texts, tokenizer)
    name, sign = (
        f"cross_repetition_{n}",
        signature("cross_repetition", n=n, tok=tokenized.tokenizer, len=tokenized.length),
    )
    counts = {**tokenized.counts, "shorter_than_n_share": tokenized.shorter_than(n)}
    if not len(tokenized):
        return undefined(name, sign, "there are no texts", counts)
    *_, found = tokenized.repeated(n)
    held = found.held
    others = np.bincount(held.gram)[held.gram] - 1
    per_text = np.log1p(np.bincount(held.text, weights=others, minlength=len(tokenized)))
    return Score(name, float(per_text.mean()), sign, counts=counts, per_text=per_text)
