"""What texts of `kind: power` cost, and how far their draws can be trusted, beside what they are worth."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Sequence
from statistics import fmean, median
from typing import Any

Sample = dict[str, Any]


def power_notes(samples: Iterable[Sample]) -> list[str]:
    """A line for every policy whose samples say what they cost, in the order of the samples.

    Example:
        >>> text = {"policy": "p", "token_ids": [1, 2], "finish_reason": "length", "log_prob": -3.0}
        >>> power_notes([{**text, "computed_tokens": 64, "acceptance": 0.5}])
        ['p: 32.0 tokens computed for each token kept, log-probability of a text -3.00, 50% of its moves accepted']
    """
    by_policy: dict[str, list[Sample]] = {}
    for sample in samples:
        if is_number(sample.get("computed_tokens")) and isinstance(sample.get("token_ids"), list):
            by_policy.setdefault(sample["policy"], []).append(sample)
    return [f"{policy}: {', '.join(_parts(texts))}" for policy, texts in by_policy.items()]


def _parts(texts: Sequence[Sample]) -> Iterator[str]:
    kept = sum(len(text["token_ids"]) + (text.get("finish_reason") == "stop") for text in texts)
    yield f"{sum(text['computed_tokens'] for text in texts) / max(1, kept):.1f} tokens computed for each token kept"
    if chances := _numbers(texts, "log_prob"):
        yield f"log-probability of a text {fmean(chances):.2f}"
    if sizes := _numbers(texts, "ess"):
        yield f"effective sample size {median(sizes):.1f} (median; least {min(sizes):.1f})"
    resamplings, ancestors = _numbers(texts, "resamplings"), _numbers(texts, "ancestors")
    if resamplings and ancestors:
        yield f"{fmean(resamplings):.1f} resamplings and {fmean(ancestors):.1f} ancestors a text"
    if accepted := _numbers(texts, "acceptance"):
        yield f"{fmean(accepted):.0%} of its moves accepted"


def _numbers(texts: Sequence[Sample], name: str) -> list[float]:
    return [float(text[name]) for text in texts if is_number(text.get(name))]


def is_number(value: Any) -> bool:
    """Whether a value from a file is a finite number."""
    return isinstance(value, (int, float)) and not isinstance(value, bool) and math.isfinite(value)
