"""distinct-n: number of different n-grams divided by the number of n-grams, pooled over all texts.

Choices: the denominator counts n-grams, not tokens (Li et al. 2016 divide by tokens); n-grams never cross texts; texts shorter than n
contribute none. Equals `len(set(g)) / len(g)` over NLTK's n-grams of all texts. It falls as texts get more or longer: compare groups of
equal size only. Differs on purpose from cshaib/diversity (sums over 1..n, crosses texts, rounds) and from per-text averages, which do not
see that two texts are the same.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from temp_processors.metrics.ngrams import count_ngrams
from temp_processors.metrics.score import Score, signature, undefined
from temp_processors.metrics.tokenization import TokenizedTexts, Tokens, tokenize


def distinct_n(texts: Iterable[str | Tokens] | TokenizedTexts, n: int = 2, *, tokenizer: Any = "whitespace") -> Score:
    """Share of different n-grams among all n-grams, in (0, 1]; higher is more diverse. Source: Li et al. 2016, arXiv 1510.03055.

    Args:
        texts: Strings or token lists; prompts should not be part of them.
        n: Length of the n-grams, >= 1.
        tokenizer: See `tokenize`.

    Returns:
        NaN with a reason when no text has n tokens. `counts["shorter_than_n_share"]` is the share of texts that contribute nothing.

    Raises:
        TypeError, ValueError: As `tokenize`; `n` below 1.

    Example:
        >>> distinct_n(["a b a b", "a b c"], n=2).value  # ab ba ab, ab bc: 3 different of 5
        0.6
    """
    if n < 1:
        raise ValueError(f"`n` has to be an integer >= 1, but is {n!r}")
    tokenized = tokenize(texts, tokenizer)
    name = f"distinct_{n}"
    sign = signature("distinct_n", n=n, pool="all", tok=tokenized.tokenizer, len=tokenized.length)
    counts = {**tokenized.counts, "shorter_than_n_share": tokenized.shorter_than(n)}
    different, total = count_ngrams(tokenized, n)
    if not total:
        return undefined(name, sign, f"no text has {n} tokens" if len(tokenized) else "there are no texts", counts)
    return Score(name, different / total, sign, counts=counts)
