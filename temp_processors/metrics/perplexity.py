"""Perplexity of texts under the model without any temperature: exp(-sum of log-probabilities / number of tokens), pooled over texts.

Choices: of the text given its prompt, whose own tokens do not count; pooled over all tokens, so that long texts count as much as they are
long; the end of a text counts as a token where it was drawn. Differs on purpose from `evaluate`'s perplexity (mean over texts: 2.951 where
this one is 2.788) and from lm-eval's `word_perplexity` (per word: 3.454), which count other things per other units. Low perplexity says
that the texts are what the model expects, not that they are good.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

from temp_processors.metrics.score import Score, signature, undefined


def perplexity(log_probs: Sequence[float], token_counts: Sequence[int]) -> Score:
    """Pooled perplexity, >= 1; NaN with a reason when there are no tokens or a text has no probability.

    Args:
        log_probs: Natural-log probability of each text under the untempered model.
        token_counts: Number of tokens behind each of them.

    Raises:
        ValueError: Sequences of different lengths.

    Example:
        >>> round(perplexity([-2.0, -4.0], [2, 4]).value, 6)
        2.718282
    """
    if len(log_probs) != len(token_counts):
        raise ValueError(f"`log_probs` holds {len(log_probs)} values and `token_counts` {len(token_counts)}")
    sign = signature("perplexity", pool="tokens", model="untempered", given="prompt", eos="counted")
    tokens = sum(token_counts)
    counts = {"texts": len(log_probs), "tokens": tokens}
    for place, value in enumerate(log_probs):
        if not math.isfinite(value):
            reason = f"text {place} has the log-probability {value}"
            if math.isnan(value):
                reason = f"text {place} has no log-probability: what drew it tells none"
            return undefined("perplexity", sign, reason, counts)
    if not tokens:
        return undefined("perplexity", sign, "there are no tokens", counts)
    return Score("perplexity", math.exp(-math.fsum(log_probs) / tokens), sign, counts=counts)
