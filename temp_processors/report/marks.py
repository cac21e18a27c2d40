"""One colour and one marker for every policy, in every picture of a run and as on its page.

A policy of one fixed temperature is a circle, coloured from cold to hot by the rank of its temperature; the others are of one plain
colour and told apart by their markers. The colours are those of the page's light scheme, `template/colours.css`.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import cache
from importlib.resources import files

Colour = tuple[float, float, float]
STOPS = 5
FIXED = "o"
OTHERS = "sD^vPX*<>phd8"
"""Markers of policies without a single temperature, in matplotlib's letters; the first four are the page's."""


@dataclass(frozen=True)
class Mark:
    """How a policy is drawn.

    Args:
        colour: Red, green and blue, 0 to 1.
        marker: matplotlib's letter.
    """

    colour: Colour
    marker: str


def marks_of(policies: Iterable[str], temperatures: Mapping[str, float] | None = None) -> dict[str, Mark]:
    """The mark of every policy.

    Args:
        policies: All policies of a run, in its order, so that its pictures agree.
        temperatures: The temperature of those that have a fixed one.

    Example:
        >>> {name: mark.marker for name, mark in marks_of(["T=1", "cooling", "dynamic"], {"T=1": 1.0}).items()}
        {'T=1': 'o', 'cooling': 's', 'dynamic': 'D'}
    """
    names, known = list(policies), temperatures or {}
    ranks = sorted({known[name] for name in names if name in known})
    others = [name for name in names if name not in known]
    found = {name: Mark(_warmth(ranks.index(known[name]), len(ranks)), FIXED) for name in names if name in known}
    for i, name in enumerate(others):
        darker = min(i // len(OTHERS), 2) * 0.45  # more policies than markers: the same markers, darker
        found[name] = Mark(_mixed(_sheet()["plain"], (0.0, 0.0, 0.0), darker), OTHERS[i % len(OTHERS)])
    return {name: found[name] for name in names}


def warm(count: int) -> list[Colour]:
    """`count` colours from cold to hot."""
    return [_warmth(rank, count) for rank in range(count)]


def _warmth(rank: int, count: int) -> Colour:
    place = (rank / (count - 1) if count > 1 else 0.5) * (STOPS - 1)
    first = min(int(place), STOPS - 2)
    return _mixed(_sheet()[f"t{first}"], _sheet()[f"t{first + 1}"], place - first)


@cache
def _sheet() -> dict[str, Colour]:
    """The colours of the light scheme by name."""
    sheet = (files("temp_processors.report") / "template" / "colours.css").read_text(encoding="utf-8")
    light = re.findall(r"--(\w+): #([0-9a-f]{6})", sheet.partition("@media")[0])
    return {name: (int(text[:2], 16) / 255, int(text[2:4], 16) / 255, int(text[4:], 16) / 255) for name, text in light}


def _mixed(one: Colour, other: Colour, share: float) -> Colour:
    r"""As `color-mix(in oklab, ...)` of the page: Björn Ottosson's Oklab, https://bottosson.github.io/posts/oklab."""
    a, b = _oklab(one), _oklab(other)
    lightness, red, blue = ((1 - share) * x + share * y for x, y in zip(a, b, strict=True))
    long = (lightness + 0.3963377774 * red + 0.2158037573 * blue) ** 3
    middle = (lightness - 0.1055613458 * red - 0.0638541728 * blue) ** 3
    short = (lightness - 0.0894841775 * red - 1.2914855480 * blue) ** 3
    return (
        _encoded(4.0767416621 * long - 3.3077115913 * middle + 0.2309699292 * short),
        _encoded(-1.2684380046 * long + 2.6097574011 * middle - 0.3413193965 * short),
        _encoded(-0.0041960863 * long - 0.7034186147 * middle + 1.7076147010 * short),
    )


def _oklab(colour: Colour) -> Colour:
    r, g, b = (c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in colour)
    long = (0.4122214708 * r + 0.5363325363 * g + 0.0514459929 * b) ** (1 / 3)
    middle = (0.2119034982 * r + 0.6806995451 * g + 0.1073969566 * b) ** (1 / 3)
    short = (0.0883024619 * r + 0.2817188376 * g + 0.6299787005 * b) ** (1 / 3)
    return (
        0.2104542553 * long + 0.7936177850 * middle - 0.0040720468 * short,
        1.9779984951 * long - 2.4285922050 * middle + 0.4505937099 * short,
        0.0259040371 * long + 0.7827717662 * middle - 0.8086757660 * short,
    )


def _encoded(linear: float) -> float:
    value = 12.92 * linear if linear <= 0.0031308 else 1.055 * linear ** (1 / 2.4) - 0.055
    return min(max(value, 0.0), 1.0)
