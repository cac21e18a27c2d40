"""Type-token measures that hardly depend on length: MTLD and HD-D, over all texts one after the other.

MTLD: tokens by factors, a factor being a stretch after which the type-token ratio has fallen to 0.72; the last, unfinished stretch counts
in part; mean of reading forward and backward. Equals lexicalrichness (`<=` at the threshold, no minimal length). HD-D: the expected
type-token ratio of 42 tokens drawn without replacement, sum over types of (1 - P(type not among the 42)) / 42. Source of both: McCarthy
and Jarvis 2010, Behavior Research Methods 42.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np

from temp_processors.metrics.score import Score, signature, undefined
from temp_processors.metrics.statistics import TextStatistics
from temp_processors.metrics.texts import TokenizedTexts, counted, tokenize
from temp_processors.metrics.tokenizers import Tokens


def mtld(texts: Iterable[str | Tokens] | TokenizedTexts, *, threshold: float = 0.72, tokenizer: Any = "auto") -> Score:
    """Measure of textual lexical diversity, in tokens; higher is more diverse. NaN with a reason without tokens.

    Example:
        >>> mtld(["a a a a"]).value  # a factor ends at every second token
        2.0
    """
    if not 0 < threshold < 1:
        raise ValueError(f"`threshold` has to be in (0, 1), but is {threshold!r}")
    tokenized = tokenize(texts, tokenizer)
    sign = signature("mtld", threshold=threshold, tok=tokenized.tokenizer, len=tokenized.length)
    tokens = tokenized.ids.tolist()
    if not tokens:
        return undefined("mtld", sign, "there are no tokens", tokenized.counts)
    ways = [_tokens_per_factor(tokens, threshold), _tokens_per_factor(tokens[::-1], threshold)]
    return Score("mtld", sum(ways) / 2, sign, counts=tokenized.counts)


def _tokens_per_factor(tokens: Sequence[int], threshold: float) -> float:
    factors, seen, length = 0.0, set[int](), 0
    for token in tokens:
        seen.add(token)
        length += 1
        if len(seen) / length <= threshold:
            factors, seen, length = factors + 1, set(), 0
    if length:
        factors += (1 - len(seen) / length) / (1 - threshold)
    return len(tokens) / factors if factors else float(len(tokens))


def hdd(texts: Iterable[str | Tokens] | TextStatistics, *, draws: int = 42, tokenizer: Any = "auto") -> Score:
    """Expected type-token ratio of `draws` tokens, in (0, 1]; higher is more diverse. NaN with a reason for fewer tokens.

    Example:
        >>> round(hdd(["a b c d"], draws=2).value, 12)
        1.0
    """
    if draws < 1:
        raise ValueError(f"`draws` has to be an integer >= 1, but is {draws!r}")
    tokenized = counted(texts, tokenizer)
    sign = signature("hdd", draws=draws, tok=tokenized.tokenizer, len=tokenized.length)
    total = int(tokenized.frequencies.sum())
    if total < draws:
        return undefined("hdd", sign, f"{total} tokens are fewer than the {draws} draws", tokenized.counts)
    sizes, how_many = np.unique(tokenized.frequencies, return_counts=True)
    absent = [
        math.exp(_log_choose(total - k, draws) - _log_choose(total, draws)) if total - k >= draws else 0.0
        for k in sizes
    ]
    value = float(np.dot(how_many, 1 - np.array(absent))) / draws
    return Score("hdd", value, sign, counts=tokenized.counts)


def _log_choose(n: int, k: int) -> float:
    return math.lgamma(n + 1) - math.lgamma(k + 1) - math.lgamma(n - k + 1)
