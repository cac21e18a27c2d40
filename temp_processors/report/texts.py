"""Some texts of every policy on the terminal, only where they part: the common beginning once, then what differs."""

from __future__ import annotations

import unicodedata
from collections.abc import Iterable, Iterator, Sequence
from os.path import commonprefix

from rich.cells import cell_len, set_cell_size
from rich.text import Text

from temp_processors.inert import lines, one_line
from temp_processors.runs.sample import Sample

MANY = 12
"""Policies above which each gets one line of the screen."""
LONGEST = 300
"""Characters of a text that are shown."""
FEWEST_SHARED = 12
"""Characters that a text has to share with the first one to begin where they part."""
LONGEST_NAME = 24
ALPHABETIC = 0x2E80
"""Below are scripts with words between spaces; from here on Chinese, Japanese and Korean."""


def sample_lines(
    samples: Iterable[Sample], policies: Sequence[str], width: int = 80, *, whole: bool = False
) -> list[Text]:
    """The first texts of every policy, by prompt: two, or one where there are more than `MANY` policies.

    Args:
        samples: Of a run.
        policies: Their names, in the order in which they are shown.
        width: Of the terminal; where there are many policies, a text is cut to it.
        whole: Show every text to its end.
    """
    many = len(policies) > MANY
    kept: dict[str, list[Sample]] = {name: [] for name in policies}
    for sample in samples:
        kept[sample.policy].append(sample)
        kept[sample.policy] = sorted(kept[sample.policy], key=lambda s: (s.prompt_id, s.sample_id))[: 1 if many else 2]
    by_prompt: dict[int, list[Sample]] = {}
    for sample in (sample for group in kept.values() for sample in group):
        by_prompt.setdefault(sample.prompt_id, []).append(sample)
    names = min(max(map(cell_len, map(one_line, policies)), default=0), LONGEST_NAME)
    room = None if whole else width - names - 4 if many else LONGEST
    return [line for prompt in sorted(by_prompt) for line in _of_prompt(by_prompt[prompt], names, room)]


def _of_prompt(samples: Sequence[Sample], names: int, room: int | None) -> Iterator[Text]:
    """The prompt with the beginning that all texts share, then a line for every text."""
    texts = [one_line(sample.text.replace("\n", " ")) for sample in samples]
    begin = common_beginning(texts) if len(set(texts)) > 1 else 0
    shared = _cut(texts[0][:begin], room)
    yield Text.assemble((lines(samples[0].prompt), "dim"), shared, " …" if begin else "")
    seen: dict[str, str] = {}
    shown = None
    for sample, text in zip(samples, texts, strict=True):
        label = set_cell_size(one_line(sample.policy), names) if sample.policy != shown else " " * names
        shown = sample.policy
        yield Text.assemble((f"  {label}  ", "bold"), *_where_it_parts(text, texts[0], begin, seen, room))
        seen.setdefault(text, one_line(sample.policy))


def _where_it_parts(
    text: str, first: str, begin: int, seen: dict[str, str], room: int | None
) -> Iterator[str | tuple[str, str]]:
    if text in seen:
        yield f"the same as the first of {seen[text]}", "dim"
        return
    start = common_beginning([first, text]) if text != first else begin
    if start - begin < FEWEST_SHARED:
        start = begin
    yield "… " if start > begin else "", "dim"
    yield _cut(text[start:].lstrip() if start else text.lstrip(), room) or "(nothing)"


def _cut(text: str, room: int | None) -> str:
    if room is None or cell_len(text) <= room:
        return text
    return set_cell_size(text, max(1, room - 1)).rstrip() + "…"


def common_beginning(texts: Sequence[str]) -> int:
    """How many characters all of the texts begin with, without half of a word or of a character with marks.

    Example:
        >>> common_beginning(["the fox ran", "the four dogs"]), common_beginning(["狐狸跑", "狐狸跳"])
        (4, 2)
    """
    cut = len(commonprefix(list(texts)))  # noqa: RUF071  (characters are meant)
    while cut and any(_inside(text, cut) for text in texts):
        cut -= 1
    return cut


def _inside(text: str, cut: int) -> bool:
    """Whether a place in a text is inside of a word or of a character."""
    if cut >= len(text):
        return False
    before, after = text[cut - 1], text[cut]
    if unicodedata.combining(after) or after in "\u200d\ufe0f" or before == "\u200d":
        return True
    return before.isalnum() and after.isalnum() and max(ord(before), ord(after)) < ALPHABETIC
