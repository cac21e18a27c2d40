"""Mean length of the texts in tokens of the chosen tokenizer (words for `whitespace`); most diversity scores move with it."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from temp_processors.metrics.score import Score, signature, undefined
from temp_processors.metrics.tokenization import TokenizedTexts, Tokens, tokenize


def mean_length(texts: Iterable[str | Tokens] | TokenizedTexts, *, tokenizer: Any = "whitespace") -> Score:
    """Mean number of tokens of a text; NaN with a reason when there are no texts.

    Example:
        >>> mean_length(["one two three", "four"]).value
        2.0
    """
    tokenized = tokenize(texts, tokenizer)
    sign = signature("mean_length", tok=tokenized.tokenizer)
    counts = {"texts": len(tokenized), "tokens": len(tokenized.ids)}
    if not len(tokenized):
        return undefined("mean_length", sign, "there are no texts", counts)
    lengths = tokenized.lengths.astype(float)
    return Score("mean_length", float(lengths.mean()), sign, counts=counts, per_text=lengths)
