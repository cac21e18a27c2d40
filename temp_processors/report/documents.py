"""`comparison.md` and `comparison.tex`: values with intervals, then differences with intervals and what they say."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from temp_processors.report.footnotes import footnotes
from temp_processors.report.wording import (
    Scores,
    by_baseline,
    described_difference,
    described_interval,
    heading,
    statement,
)

Cell = Callable[[Mapping[str, Any]], str]
LATEX = {
    "\\": r"\textbackslash{}", "&": r"\&", "%": r"\%", "$": r"\$", "#": r"\#", "_": r"\_", "{": r"\{", "}": r"\}",
    "~": r"\textasciitilde{}", "^": r"\textasciicircum{}", "±": r"$\pm$", "≥": r"$\geq$", "≤": r"$\leq$", "∞": r"$\infty$",
    "↑": r"$\uparrow$", "↓": r"$\downarrow$",
}  # fmt: skip


def write_tables(run_folder: Path) -> None:
    """Write `comparison.md` and `comparison.tex` from the `metrics.json` of a run."""
    scores = json.loads((run_folder / "metrics.json").read_text(encoding="utf-8"))["policies"]
    (run_folder / "comparison.md").write_text(markdown(scores), encoding="utf-8")
    (run_folder / "comparison.tex").write_text(latex(scores), encoding="utf-8")


def markdown(scores: Scores) -> str:
    """The tables for a Markdown document, footnotes below them."""
    tables = [_markdown_table(rows) for _, rows in _tables(scores)]
    titles = [f"{_cell_of_markdown(title)}\n\n" if title else "" for title, _ in _tables(scores)]
    notes = "".join(f"{_cell_of_markdown(note)}  \n" for note in footnotes(scores))
    return "\n".join([*(title + table for title, table in zip(titles, tables, strict=True)), notes])


def latex(scores: Scores) -> str:
    """The tables as `tabular`s with rules of the booktabs package, footnotes as comments."""
    notes = [f"% {_one_line(note)}" for note in footnotes(scores)]
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
    lines = ["| " + " | ".join(map(_cell_of_markdown, row)) + " |" for row in rows]
    return "\n".join([lines[0], "|---|" + "---:|" * (len(rows[0]) - 1), *lines[1:]]) + "\n"


def _latex_table(title: str, rows: Sequence[Sequence[str]]) -> list[str]:
    head, *body = (" & ".join(map(_cell_of_latex, row)) + r" \\" for row in rows)
    columns = "l" + "r" * (len(rows[0]) - 1)
    named = [r"\bigskip", "", f"{_cell_of_latex(title)}", ""] if title else []
    return [
        *named, rf"\begin{{tabular}}{{{columns}}}", r"\toprule", head, r"\midrule", *body, r"\bottomrule", r"\end{tabular}"
    ]  # fmt: skip


def _cell_of_markdown(text: str) -> str:
    return _one_line(text).replace("|", r"\|").replace("<", r"\<")


def _cell_of_latex(text: str) -> str:
    """Text with the characters that LaTeX would act on made plain."""
    return "".join(LATEX.get(letter, letter) for letter in _one_line(text))


def _one_line(text: str) -> str:
    """Names of policies come from anywhere: a line break would end a row of the table, or a comment."""
    return "".join(letter if letter.isprintable() else " " for letter in text)
