"""Diversity and quality scores of texts, each with a signature that names every choice behind its value.

This part knows nothing of generation: it takes lists of strings (or token lists).
"""

from __future__ import annotations

import difflib
from collections.abc import Callable, Iterable
from functools import partial

from temp_processors.metrics.compression_ratio import compression_ratio as compression_ratio
from temp_processors.metrics.cross_repetition import cross_repetition as cross_repetition
from temp_processors.metrics.distinct_n import distinct_n as distinct_n
from temp_processors.metrics.duplicates import unique_share as unique_share
from temp_processors.metrics.expectation_adjusted_distinct import (
    expectation_adjusted_distinct as expectation_adjusted_distinct,
)
from temp_processors.metrics.length import mean_length as mean_length
from temp_processors.metrics.lexical import hdd as hdd
from temp_processors.metrics.lexical import mtld as mtld
from temp_processors.metrics.mean_entropy import mean_entropy as mean_entropy
from temp_processors.metrics.pairwise_bleu import pairwise_bleu as pairwise_bleu
from temp_processors.metrics.perplexity import perplexity as perplexity
from temp_processors.metrics.repetition import seq_rep_n as seq_rep_n
from temp_processors.metrics.score import Score as Score
from temp_processors.metrics.self_bleu import self_bleu as self_bleu
from temp_processors.metrics.semantic import mean_pairwise_distance as mean_pairwise_distance
from temp_processors.metrics.semantic import vendi_score as vendi_score
from temp_processors.metrics.streaming import Needs as Needs
from temp_processors.metrics.streaming import StreamedTexts as StreamedTexts
from temp_processors.metrics.texts import TokenizedTexts as TokenizedTexts
from temp_processors.metrics.texts import matched as matched
from temp_processors.metrics.texts import paired as paired
from temp_processors.metrics.texts import tokenize as tokenize
from temp_processors.metrics.zipf_exponent import zipf_exponent as zipf_exponent

TEXT_METRICS: dict[str, Callable[..., Score]] = {
    **{f"distinct_{n}": partial(distinct_n, n=n) for n in (1, 2, 3, 4)},
    **{f"distinct_{n}_per_text": partial(distinct_n, n=n, pool="text") for n in (1, 2, 3, 4)},
    **{f"self_bleu_{n}": partial(self_bleu, n=n) for n in (2, 3, 4, 5)},
    **{f"pairwise_bleu_{n}": partial(pairwise_bleu, n=n) for n in (2, 3, 4)},
    **{f"expectation_adjusted_distinct_{n}": partial(expectation_adjusted_distinct, n=n) for n in (1, 2)},
    **{f"seq_rep_{n}": partial(seq_rep_n, n=n) for n in (2, 3, 4)},
    **{f"cross_repetition_{n}": partial(cross_repetition, n=n) for n in (4,)},
    "compression_ratio": compression_ratio,
    "unique_share": unique_share,
    "zipf_exponent": zipf_exponent,
    "mtld": mtld,
    "hdd": hdd,
    "mean_length": mean_length,
}
"""The metrics that need nothing but texts, by name."""

STREAMED: dict[str, Needs] = {
    **{f"distinct_{n}": Needs(ngrams=n) for n in (1, 2, 3, 4)},
    **{f"distinct_{n}_per_text": Needs(inside=frozenset({n})) for n in (1, 2, 3, 4)},
    **{f"expectation_adjusted_distinct_{n}": Needs(ngrams=n) for n in (1, 2)},
    **{f"seq_rep_{n}": Needs(inside=frozenset({n})) for n in (2, 3, 4)},
    "compression_ratio": Needs(compressed=True),
    **{name: Needs() for name in ("unique_share", "zipf_exponent", "hdd", "mean_length")},
}
"""The metrics that take `StreamedTexts`, and what the stream has to count for them."""

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


def stream_needs(names: Iterable[str]) -> Needs:
    """What `StreamedTexts` have to count for these metrics.

    Raises:
        ValueError: No such metric, or one that needs all texts at once.

    Example:
        >>> stream_needs(["distinct_2", "mean_length"]).ngrams
        2
    """
    needs = Needs()
    for name in names:
        metric_by_name(name)
        if name not in STREAMED:
            raise ValueError(f"{name!r} needs all texts at once; metrics of a stream: {', '.join(STREAMED)}")
        needs |= STREAMED[name]
    return needs
