"""Mean length of the texts in tokens of the chosen tokenizer (words for `whitespace`); most diversity scores move with it."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from temp_processors.metrics.score import Score, signature, undefined
from temp_processors.metrics.statistics import TextStatistics
from temp_processors.metrics.texts import TokenizedTexts, counted
from temp_processors.metrics.tokenizers import Tokens


def unit_of(signature: str) -> str:
    """What a score of this signature counts: `words`, `characters`, or `tokens` of a model or a function.

    Example:
        >>> unit_of("mean_length|tok:characters|len:full|v:1"), unit_of("mean_length|tok:hf:fox|len:full|v:1")
        ('characters', 'tokens')
    """
    name = signature.partition("|tok:")[2].partition("|")[0]
    return {"whitespace": "words", "characters": "characters"}.get(name, "tokens")


def mean_length(texts: Iterable[str | Tokens] | TextStatistics, *, tokenizer: Any = "auto") -> Score:
    """Mean number of tokens of a text; NaN with a reason when there are no texts.

    Example:
        >>> mean_length(["one two three", "four"]).value
        2.0
    """
    tokenized = counted(texts, tokenizer)
    sign = signature("mean_length", tok=tokenized.tokenizer, len=tokenized.length)
    counts = tokenized.counts
    if not len(tokenized):
        return undefined("mean_length", sign, "there are no texts", counts)
    per_text = tokenized.lengths.astype(float) if isinstance(tokenized, TokenizedTexts) else None
    return Score("mean_length", counts["tokens"] / counts["texts"], sign, counts=counts, per_text=per_text)
