"""Names of policies in pictures: wrapped or shortened to the room there is, in a font that has their characters."""

from __future__ import annotations

import logging
import math
import textwrap
from collections.abc import Iterable, Sequence
from functools import cache
from unicodedata import east_asian_width

from temp_processors.inert import figure_text, one_line

LATIN = "DejaVu Sans"
OTHERS = (
    "Noto Sans CJK SC", "Noto Sans CJK JP", "Source Han Sans SC", "PingFang SC", "Microsoft YaHei", "WenQuanYi Zen Hei",
    "WenQuanYi Micro Hei", "SimHei", "Hiragino Sans", "Apple SD Gothic Neo", "Malgun Gothic", "Arial Unicode MS", "Noto Serif CJK SC",
    "Noto Serif CJK JP", "AR PL UMing CN", "Droid Sans Fallback",
)  # fmt: skip
"""Fonts with Chinese, Japanese and Korean, the better ones first; matplotlib ships none."""


@cache
def families() -> list[str]:
    """The fonts of every picture: matplotlib's own, then the best installed one for Chinese, Japanese and Korean."""
    from matplotlib.font_manager import fontManager

    installed = {font.name for font in fontManager.ttflist}
    return [LATIN, *[name for name in OTHERS if name in installed][:1]]


@cache
def say_missing(characters: str) -> None:
    """Tell once, in one line, that pictures show boxes."""
    logging.getLogger(__name__).warning(
        "pictures show boxes for %s: no installed font has them; Noto Sans CJK has Chinese, Japanese and Korean",
        characters,
    )


def width(text: str) -> int:
    """Columns that a text takes: two for a wide character.

    Example:
        >>> width("fox"), width("狐狸")
        (3, 4)
    """
    return sum(2 if east_asian_width(character) in "WF" else 1 for character in text)


def shortened(name: str, most: int) -> str:
    """A name with its middle left out where it takes more than `most` columns: names that differ often differ at the end.

    Example:
        >>> shortened("policy-number-one", 9), shortened("cold", 9)
        ('poli…-one', 'cold')
    """
    if width(name) <= most:
        return name
    front, back = name, name
    while width(front) > (most - 1) - (most - 1) // 2:
        front = front[:-1]
    while width(back) > (most - 1) // 2:
        back = back[1:]
    return f"{front}…{back}"


def wrapped(name: str, columns: int, lines: int) -> str:
    """A name as a picture shows it, on at most so many lines; hidden characters as escapes, no formula.

    Example:
        >>> print(wrapped("cooling from hot to cold", 12, 3))
        cooling from
        hot to cold
    """
    text = shortened(one_line(name), columns * lines)
    wide = max(1, columns * len(text) // max(width(text), 1))
    found = textwrap.wrap(text, wide, break_on_hyphens=False) or [text]
    if len(found) > lines:  # words leave room at the ends of lines
        found = [text[start : start + wide] for start in range(0, len(text), wide)]
    return "\n".join(map(figure_text, found))


def apart(labels: Sequence[str]) -> list[str]:
    """Labels of which no two are alike: those that shortening made alike are numbered.

    Example:
        >>> apart(["a…z", "b", "a…z"])
        ['a…z', 'b', 'a…z (2)']
    """
    seen: dict[str, int] = {}
    found = []
    for label in labels:
        seen[label] = seen.get(label, 0) + 1
        found.append(label if seen[label] == 1 else f"{label} ({seen[label]})")
    return found


def longest_line(labels: Iterable[str]) -> int:
    """Columns of the longest line of any label."""
    return max((width(line) for label in labels for line in label.split("\n")), default=0)


def log_ticks(low: float, high: float, most: int = 6) -> list[float]:
    """Places for labels on a logarithmic axis from `low` to `high`: 1, 2, 5 times a power of ten, fewer where these would overprint.

    Example:
        >>> log_ticks(3.0, 40.0), log_ticks(0.5, 2e6), log_ticks(2.1, 2.6)
        ([5.0, 10.0, 20.0], [1.0, 100.0, 10000.0, 1000000.0], [2.2, 2.4, 2.6])
    """
    powers = range(math.floor(math.log10(low)), math.ceil(math.log10(high)) + 1)
    for steps in ((1.0, 2.0, 5.0), (1.0, 3.0), (1.0,)):
        ticks = [float(f"{step * 10.0**power:.6g}") for power in powers for step in steps]
        found = [tick for tick in ticks if low <= tick <= high]
        if 2 < len(found) <= most:
            return found
        if len(found) <= 2:
            return _even(low, high)
    every = math.ceil(len(found) / most)
    return found[::every]


def _even(low: float, high: float) -> list[float]:
    """Round numbers of one step, for a span in which there are no powers of ten."""
    rough = (high - low) / 4
    power = 10.0 ** math.floor(math.log10(rough))
    step = next(factor * power for factor in (1, 2, 5, 10) if factor * power >= rough)
    first = math.ceil(low / step - 1e-9)
    return [float(f"{place * step:.6g}") for place in range(first, first + 8) if place * step <= high * (1 + 1e-9)]
