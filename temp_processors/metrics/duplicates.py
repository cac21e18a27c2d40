"""Unique share: the share of texts that equal no earlier text, token by token. A repeated text has self-BLEU 1: look here first."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from temp_processors.metrics.score import Score, signature, undefined
from temp_processors.metrics.statistics import TextStatistics
from temp_processors.metrics.texts import counted
from temp_processors.metrics.tokenizers import Tokens


def unique_share(texts: Iterable[str | Tokens] | TextStatistics, *, tokenizer: Any = "auto") -> Score:
    """Number of different texts by the number of texts, in (0, 1]; higher is more diverse. NaN with a reason without texts.

    Example:
        >>> unique_share(["a", "a", "b", "b"]).value
        0.5
    """
    tokenized = counted(texts, tokenizer)
    sign = signature("unique_share", tok=tokenized.tokenizer, len=tokenized.length)
    counts = tokenized.counts
    if not len(tokenized):
        return undefined("unique_share", sign, "there are no texts", counts)
    return Score("unique_share", tokenized.different_texts / len(tokenized), sign, counts=counts)
