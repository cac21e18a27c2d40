"""Entropy rate and expected perplexity from the distributions that tokens were drawn from, in place of the tokens themselves.

    entropy rate H = sum_t H(q_t) / tokens                    in place of  - sum_t ln q_t(x_t) / tokens
    expected perplexity = exp(sum_t H(q_t, p_t) / tokens)     in place of  exp(- sum_t ln p_t(x_t) / tokens)

with q_t what token t was drawn from, p_t the model without any temperature, H(q, p) = - sum_x q(x) ln p(x). Given the text before it,
each term on the left is the mean of its counterpart on the right, so both sides have the same expectation and the left one less variance.
Choices: pooled over all tokens, the end of a text counted where it was drawn. Source: Rao 1945, Blackwell 1947.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence

import numpy as np

from temp_processors.metrics.arrays import Floats
from temp_processors.metrics.score import Score, signature, undefined


def entropy_rate(entropies: Iterable[Sequence[float] | Floats]) -> Score:
    """Entropy of a token given the text before it, under the policy, >= 0, in nats.

    Args:
        entropies: For every text the entropy of what each of its tokens was drawn from (`entropy_after` of a trace), in nats.

    Returns:
        NaN with a reason when there are no tokens.

    Raises:
        ValueError: An entropy is negative, infinite or NaN.

    Example:
        >>> entropy_rate([[0.0, 1.0], [2.0]]).value
        1.0
    """
    sign = signature("entropy_rate", pool="tokens", model="policy", given="prompt", eos="counted", unit="nats")
    return _pooled("entropy_rate", sign, entropies)


def expected_perplexity(cross_entropies: Iterable[Sequence[float] | Floats]) -> Score:
    """Perplexity of the texts that the policy writes, under the untempered model, >= 1.

    Args:
        cross_entropies: For every text and token H(q, p) in nats: what the token costs the untempered model on average.

    Returns:
        NaN with a reason when there are no tokens.

    Raises:
        ValueError: A cross-entropy is negative, infinite or NaN.

    Example:
        >>> round(expected_perplexity([[0.5, 1.5], [1.0]]).value, 6)
        2.718282
    """
    sign = signature("expected_perplexity", pool="tokens", model="untempered", given="prompt", eos="counted")
    return _pooled("expected_perplexity", sign, cross_entropies, exponential=True)


def _pooled(name: str, sign: str, values: Iterable[Sequence[float] | Floats], *, exponential: bool = False) -> Score:
    held = [np.asarray(text, dtype=np.float64) for text in values]
    for place, text in enumerate(held):
        if not (np.isfinite(text) & (text >= 0)).all():
            raise ValueError(f"{name} needs finite numbers >= 0, but text {place} has {text.tolist()}")
    tokens = sum(map(len, held))
    counts = {"texts": len(held), "tokens": tokens}
    if not tokens:
        return undefined(name, sign, "there are no tokens", counts)
    mean = math.fsum(np.concatenate(held)) / tokens
    return Score(name, math.exp(mean) if exponential else mean, sign, counts=counts)
