"""The catalogue of metrics: one record each, with every fact that scoring, comparison, tables and pages need of it.

A new metric is a file with its function and a line in `_METRICS`. Names that a configuration may list, headings and arrows of tables,
captions of pictures and what a stream counts are read from here.
"""

from __future__ import annotations

import difflib
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from functools import partial
from typing import Any, Literal

from temp_processors.metrics.arrays import Ints
from temp_processors.metrics.compression_ratio import compression_ratio
from temp_processors.metrics.cross_repetition import cross_repetition
from temp_processors.metrics.distinct_n import distinct_n
from temp_processors.metrics.duplicates import unique_share
from temp_processors.metrics.expectation_adjusted_distinct import expectation_adjusted_distinct
from temp_processors.metrics.influence import Influence
from temp_processors.metrics.influences import (
    of_distinct_n,
    of_distinct_per_text,
    of_lengths,
    of_perplexity,
    of_repetition,
    of_self_bleu_n,
    of_unique_share,
)
from temp_processors.metrics.length import mean_length, unit_of
from temp_processors.metrics.lexical import hdd, mtld
from temp_processors.metrics.mean_entropy import mean_entropy
from temp_processors.metrics.pairwise_bleu import pairwise_bleu
from temp_processors.metrics.perplexity import perplexity
from temp_processors.metrics.repetition import seq_rep_n
from temp_processors.metrics.score import Score
from temp_processors.metrics.self_bleu import self_bleu
from temp_processors.metrics.semantic import mean_pairwise_distance, vendi_score
from temp_processors.metrics.streaming import Needs
from temp_processors.metrics.zipf_exponent import zipf_exponent

Takes = Literal["tokens", "strings", "log_probs", "entropies", "embeddings"]
# fmt: off
Larger = Literal["more diverse", "less diverse", "less likely text", "longer", "word use less even", "model less certain", ""]
# fmt: on
DIRECTIONS: dict[str, Literal["higher", "lower"]] = {
    "more diverse": "higher",
    "less diverse": "lower",
    "less likely text": "lower",
}
"""Which way is more diversity or likelier text; the other meanings of a larger value are neither."""


@dataclass(frozen=True)
class Metric:
    """What there is to know of one metric.

    Args:
        name: In configurations and `metrics.json`, as `distinct_2`.
        display: For people, as `distinct-2`.
        function: From what it takes to a `Score`.
        larger: What a larger value means. Neither end of a diversity scale is better by itself, so nothing here says "better".
        takes: First argument of the function: `tokens`, texts or `TokenizedTexts`; `strings`, texts only, with `length=` to name a
            cut; `log_probs`, log-probability and number of tokens of every text, as two sequences. Metrics that take `entropies`
            or `embeddings` are called by hand: no configuration lists them.
        stream: What `StreamedTexts` count for it; None for a metric that needs all texts at once.
        cut: Whether texts are cut to equal lengths for it where groups are compared. It is scored on whole texts otherwise.
        narrow: Heading of two short lines, where `display` has no good place for a break.
        influence: From what is scored and the unit of every text to its `Influence`; None for a metric without an interval, because
            no coverage was measured for it.
        scale: Where its interval is symmetric: the logit of a `share`, the logarithm of a `positive` number, that of the mean negative
            log-likelihood for `perplexity`.
    """

    name: str
    display: str
    function: Callable[..., Score]
    larger: Larger
    takes: Takes = "tokens"
    stream: Needs | None = None
    cut: bool = True
    narrow: str | None = None
    influence: Callable[[Any, Ints], Influence] | None = None
    scale: Literal["share", "positive", "perplexity"] = "share"

    @property
    def direction(self) -> Literal["higher", "lower", ""]:
        """Which values mean more diversity, or likelier text; empty where neither does."""
        return DIRECTIONS.get(self.larger, "")

    @property
    def heading(self) -> str:
        """Heading of at most two lines, for narrow columns: broken at the first space or before the order of n-grams."""
        if self.narrow or " " in self.display:
            return self.narrow or self.display.replace(" ", "\n", 1)
        family, _, order = self.display.rpartition("-")
        return f"{family}\n-{order}" if order.isdigit() else self.display

    def heading_in(self, signature: str) -> str:
        r"""The heading of scores with this signature: lengths name what they count, words, characters or tokens.

        Example:
            >>> CATALOGUE["mean_length"].heading_in("mean_length|tok:characters|len:full|v:1")
            'length\n(characters)'
        """
        return self.heading.replace("(words)", f"({unit_of(signature)})")


def _all(n: int) -> Needs:
    return Needs()


def _inside(n: int) -> Needs:
    return Needs(inside=frozenset({n}))


def _orders(
    orders: Iterable[int],
    name: str,
    display: str,
    function: Callable[..., Score],
    larger: Larger,
    stream: Callable[[int], Needs | None] = lambda n: None,
    influence: Callable[..., Influence] | None = None,
) -> Iterator[Metric]:
    """A metric of n-grams for each n; `{}` stands for n in its names."""
    for n in orders:
        own = None if influence is None else partial(influence, n=n)
        yield Metric(name.format(n), display.format(n), partial(function, n=n), larger, stream=stream(n), influence=own)


