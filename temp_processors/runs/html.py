"""A run as a notebook shows it: the verdict, then a table of its scores; every text of it is escaped."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from html import escape
from typing import Any

from temp_processors.inert import one_line
from temp_processors.metrics.catalogue import described
from temp_processors.metrics.digits import described_interval


def run_html(heading: str, sentences: Iterable[object], scores: Mapping[str, Mapping[str, Mapping[str, Any]]]) -> str:
    """Markup without styles or scripts of its own.

    Args:
        heading: What and where it is.
        sentences: What the run says, each a paragraph.
        scores: Policy -> metric -> score.

    Example:
        >>> print(run_html("a run", ["hot"], {"T<1": {"distinct_1": {"value": 0.5, "interval": None, "difference": None}}}))
        <p><strong>a run</strong></p>
        <p>hot</p>
        <table><thead><tr><th>policy</th><th>distinct-1</th></tr></thead>
        <tbody><tr><th>T&lt;1</th><td>0.500</td></tr></tbody></table>
    """
    parts = [f"<p><strong>{_text(heading)}</strong></p>"]
    parts += [f"<p>{_text(sentence)}</p>" for sentence in sentences]
    if scores:
        metrics = dict.fromkeys(metric for row in scores.values() for metric in row)
        parts += _table(scores, list(metrics))
    return "\n".join(parts)


def _table(scores: Mapping[str, Mapping[str, Mapping[str, Any]]], metrics: list[str]) -> Iterator[str]:
    heads = "".join(f"<th>{_text(described(metric).display)}</th>" for metric in metrics)
    yield f"<table><thead><tr><th>policy</th>{heads}</tr></thead>"
    rows = (
        f"<tr><th>{_text(name)}</th>{''.join(f'<td>{_cell(row.get(metric, {}))}</td>' for metric in metrics)}</tr>"
        for name, row in scores.items()
    )
    yield f"<tbody>{''.join(rows)}</tbody></table>"


def _cell(score: Mapping[str, Any]) -> str:
    """The value with its interval, and below what the difference to the baseline says."""
    if not score:
        return ""
    said = (score.get("difference") or {}).get("statement")
    baseline = (score.get("difference") or {}).get("baseline")
    below = f"<br><small>{_text(said)} (against {_text(baseline)})</small>" if said else ""
    return _text(described_interval(score)) + below


def _text(value: object) -> str:
    return escape(one_line(str(value)))
