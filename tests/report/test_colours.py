"""Contrast of the page's colours, from its style sheet: text, marks, and the temperatures from cold to hot for every reader."""

from __future__ import annotations

import re
from collections.abc import Callable
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest

import temp_processors.report

SHEET = (Path(temp_processors.report.__file__).parent / "template" / "colours.css").read_text(encoding="utf-8")
SCHEMES = {
    name: dict(re.findall(r"--(\w+): (#[0-9a-f]+)", part))
    for name, part in zip(("light", "dark"), SHEET.split("@media"), strict=True)
}
RAMP = [f"t{i}" for i in range(5)]
LMS = np.array([[0.4122, 0.5363, 0.0514], [0.2119, 0.6807, 0.1074], [0.0883, 0.2817, 0.6300]])
LAB = np.array([[0.2105, 0.7936, -0.0041], [1.9780, -2.4286, 0.4506], [0.0259, 0.7828, -0.8087]])
READERS = {  # Machado, Oliveira and Fernandes 2009, severity 1, on linear RGB
    "all colours": np.eye(3),
    "protanopia": np.array(
        [[0.152286, 1.052583, -0.204868], [0.114503, 0.786281, 0.099216], [-0.003882, -0.048116, 1.051998]]
    ),
    "deuteranopia": np.array(
        [[0.367322, 0.860646, -0.227968], [0.280085, 0.672501, 0.047413], [-0.011820, 0.042940, 0.968881]]
    ),
    "tritanopia": np.array(
        [[1.255528, -0.076749, -0.178779], [-0.078411, 0.930809, 0.147602], [0.004733, 0.691367, 0.303900]]
    ),
}
Colour = np.ndarray
by_scheme = pytest.mark.parametrize("scheme", list(SCHEMES))


def linear(text: str) -> Colour:
    """Linear RGB of `#rgb` or `#rrggbb`."""
    digits = text[1:] if len(text) == 7 else "".join(2 * digit for digit in text[1:])
    values = np.array([int(digits[i : i + 2], 16) for i in (0, 2, 4)]) / 255
    return np.where(values <= 0.04045, values / 12.92, ((values + 0.055) / 1.055) ** 2.4)


def contrast(one: Colour, other: Colour) -> float:
    """Contrast ratio of WCAG 2."""
    low, high = sorted(float(colour @ [0.2126, 0.7152, 0.0722]) for colour in (one, other))
    return (high + 0.05) / (low + 0.05)


def oklab(colour: Colour) -> Colour:
    return np.asarray(LAB @ np.cbrt(LMS @ np.clip(colour, 0, 1)))


def mixed(first: Colour, second: Colour, share: float) -> Colour:
    """As `color-mix(in oklab, ...)`."""
    lab = (1 - share) * oklab(first) + share * oklab(second)
    return np.asarray(np.clip(np.linalg.inv(LMS) @ (np.linalg.inv(LAB) @ lab) ** 3, 0, 1))


def ramp(scheme: str, see: Callable[[Colour], Colour] = lambda colour: colour) -> list[Colour]:
    stops = [linear(SCHEMES[scheme][name]) for name in RAMP]
    steps = [mixed(a, b, share) for a, b in pairwise(stops) for share in (0.0, 0.25, 0.5, 0.75)]
    return [see(colour) for colour in [*steps, stops[-1]]]


@by_scheme
@pytest.mark.parametrize(
    ("text", "on", "least"),
    [
        ("ink", "back", 7.0),
        ("ink", "card", 7.0),
        ("ink", "alert", 7.0),
        ("ink", "mark", 4.5),
        ("quiet", "back", 4.5),
        ("quiet", "card", 4.5),
        ("shared", "card", 4.5),
        ("accent", "back", 4.5),
        ("accent", "card", 4.5),
        ("up", "back", 4.5),
        ("down", "back", 4.5),
        ("plain", "back", 3.0),
    ],
)
def test_what_is_read_stands_out(scheme: str, text: str, on: str, least: float) -> None:
    assert contrast(linear(SCHEMES[scheme][text]), linear(SCHEMES[scheme][on])) >= least


@by_scheme
def test_every_temperature_stands_out_from_the_background(scheme: str) -> None:
    back = linear(SCHEMES[scheme]["back"])
    assert min(contrast(colour, back) for colour in ramp(scheme)) >= 3


@by_scheme
@pytest.mark.parametrize("reader", list(READERS))
def test_from_cold_to_hot_every_reader_sees_an_order(scheme: str, reader: str) -> None:
    seen = [oklab(colour) for colour in ramp(scheme, lambda colour: READERS[reader] @ colour)]
    assert all(later[0] > earlier[0] for earlier, later in pairwise(seen))
    stops = seen[::4]
    apart = [np.linalg.norm(a - b) for i, a in enumerate(stops) for b in stops[:i]]
    assert min(apart) > 0.05  # a just noticeable difference is 0.02
