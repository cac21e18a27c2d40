"""Scores on the terminal: a table of values with intervals, one of differences with verdicts, and some texts."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Any

from rich import box
from rich.console import Console
from rich.table import Table
from rich.text import Text

from temp_processors.inert import lines, one_line
from temp_processors.report.footnotes import footnotes
from temp_processors.report.wording import (
    Scores,
    by_baseline,
    difference_text,
    heading,
    interval_text,
    value_text,
    verdict,
    visible,
)
from temp_processors.runs.sample import Sample

NARROWEST = 8
"""Characters of the narrowest column that still reads: `perplexity`, broken once, and both ends of an interval, one below the other."""
SEEN = "visible"
LONGEST_NAME = 24


def show_scores(scores: Scores, console: Console, notes: Sequence[str] = ()) -> None:
    """Print values, differences to the baseline, and what there is to know of them."""
    for table in [*metric_tables(scores, console.width), *difference_tables(scores, console.width)]:
        console.print(table)
    for note in [*footnotes(scores), *notes]:
        console.print(one_line(note), style="dim", markup=False)


def metric_tables(scores: Scores, width: int = 80) -> list[Table]:
    """Rows policies, columns metrics; intervals stand below the values. More metrics than `width` holds go to further tables."""
    return [
        _table("", scores, metrics, lambda score: _cell(value_text(score), interval_text(score)))
        for metrics in _fitting(scores, width)
    ]


def difference_tables(scores: Scores, width: int = 80) -> list[Table]:
    """Differences to the baseline (perplexities: ratios) with intervals and verdicts, and what experiments of this size would see."""
    tables = []
    for baseline, compared in by_baseline(scores).items():
        seen = visible(compared)
        for metrics in _fitting(compared, width):
            table = _table(one_line(f"difference to {baseline}"), compared, metrics, _change)
            if any(seen[metric] for metric in metrics):
                table.add_row(Text(SEEN, style="dim"), *(Text(seen[metric], style="dim") for metric in metrics))
            tables.append(table)
    return tables


def _table(title: str, scores: Scores, metrics: Sequence[str], cell: Callable[[Mapping[str, Any]], Text]) -> Table:
    table = Table(title=Text(title) if title else None, title_justify="left", box=box.SIMPLE_HEAD, padding=0)
    table.add_column("policy", overflow="fold", max_width=LONGEST_NAME)
    for metric in metrics:
        table.add_column(Text(heading(metric, scores)), justify="right", min_width=NARROWEST)
    for name, row in scores.items():
        table.add_row(Text(one_line(name)), *(cell(row[metric]) for metric in metrics))
    return table


def _fitting(scores: Scores, width: int) -> Iterator[list[str]]:
    """The metrics in portions that fit a screen of this width, as equal as can be."""
    metrics = list(next(iter(scores.values())))
    names = min(max(map(len, [SEEN, *scores])), LONGEST_NAME)
    most = max(1, (width - names - 2) // (NARROWEST + 1))
    size = -(-len(metrics) // -(-len(metrics) // most))
    return (metrics[start : start + size] for start in range(0, len(metrics), size))


def _cell(value: str, *below: str) -> Text:
    return Text.assemble(value, *((f"\n{line}", "dim") for line in below if line))


def _change(score: Mapping[str, Any]) -> Text:
    change = score.get("difference")
    if not change:
        return Text("")
    said = verdict(change)
    style = "dim" if said.startswith("not") else ""
    below = said.replace("not ", "not\n")
    return Text.assemble(_cell(difference_text(change), interval_text(change)), (f"\n{below}", style))


def sample_lines(samples: Iterable[Sample], policies: Sequence[str], per_policy: int = 2) -> list[Text]:
    """The first `per_policy` texts of every policy, prompt dimmed, line breaks shown as spaces."""
    kept: dict[str, list[Sample]] = {name: [] for name in policies}
    for sample in samples:
        kept[sample.policy].append(sample)
        kept[sample.policy] = sorted(kept[sample.policy], key=lambda s: (s.prompt_id, s.sample_id))[:per_policy]
    return [
        Text.assemble(
            (one_line(f"{sample.policy}: "), "bold"),
            (lines(sample.prompt), "dim"),
            one_line(sample.text.replace("\n", " ")),
        )
        for group in kept.values()
        for sample in group
    ]
