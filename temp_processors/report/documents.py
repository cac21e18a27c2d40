"""`comparison.md` and `comparison.tex`: values with intervals, then differences with intervals and what they say."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from temp_processors import inert
from temp_processors.report.footnotes import footnotes
from temp_processors.runs.wording import (
    Scores,
    by_baseline,
    described_difference,
    described_interval,
    heading,
    statement,
)

Cell = Callable[[Mapping[str, Any]], str]


def write_tables(run_folder: Path) -> None:
    """Write `comparison.md` and `comparison.tex` from the `metrics.json` of a run."""
    scores = json.loads((run_folder / "metrics.json").read_text(encoding="utf-8"))["policies"]
    (run_folder / "comparison.md").write_text(markdown(scores), encoding="utf-8")
    (run_folder / "comparison.tex").write_text(latex(scores), encoding="utf-8")


def markdown(scores: Scores) -> str:
    """The tables for a Markdown document, footnotes below them."""
    tables = [_markdown_table(rows) for _, rows in _tables(scores)]
    titles = [f"{inert.markdown(title)}\n\n" if title else "" for title, _ in _tables(scores)]
    notes = "".join(f"{inert.markdown(note)}  \n" for note in footnotes(scores))
    return "\n".join([*(title + table for title, table in zip(titles, tables, strict=True)), notes])


def latex(scores: Scores) -> str:
    """The tables as `tabular`s with rules of the booktabs package, footnotes as comments."""
    notes = [f"% {inert.one_line(note)}" for note in footnotes(scores)]
    tables = [line for title, rows in _tables(scores) for line in _latex_table(title, rows)]
    return "\n".join([*notes, *tables]) + "\n"


def _tables(scores: Scores) -> list[tuple[str, list[list[str]]]]:
    """Title, and rows of which the first is the head, of the values and of the differences."""
    compared = [(f"Differences to {name}", _rows(part, _said)) for name, part in by_baseline(scores).items()]
    return [("", _rows(scores, described_interval)), *compared]


def _rows(scores: Scores, cell: Cell) -> list[list[str]]:
    metrics = list(next(iter(scores.values())))
    head = [
        "policy",
        *(heading(metric, scores).replace("-\n", "").replace("\n-", "-").replace("\n", " ") for metric in metrics),
    ]
    return [head, *([name, *(cell(row[metric]) for metric in metrics)] for name, row in scores.items())]


def _said(score: Mapping[str, Any]) -> str:
    change = score.get("difference")
    return f"{described_difference(change)}, {statement(change)}" if change else ""


def _markdown_table(rows: Sequence[Sequence[str]]) -> str:
    lines = ["| " + " | ".join(map(inert.markdown, row)) + " |" for row in rows]
    return "\n".join([lines[0], "|---|" + "---:|" * (len(rows[0]) - 1), *lines[1:]]) + "\n"


def _latex_table(title: str, rows: Sequence[Sequence[str]]) -> list[str]:
    head, *body = (" & ".join(map(inert.latex, row)) + r" \\" for row in rows)
    columns = "l" + "r" * (len(rows[0]) - 1)
    named = [r"\bigskip", "", f"{inert.latex(title)}", ""] if title else []
    return [
        *named, rf"\begin{{tabular}}{{{columns}}}", r"\toprule", head, r"\midrule", *body, r"\bottomrule", r"\end{tabular}"
    ]  # fmt: skip
