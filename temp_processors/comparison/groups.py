"""Groups of texts made comparable: the same number of texts in each, and texts cut to lengths that compare."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property, partial
from typing import Any

from temp_processors.metrics import Metric, Score, TokenizedTexts, matched, paired, tokenize
from temp_processors.metrics.compression_ratio import cut_name
from temp_processors.metrics.tokenizers import share_without_spaces, splitter

LENGTHS = "full, paired, matched or first:K with K >= 1"
_ONE_AT_A_TIME = threading.Lock()  # a tokenizer of Hugging Face or of the user may not be used by two threads


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
    """The groups cut to the keys that all of them have, in the order of the first.

    Raises:
        ValueError: They have none in common.
    """
    shared = set.intersection(*(set(group.keys) for group in groups.values()))
    if not shared and any(len(group.keys) for group in groups.values()):
        raise nothing_in_common(groups)
    order = [key for key in next(iter(groups.values())).keys if key in shared]
    common = {}
    for name, group in groups.items():
        place = {key: position for position, key in enumerate(group.keys)}
        common[name] = group.take([place[key] for key in order])
    return common


def nothing_in_common(groups: Iterable[str]) -> ValueError:
    """What is raised where groups of these names share no text."""
    return ValueError(f"{', '.join(groups)} have no prompt and sample number in common: there is nothing to compare")


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
    """The texts that all groups have in common, tokenized once and cut to a length.

    Args:
        groups: By name.
        length: `full`; `paired`, text i of every group cut to the shortest of these; `matched`, all cut to the shortest text of all;
            `first:K`, the first K tokens.
        tokenizer: As for `tokenize`; `auto` decides once, by the texts of all groups.
    """

    def __init__(self, groups: Mapping[str, Group], length: str, tokenizer: Any = "auto") -> None:
        texts = [text for group in groups.values() for text in group.texts] if tokenizer == "auto" else []
        self.without_spaces = share_without_spaces(texts)
        self.tokenizer = splitter(tokenizer, without_spaces=self.without_spaces)
        self.common, self._length, self._first = common_groups(groups), length, cut_of(length)
        self.clusters = [prompt for prompt, _ in next(iter(self.common.values())).keys]

    @cached_property
    def whole(self) -> dict[str, TokenizedTexts]:
        """All texts, whole."""
        return {name: tokenize(group.texts, self.tokenizer) for name, group in self.common.items()}

    @cached_property
    def cut(self) -> dict[str, TokenizedTexts]:
        """All texts, cut to the length."""
        if self._first is not None:
            return {name: texts.first(self._first) for name, texts in self.whole.items()}
        if self._length == "full":
            return self.whole
        alike = paired if self._length == "paired" else matched
        return dict(zip(self.whole, alike(list(self.whole.values())), strict=True))

    def prepare(self, metrics: Iterable[Metric]) -> None:
        """Split and cut the texts as far as these metrics ask for it, before several threads do.

        Raises:
            ValueError: As `matched`.
        """
        asked = [metric for metric in metrics if metric.takes != "log_probs"]
        if any(metric.cut or self._first is not None for metric in asked):
            _ = self.cut
        elif asked:
            _ = self.whole

    def items(self, name: str, metric: Metric) -> Any:
        """What the metric scores of a group: one item a text.

        Raises:
            ValueError: It takes log-probabilities, and the group has none.
        """
        group = self.common[name]
        if metric.takes == "log_probs":
            if group.log_probs is None or group.token_counts is None:
                raise ValueError(f"{metric.name} needs the log-probability of every text, which only runs have")
            return list(zip(group.log_probs, group.token_counts, strict=True))
        if not metric.cut and self._first is None:
            return self.whole[name]
        return self._strings(name) if metric.takes == "strings" else self.cut[name]

    def _strings(self, name: str) -> list[str]:
        """The texts of a group as far as they are scored: each up to the end of its last token that was kept."""
        texts, cut = self.common[name].texts, self.cut[name]
        if cut.length == "full":
            return list(texts)
        with _ONE_AT_A_TIME:
            return [
                self.tokenizer.beginning(text, kept) for text, kept in zip(texts, cut.lengths.tolist(), strict=True)
            ]

    def function(self, metric: Metric) -> Callable[[Any], Score]:
        """The metric as a function of its `items`."""
        if metric.takes == "log_probs":
            return lambda pairs: metric.function([pair[0] for pair in pairs], [pair[1] for pair in pairs])
        if metric.takes == "strings":
            texts = next(iter(self.cut.values()))
            return partial(metric.function, length=cut_name(texts.length, texts.tokenizer))
        return metric.function

    def all_of(self, group: Group) -> TokenizedTexts | None:
        """All texts of a group, also those that others have no counterpart of, cut as far as that does not depend on other groups."""
        if self._first is None and self._length != "full":
            return None
        texts = tokenize(group.texts, self.tokenizer)
        return texts if self._first is None else texts.first(self._first)

    def left_out_tokens(self, name: str) -> int:
        """Tokens of a group that were cut off."""
        return len(self.whole[name].ids) - len(self.cut[name].ids)
