"""Zipf exponent: minus the least-squares slope of ln frequency over ln rank of the tokens, all ranks alike.

Larger means that few words make up more of the texts. Human English lies near 1. Ties get consecutive ranks. Source: Holtzman et al.
2020, arXiv 1904.09751, who report it for generated text. The many words seen once pull on the fit: compare equal numbers of tokens.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import numpy as np

from temp_processors.metrics.score import Score, signature, undefined
from temp_processors.metrics.statistics import TextStatistics
from temp_processors.metrics.texts import counted
from temp_processors.metrics.tokenizers import Tokens


def zipf_exponent(texts: Iterable[str | Tokens] | TextStatistics, *, tokenizer: Any = "auto") -> Score:
    """Exponent of the rank-frequency law, >= 0; NaN with a reason for fewer than two different tokens.

    Example:
        >>> round(zipf_exponent(["a a a a b b"]).value, 6)  # 4 and 2 at ranks 1 and 2
        1.0
    """
    tokenized = counted(texts, tokenizer)
    sign = signature("zipf_exponent", fit="least-squares", tok=tokenized.tokenizer, len=tokenized.length)
    frequencies = np.sort(tokenized.frequencies)[::-1]
    if len(frequencies) < 2:
        return undefined("zipf_exponent", sign, "fewer than two different tokens", tokenized.counts)
    slope = np.polyfit(np.log(np.arange(1, len(frequencies) + 1)), np.log(frequencies), 1)[0]
    return Score("zipf_exponent", float(-slope), sign, counts=tokenized.counts)