# fmt: off
_METRICS = (
    *_orders((1, 2, 3, 4), "distinct_{}", "distinct-{}", distinct_n, "more diverse", _all, of_distinct_n),
    *_orders((1, 2, 3, 4), "distinct_{}_per_text", "distinct-{} per text", partial(distinct_n, pool="text"), "more diverse", _inside,
             of_distinct_per_text),
    *_orders((2, 3, 4, 5), "self_bleu_{}", "self-BLEU-{}", self_bleu, "less diverse", influence=of_self_bleu_n),
    *_orders((2, 3, 4), "pairwise_bleu_{}", "pairwise-BLEU-{}", pairwise_bleu, "less diverse"),
    *_orders((1, 2), "expectation_adjusted_distinct_{}", "expectation-adjusted-distinct-{}", expectation_adjusted_distinct,
             "more diverse", _all),
    *_orders((2, 3, 4), "seq_rep_{}", "seq-rep-{}", seq_rep_n, "less diverse", _inside, of_repetition),
    *_orders((4,), "cross_repetition_{}", "cross-repetition-{}", cross_repetition, "less diverse"),
    Metric("compression_ratio", "compression ratio", compression_ratio, "less diverse", "strings", Needs(compressed=True)),
    Metric("unique_share", "unique share", unique_share, "more diverse", stream=Needs(), influence=of_unique_share),
    Metric("zipf_exponent", "zipf exponent", zipf_exponent, "word use less even", stream=Needs()),
    Metric("mtld", "mtld", mtld, "more diverse"),
    Metric("hdd", "hdd", hdd, "more diverse", stream=Needs()),
    Metric("mean_length", "mean length", mean_length, "longer", stream=Needs(), cut=False, narrow="length\n(words)",
           influence=of_lengths, scale="positive"),
    Metric("perplexity", "perplexity", perplexity, "less likely text", "log_probs", cut=False, narrow="perplex-\nity",
           influence=of_perplexity, scale="perplexity"),
    Metric("mean_entropy", "mean entropy", mean_entropy, "model less certain", "entropies", cut=False),
    Metric("vendi_score", "vendi score", vendi_score, "more diverse", "embeddings", cut=False),
    Metric("mean_pairwise_distance", "mean pairwise distance", mean_pairwise_distance, "more diverse", "embeddings", cut=False),
)
# fmt: on
CATALOGUE: dict[str, Metric] = {metric.name: metric for metric in _METRICS}
"""Every metric by name."""

METRIC_NAMES = tuple(name for name, metric in CATALOGUE.items() if metric.takes in ("tokens", "strings", "log_probs"))
"""Every name that a configuration may list under `metrics`."""

STREAMED = {name: metric.stream for name, metric in CATALOGUE.items() if metric.stream is not None}
"""The metrics that take `StreamedTexts`, and what the stream has to count for them."""


def metric_record(name: str) -> Metric:
    """The record of a metric that a configuration may list.

    Raises:
        ValueError: No such name; the message gives the closest one and all others.
    """
    if name not in METRIC_NAMES:
        close = difflib.get_close_matches(name, METRIC_NAMES, n=1)
        hint = f" (did you mean {close[0]!r}?)" if close else ""
        raise ValueError(f"{name!r} is not a metric{hint}; there are {', '.join(METRIC_NAMES)}")
    return CATALOGUE[name]


def metric_by_name(name: str) -> Callable[..., Score]:
    """The function from texts to score behind a name such as `distinct_2` or `self_bleu_4`.

    Raises:
        ValueError: No such name, or a metric that takes no texts.
    """
    metric = metric_record(name)
    if metric.takes == "log_probs":
        raise ValueError(f"{name!r} is not a metric of texts: it takes their log-probabilities")
    return metric.function


def stream_needs(names: Iterable[str]) -> Needs:
    """What `StreamedTexts` have to count for these metrics.

    Raises:
        ValueError: No such metric, or one that needs all texts at once.

    Example:
        >>> stream_needs(["distinct_2", "seq_rep_4"]).inside
        frozenset({4})
    """
    needs = Needs()
    for name in names:
        stream = metric_record(name).stream
        if stream is None:
            raise ValueError(f"{name!r} needs all texts at once; metrics of a stream: {', '.join(STREAMED)}")
        needs |= stream
    return needs


def described(name: str) -> Metric:
    """The record of a metric; of one that the catalogue lacks, as in a file of another version, a record that holds its name only.

    Example:
        >>> described("self_bleu_4").larger, described("of_another_version").display
        ('less diverse', 'of another version')
    """
    return CATALOGUE.get(name) or Metric(name, name.replace("_", " "), _lacking, "")


def _lacking(*texts: object) -> Score:
    raise LookupError("the catalogue lacks this metric")


def better_direction(name: str) -> Literal["higher", "lower", ""]:
    """The direction of more diversity, for perplexity of likelier text; empty where there is none."""
    return described(name).direction
