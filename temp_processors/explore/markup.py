"""The parts of the page that are drawn by hand: token strip, bars, scores. All text is escaped and isolated.

What a model writes is untrusted: it may hold markup, turn the direction of a line around, or show nothing at all.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from html import escape
from types import MappingProxyType
from typing import Any

from temp_processors.comparison.compare import compare_groups
from temp_processors.comparison.groups import Group
from temp_processors.explore.live import NextToken, Text, Token
from temp_processors.inert import HIDDEN
from temp_processors.metrics.catalogue import described
from temp_processors.metrics.digits import described_interval
from temp_processors.report.tokens import Piece
from temp_processors.runs.wording import statement, verdict

Names = Callable[[int], Piece]
COLOURINGS: dict[str, tuple[str, Callable[[Token], float]]] = {
    "entropy": ("entropy of the model (nats)", lambda token: token.entropy),
    "temperature": ("temperature of the policy", lambda token: token.temperature),
    "probability": ("probability, untempered", lambda token: math.exp(token.log_prob)),
}
# viridis at ten equal steps: lightness rises all the way, so it reads without colour vision.
VIRIDIS = ["440154", "482878", "3e4989", "31688e", "26828e", "1f9e89", "35b779", "6ece58", "b5de2b", "fde725"]
SAMPLES_SHOWN = 8


def number(value: float) -> str:
    """Four significant digits; `none` for NaN.

    Example:
        >>> number(0.12345), number(math.nan)
        ('0.1235', 'none')
    """
    return "none" if math.isnan(value) else f"{value:.4g}"


def percent(p: float) -> str:
    """A probability as per cent with two digits, one too small for that as `3e-07`."""
    return f"{100 * p:.2f}%" if p == 0 or p >= 0.00005 else f"{p:.0e}"


def prose(text: str) -> str:
    """Text of unknown script as markup: escaped, its direction isolated, invisible characters as `U+200B`.

    Example:
        >>> prose("<b>")
        '<bdi dir="auto">&lt;b&gt;</bdi>'
    """
    shown = HIDDEN.sub(lambda found: f"\0{ord(found[0]):04X}\1", text.replace("\r\n", "\n"))
    marked = re.sub("\0([0-9A-F]+)\1", r'<span class="tp-ghost">U+\1</span>', escape(shown))
    return f'<bdi dir="auto">{marked}</bdi>'


def message(lines: str) -> str:
    """What is wrong with what is on the page, one line each; "" for nothing."""
    return "".join(f'<p class="tp-message" role="alert">{prose(line)}</p>' for line in lines.splitlines())


def strip(text: Text, names: Names, colouring: str, scale: tuple[float, float], prompt: str = "") -> str:
    """One text, token by token, coloured on a scale that all columns share; a press on a token tells its numbers (`page.js`)."""
    tokens = "".join(_token(token, names(token.token_id), colouring, scale) for token in text.tokens)
    end = {"stop": "ended by itself", "nan": "the model gave NaN", "": "drawing…"}.get(text.finish, "")
    counted = f"{len(text.tokens)} tokens" + (f", {end}" if end else "")
    busy = str(not text.finish).lower()
    return (
        f'<div class="tp-strip" dir="ltr" aria-busy="{busy}" data-prompt="{escape(prompt)}">{tokens}</div>'
        f'<p class="tp-facts" aria-live="polite"></p><p class="tp-quiet">{counted}</p>'
    )


def _token(token: Token, piece: Piece, colouring: str, scale: tuple[float, float]) -> str:
    value = COLOURINGS[colouring][1](token)
    facts = (
        f"{piece.shown}\nentropy {number(token.entropy)} nats, under the policy {number(token.entropy_after)}\n"
        f"temperature {number(token.temperature)}\nprobability {number(math.exp(token.log_prob))}, "
        f"under the policy {number(math.exp(token.log_prob_after))}"
    )
    style = "" if math.isnan(value) else f' style="{_paint(value, *scale)}"'
    broken = "<br>" if "\n" in piece.raw else ""
    return (
        f'<button type="button" class="tp-token" aria-pressed="false" data-raw="{escape(piece.raw)}" title="{escape(facts)}"{style}>'
        f"<bdi>{escape(piece.shown)}</bdi></button>{broken}"
    )


def scale_of(texts: Iterable[Text], colouring: str) -> tuple[float, float]:
    """The ends of the colour scale over all columns: from 0, up to 1 for probabilities and else to the largest value."""
    if colouring == "probability":
        return 0.0, 1.0
    read = COLOURINGS[colouring][1]
    values = [value for text in texts for token in text.tokens if not math.isnan(value := read(token))]
    return 0.0, max(values, default=0.0)


def legend(colouring: str, scale: tuple[float, float]) -> str:
    """What the colours mean."""
    low, high = map(number, scale)
    return f'<p class="tp-quiet">{COLOURINGS[colouring][0]}: {low} <span class="tp-ramp"></span> {high}</p>'


def _paint(value: float, low: float, high: float) -> str:
    place = (min(max((value - low) / (high - low), 0.0), 1.0) if high > low else 0.0) * (len(VIRIDIS) - 1)
    index = min(int(place), len(VIRIDIS) - 2)
    ends = [[int(VIRIDIS[i][c : c + 2], 16) for c in (0, 2, 4)] for i in (index, index + 1)]
    red, green, blue = (a + (place - index) * (b - a) for a, b in zip(*ends, strict=True))
    ink = "#000" if _luminance(red, green, blue) > MIDDLE else "#fff"
    return f"background:rgb({red:.0f},{green:.0f},{blue:.0f});color:{ink}"


MIDDLE = math.sqrt(1.05 * 0.05) - 0.05
"""Luminance on which black and white are equally legible, at a contrast of 4.58 to 1."""


def _luminance(*colour: float) -> float:
    """Relative luminance of red, green and blue (0 to 255), as WCAG 2 defines it."""
    linear = [c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in (part / 255 for part in colour)]
    return sum(weight * part for weight, part in zip((0.2126, 0.7152, 0.0722), linear, strict=True))


def bars(seen: NextToken, names: Names, title: str = "") -> str:
    """The name of a column and its next token: a bar under the policy over a pale one of the untempered model, for the likeliest."""
    labels = [f"<bdi>{escape(names(token).shown)}</bdi>" for token in seen.token_ids] + ["all others"]
    rows = "".join(_bar(*row) for row in zip(labels, seen.untempered, seen.tempered, strict=True))
    facts = (
        f"temperature {number(seen.temperature)}, entropy {number(seen.entropy_after)} nats "
        f"(untempered {number(seen.entropy)})"
    )
    head = "<thead><tr><th>next token</th><td></td><th>policy</th><th>T = 1</th></tr></thead>"
    return (
        f'<h2 class="tp-title">{prose(title)}</h2><table class="tp-bars">{head}<tbody>{rows}</tbody></table>'
        f'<p class="tp-quiet">{facts}</p>'
    )


def _bar(label: str, untempered: float, tempered: float) -> str:
    pale, bar = (
        f'<i class="{name}" style="width:{100 * p:.2f}%"></i>' for name, p in (("pale", untempered), ("bar", tempered))
    )
    numbers = "".join(f"<td>{percent(p)}</td>" for p in (tempered, untempered))
    return f'<tr data-p="{tempered!r}"><th>{label}</th><td class="tp-track">{pale}{bar}</td>{numbers}</tr>'


def scores(
    texts: Mapping[str, Sequence[str]],
    metrics: Sequence[str],
    wanted: int,
    titles: Mapping[str, str] = MappingProxyType({}),
) -> str:
    """Diversity of the samples so far, with intervals: one row for each policy, equally many texts in each.

    Args:
        texts: By the name of a column.
        metrics: Names of `temp_processors.metrics`.
        wanted: How many texts of each there will be.
        titles: What each column is called; its name by default.
    """
    drawn = min(map(len, texts.values()), default=0)
    groups = {name: Group(group, [(0, place) for place in range(len(group))]) for name, group in texts.items()}
    found = compare_groups(groups, metrics)
    heads = "".join(
        f"<th>{metric.display}<small>higher: {metric.larger}</small></th>" for metric in map(described, metrics)
    )
    rows = "".join(
        f"<tr><th>{prose(titles.get(name, name))}</th>{''.join(_score(row[metric]) for metric in metrics)}</tr>"
        for name, row in found.items()
    )
    first = titles.get(next(iter(texts)), next(iter(texts)))
    note = f"{drawn} of {wanted} texts of each policy" + (", drawing…" if drawn < wanted else "")
    note += ". Scores move with the number of texts: compare equal numbers only. ± is a 95 % interval"
    note += f"; verdicts are against {prose(first)}." if len(texts) > 1 else "."
    return (
        f'<table class="tp-scores" data-texts="{drawn}"><thead><tr><td></td>{heads}</tr></thead><tbody>{rows}</tbody>'
        f'</table><p class="tp-quiet">{note}</p>'
    )


def _score(score: Mapping[str, Any]) -> str:
    """A value with its interval, and what its difference to the first column says."""
    missing = score["reason"] or (score["no_interval"] if score["interval"] is None else None)
    value = math.nan if score["value"] is None else score["value"]
    change = score["difference"]
    said = verdict(change) if change else ""
    title = escape("; ".join(filter(None, [score["signature"], missing, statement(change) if change else None])))
    below = f"<small>{escape(said)}</small>" if said else ""
    return f'<td title="{title}" data-value="{value!r}">{described_interval(score)}{below}</td>'


def samples(texts: Sequence[str]) -> str:
    """The first texts of a policy, the newest last, and how many more there are."""
    items = "".join(f"<li>{prose(text)}</li>" for text in texts[:SAMPLES_SHOWN])
    more = len(texts) - SAMPLES_SHOWN
    return f'<ol class="tp-samples">{items}</ol>' + (f'<p class="tp-quiet">and {more} more</p>' if more > 0 else "")
