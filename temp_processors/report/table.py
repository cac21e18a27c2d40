"""Scores on the terminal: the answer in words, a table of values with intervals, one of differences with verdicts.

Where the screen is wide a value and its interval share a line; where it is not they stand one below the other; where that is too wide as
well the metrics go to several tables. Above `MANY` policies every policy has one line, and the verdict is a sign behind the value.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from rich import box
from rich.cells import cell_len
from rich.console import Console
from rich.table import Table
from rich.text import Text

from temp_processors.inert import one_line
from temp_processors.report.footnotes import footnotes
from temp_processors.report.texts import LONGEST_NAME, MANY
from temp_processors.runs.trend import trend_lines
from temp_processors.runs.verdict import answer_lines
from temp_processors.runs.wording import (
    Scores,
    by_baseline,
    difference_text,
    heading,
    interval_text,
    value_text,
    verdict,
    visible,
)

SEEN = "visible"
SIDE_BY_SIDE, STACKED = " ", "\n"
"""What stands between the parts of a cell."""
GAPS = {SIDE_BY_SIDE: 2, STACKED: 1}
"""Columns of the screen between two columns of a table."""
SIGNS = {"higher": "+", "lower": "-", "not resolved": "?", "not judged": " "}
SIGNED = "+ - = ?  against {}: higher, lower, equal within what is too small to matter, not resolved;  differences: --verbose"
Line = tuple[str, str]
"""Text and style of a line of a cell."""
Cell = Callable[[Mapping[str, Any]], Sequence[Line]]


def show_scores(
    scores: Scores,
    console: Console,
    notes: Sequence[str] = (),
    *,
    temperatures: Mapping[str, float] | None = None,
    verbose: bool = False,
) -> None:
    """Print the answer, the values, the differences to the baseline, and what there is to know of them.

    Args:
        scores: Policy -> metric -> score.
        console: Where.
        notes: Further footnotes.
        temperatures: Of the policies that are one fixed temperature; the answer names them.
        verbose: With the signature of every metric, and with all differences where there are many policies.
    """
    for line in [*trend_lines(scores, temperatures or {}), *answer_lines(scores)]:
        console.print(Text(one_line(line), style="bold"))
    many = len(scores) > MANY
    tables = metric_tables(scores, console.width)
    if not many or verbose:
        tables += difference_tables(scores, console.width)
    for table in tables:
        console.print(table)
    signs = [SIGNED.format(name) for name in by_baseline(scores)] if many else []
    for note in [*signs, *footnotes(scores, signatures=verbose), *notes]:
        console.print(one_line(note), style="dim", markup=False)


def metric_tables(scores: Scores, width: int = 80) -> list[Table]:
    """Rows policies, columns metrics. More metrics than `width` holds go to further tables."""
    many = len(scores) > MANY
    return _tables("", scores, width, _value_and_sign if many else _value, flat=many)


def difference_tables(scores: Scores, width: int = 80) -> list[Table]:
    """Differences to the baseline (perplexities: ratios) with intervals and verdicts, and what experiments of this size would see."""
    tables = []
    for baseline, compared in by_baseline(scores).items():
        title = one_line(f"difference to {baseline}")
        tables += _tables(title, compared, width, _change, flat=len(compared) > MANY, last=visible(compared))
    return tables


def _value(score: Mapping[str, Any]) -> list[Line]:
    return [(value_text(score), ""), (interval_text(score), "dim")]


def _value_and_sign(score: Mapping[str, Any]) -> list[Line]:
    change = score.get("difference")
    sign = SIGNS.get(verdict(change), "=") if change else " "
    return [*_value(score), (sign, "")]


def _change(score: Mapping[str, Any]) -> list[Line]:
    change = score.get("difference")
    if not change:
        return []
    said = verdict(change)
    return [
        (difference_text(change), ""), (interval_text(change), "dim"), (said, "dim" if said.startswith("not") else "")
    ]  # fmt: skip


def _tables(
    title: str, scores: Scores, width: int, cell: Cell, *, flat: bool, last: Mapping[str, str] | None = None
) -> list[Table]:
    """The tables, with flat cells where they fit into one table or have to be flat, else with stacked ones."""
    metrics = list(next(iter(scores.values())))
    names = min(max(cell_len(one_line(name)) for name in [SEEN, *scores]), LONGEST_NAME)
    between = SIDE_BY_SIDE
    columns = _columns(scores, metrics, cell, last or {}, between)
    if not flat and not _fits(columns, metrics, names + GAPS[between] * len(metrics), width):
        between = STACKED
        columns = _columns(scores, metrics, cell, last or {}, between)
    rows = [*scores, *([SEEN] if any((last or {}).values()) else [])]
    return [
        _table(title, rows, {metric: columns[metric] for metric in portion}, scores, GAPS[between])
        for portion in _portions(columns, metrics, names, width, GAPS[between])
    ]


def _columns(
    scores: Scores, metrics: Sequence[str], cell: Cell, last: Mapping[str, str], between: str
) -> dict[str, list[Text]]:
    """Metric -> its heading, then the cells of its column."""
    found = {}
    for metric in metrics:
        cells = [_joined(cell(row[metric]), between) for row in scores.values()]
        end = [Text(last[metric], style="dim")] if any(last.values()) else []
        found[metric] = [Text(heading(metric, scores)), *cells, *end]
    return found


def _joined(parts: Sequence[Line], between: str) -> Text:
    kept = [(text, style) for text, style in parts if text]
    if between == STACKED:
        kept = [(text.replace(" to ", " to\n").replace("not ", "not\n"), style) for text, style in kept]
    else:
        kept = [(f"({text})" if " to " in text else text, style) for text, style in kept]
    return Text.assemble(*((f"{between if place else ''}{text}", style) for place, (text, style) in enumerate(kept)))


def _fits(columns: Mapping[str, list[Text]], metrics: Sequence[str], beside: int, width: int) -> bool:
    """Whether the columns of these metrics fit, with so many columns of the screen beside them and a margin."""
    return beside + sum(max(map(_wide, columns[metric])) for metric in metrics) + 3 <= width


def _wide(text: Text) -> int:
    return max(map(cell_len, text.plain.split("\n")))


def _portions(
    columns: Mapping[str, list[Text]], metrics: Sequence[str], names: int, width: int, gap: int
) -> list[Sequence[str]]:
    """The metrics in as few portions as fit a screen of this width, as equal as can be."""
    for count in range(1, len(metrics) + 1):
        size = -(-len(metrics) // count)
        found = [metrics[start : start + size] for start in range(0, len(metrics), size)]
        if all(_fits(columns, portion, names + gap * len(portion), width) for portion in found):
            return found
    return [[metric] for metric in metrics]


def _table(title: str, names: Sequence[str], columns: Mapping[str, list[Text]], scores: Scores, gap: int) -> Table:
    table = Table(
        title=Text(title) if title else None, title_justify="left", box=box.SIMPLE_HEAD, padding=(0, 0, 0, gap - 1)
    )
    table.add_column("policy", overflow="fold", max_width=LONGEST_NAME)
    for column in columns.values():
        table.add_column(column[0], justify="right", overflow="fold")
    for place, name in enumerate(names, start=1):
        label = Text(one_line(name), style="" if name in scores else "dim")
        table.add_row(label, *(column[place] for column in columns.values()))
    return table
