"""Diversity and quality scores of texts, each with a signature that names every choice behind its value.

This part knows nothing of generation: it takes lists of strings (or token lists).
"""

from __future__ import annotations

import difflib
from collections.abc import Callable
from functools import partial

from temp_processors.metrics.distinct_n import distinct_n as distinct_n
from temp_processors.metrics.length import mean_length as mean_length
from temp_processors.metrics.perplexity import perplexity as perplexity
from temp_processors.metrics.score import Score as Score
from temp_processors.metrics.self_bleu import self_bleu as self_bleu
from temp_processors.metrics.tokenization import TokenizedTexts as TokenizedTexts
from temp_processors.metrics.tokenization import tokenize as tokenize

TEXT_METRICS: dict[str, Callable[..., Score]] = {
    **{f"distinct_{n}": partial(distinct_n, n=n) for n in (1, 2, 3, 4)},
    **{f"self_bleu_{n}": partial(self_bleu, n=n) for n in (2, 3, 4, 5)},
    "mean_length": mean_length,
}
"""The metrics that need nothing but texts, by name."""

METRIC_NAMES = (*TEXT_METRICS, "perplexity")
"""Every name that a configuration may list under `metrics`."""


def metric_by_name(name: str) -> Callable[..., Score]:
    """The function from texts to score behind a name such as `distinct_2` or `self_bleu_4`.

    Raises:
        ValueError: No such name; the message gives the closest one and all others.
    """
    if name not in TEXT_METRICS:
        close = difflib.get_close_matches(name, TEXT_METRICS, n=1)
        hint = f" (did you mean {close[0]!r}?)" if close else ""
        raise ValueError(f"{name!r} is not a metric of texts{hint}; there are {', '.join(TEXT_METRICS)}")
    return TEXT_METRICS[name]
