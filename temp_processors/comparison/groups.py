"""Groups of texts made comparable: the same number of texts in each, and texts cut to lengths that compare."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property, partial
from typing import Any

from temp_processors.metrics import Score, TokenizedTexts, matched, metric_by_name, paired, perplexity, tokenize
from temp_processors.metrics.compression_ratio import cut_name
from temp_processors.metrics.texts import splitter

TAKES_STRINGS = frozenset({"compression_ratio"})
WHOLE = frozenset({"mean_length"})
"""Metrics of whole texts where all groups are cut to equal lengths, which would leave nothing to measure."""
LENGTHS = "full, paired, matched or first:K with K >= 1"


@dataclass(frozen=True)
class Group:
    """Texts that are scored together.

    Args:
        texts: The texts, without their prompts.
        keys: What pairs a text with its counterpart in another group: (prompt, sample number). Position by default.
        log_probs: Natural-log probability of every text under the untempered model, for perplexity.
        token_counts: Number of tokens behind each of them.
    """

    texts: Sequence[str]
    keys: Sequence[tuple[Any, int]]
    log_probs: Sequence[float] | None = None
    token_counts: Sequence[int] | None = None

    def take(self, places: Sequence[int]) -> Group:
        """The texts at these places."""

        def at(values: Sequence[Any] | None) -> Any:
            return None if values is None else [values[place] for place in places]

        return Group(at(self.texts), at(self.keys), at(self.log_probs), at(self.token_counts))


def common_groups(groups: Mapping[str, Group]) -> dict[str, Group]:
    """The groups cut to the keys that all of them have, in one order.

    Raises:
        ValueError: They have none in common.
    """
    shared = set.intersection(*(set(group.keys) for group in groups.values()))
    if not shared and any(len(group.keys) for group in groups.values()):
        raise ValueError(f"{', '.join(groups)} have no prompt and sample number in common: there is nothing to compare")
    common = {}
    for name, group in groups.items():
        place = {key: position for position, key in enumerate(group.keys)}
        common[name] = group.take([place[key] for key in sorted(shared)])
    return common


def cut_of(length: str) -> int | None:
    """K of `first:K`; None for `full`, `paired` and `matched`.

    Raises:
        ValueError: It is none of these.

    Example:
        >>> cut_of("first:20")
        20
    """
    if length in ("full", "paired", "matched"):
        return None
    kind, _, number = length.partition(":")
    if kind != "first" or not number.isdecimal() or int(number) < 1:
        raise ValueError(f"`length` has to be {LENGTHS}, but is {length!r}")
    return int(number)


class ScoredTexts:
    """What is scored: the common texts of all groups, tokenized once, cut to a length.

    Args:
        groups: By name.
        length: As for `compare_groups`.
        tokenizer: As for `tokenize`.
    """

    def __init__(self, groups: Mapping[str, Group], length: str, tokenizer: Any = "whitespace") -> None:
        self._tokenizer = tokenizer
        self.common, self._length, self._first = common_groups(groups), length, cut_of(length)
        self.clusters = [prompt for prompt, _ in next(iter(self.common.values())).keys]

    @cached_property
    def whole(self) -> dict[str, TokenizedTexts]:
        """All texts, whole."""
        return {name: tokenize(group.texts, self._tokenizer) for name, group in self.common.items()}

    @cached_property
    def cut(self) -> dict[str, TokenizedTexts]:
        """All texts, as far as they are scored."""
        if self._first is not None:
            return {name: texts.first(self._first) for name, texts in self.whole.items()}
        if self._length == "full":
            return self.whole
        alike = paired if self._length == "paired" else matched
        return dict(zip(self.whole, alike(list(self.whole.values())), strict=True))

    def items(self, name: str, metric: str) -> Any:
        """What the metric scores of a group: one item a text."""
        group = self.common[name]
        if metric == "perplexity":
            if group.log_probs is None or group.token_counts is None:
                raise ValueError("perplexity needs the log-probability of every text, which only runs have")
            return list(zip(group.log_probs, group.token_counts, strict=True))
        if metric in WHOLE and self._first is None:
            return self.whole[name]
        if metric not in TAKES_STRINGS:
            return self.cut[name]
        if self.cut[name].length == "full":
            return list(group.texts)
        split, _ = splitter(self._tokenizer)
        lengths = self.cut[name].lengths.tolist()
        return [" ".join(map(str, split(text)[:kept])) for text, kept in zip(group.texts, lengths, strict=True)]

    def function(self, metric: str) -> Callable[[Any], Score]:
        """From items to a score.

        Raises:
            ValueError: No such metric.
        """
        if metric == "perplexity":
            return lambda pairs: perplexity([pair[0] for pair in pairs], [pair[1] for pair in pairs])
        score = metric_by_name(metric)
        if metric not in TAKES_STRINGS:
            return score
        texts = next(iter(self.cut.values()))
        return partial(score, length=cut_name(texts.length, texts.tokenizer))

    def left_out_tokens(self, name: str) -> int:
        """Tokens of a group that were cut off."""
        return len(self.whole[name].ids) - len(self.cut[name].ids)
