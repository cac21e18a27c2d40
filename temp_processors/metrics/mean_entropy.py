"""Mean entropy: how uncertain the model was, without any temperature, at the tokens of the texts; mean over tokens, in nats.

Choices: pooled over all tokens, so that long texts count as much as they are long. The entropy of a step is that of the untempered
model before the token was drawn (`TokenTrace.entropy`, or `distribution.entropy` of the raw scores); its exponential is the number of
equally likely tokens that would be as uncertain. High temperature leads texts where the model is unsure: it rises with perplexity.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence

import numpy as np

from temp_processors.metrics.score import Score, signature, undefined


def mean_entropy(entropies: Iterable[Sequence[float]]) -> Score:
    """Mean entropy of a token, >= 0, in nats.

    Args:
        entropies: For every text the entropy at each of its tokens, in nats.

    Returns:
        NaN with a reason when there are no tokens. `per_text` holds the mean of every text, NaN for texts without tokens.

    Raises:
        TypeError: An element is a number: entropies of tokens have to stand text by text.
        ValueError: An entropy is negative, infinite or NaN.

    Example:
        >>> mean_entropy([[0.0, 1.0], [2.0, 3.0, 4.0]]).value
        2.0
    """
    sign = signature("mean_entropy", pool="tokens", model="untempered", unit="nats")
    held = [np.asarray(text, dtype=np.float64) for text in entropies]
    for place, text in enumerate(held):
        if text.ndim != 1:
            raise TypeError(f"`entropies[{place}]` has to hold one number for each token, but is of shape {text.shape}")
        if not (np.isfinite(text) & (text >= 0)).all():
            raise ValueError(f"`entropies[{place}]` has to hold finite numbers >= 0, but holds {text.tolist()}")
    tokens = sum(map(len, held))
    counts = {"texts": len(held), "tokens": tokens}
    if not tokens:
        return undefined("mean_entropy", sign, "there are no tokens", counts)
    per_text = np.array([text.mean() if len(text) else math.nan for text in held])
    return Score("mean_entropy", math.fsum(np.concatenate(held)) / tokens, sign, counts=counts, per_text=per_text)
