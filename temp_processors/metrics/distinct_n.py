"""distinct-n: number of different n-grams divided by the number of n-grams, pooled over all texts or text by text.

Choices: the denominator counts n-grams, not tokens (Li et al. 2016 divide by tokens); n-grams never cross texts; texts shorter than n
contribute none. Pooled it equals `len(set(g)) / len(g)` over NLTK's n-grams of all texts, and falls as texts get more or longer: compare
groups of equal size only. Text by text (`pool="text"`) it is the mean of that share over the texts with n tokens (intra-distinct), which
does not see that two texts are the same. Differs on purpose from cshaib/diversity (sums over 1..n, crosses texts, rounds).
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from temp_processors.metrics.ngrams import check_order
from temp_processors.metrics.score import Score, signature, undefined
from temp_processors.metrics.statistics import TextStatistics
from temp_processors.metrics.texts import counted
from temp_processors.metrics.tokenizers import Tokens


def distinct_n(
    texts: Iterable[str | Tokens] | TextStatistics, n: int = 2, *, pool: str = "all", tokenizer: Any = "auto"
) -> Score:
    """Share of different n-grams among all n-grams, in (0, 1]; higher is more diverse. Source: Li et al. 2016, arXiv 1510.03055.

    Args:
        texts: Strings or token lists; prompts should not be part of them.
        n: Length of the n-grams, >= 1.
        pool: `"all"` counts over all texts together, `"text"` in each text and takes the mean; `per_text` then holds the shares.
        tokenizer: See `tokenize`.

    Returns:
        NaN with a reason when no text has n tokens. `counts["shorter_than_n_share"]` is the share of texts that contribute nothing.

    Raises:
        TypeError, ValueError: As `tokenize`; `n` below 1 or an unknown pool.

    Example:
        >>> distinct_n(["a b a b", "a b c"], n=2).value  # ab ba ab, ab bc: 3 different of 5
        0.6
        >>> distinct_n(["a b a b", "a b c"], n=2, pool="text").value  # 2 of 3, 2 of 2
        0.8333333333333333
    """
    check_order(n)
    if pool not in ("all", "text"):
        raise ValueError(f"`pool` has to be one of all, text, but is {pool!r}")
    tokenized = counted(texts, tokenizer)
    name = f"distinct_{n}" if pool == "all" else f"distinct_{n}_per_text"
    sign = signature("distinct_n", n=n, pool=pool, tok=tokenized.tokenizer, len=tokenized.length)
    counts = {**tokenized.counts, "shorter_than_n_share": tokenized.shorter_than(n)}
    if counts["shorter_than_n_share"] == 1 or not len(tokenized):
        return undefined(name, sign, f"no text has {n} tokens" if len(tokenized) else "there are no texts", counts)
    if pool == "text":
        found = tokenized.inside(n)
        return Score(name, found.mean_share, sign, counts=counts, per_text=found.shares)
    different, total = tokenized.count_ngrams(n)
    return Score(name, different / total, sign, counts=counts)
