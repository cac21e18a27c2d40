"""The run's table for the terminal, and two sample texts for each policy."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping

from rich import box
from rich.table import Table
from rich.text import Text

from temp_processors.experiment.store import Sample

HEADINGS = {"perplexity": "perplex-\nity", "mean_length": "length\n(words)"}


def heading(metric: str) -> str:
    """A heading of two narrow lines, so that the table fits 80 columns: `distinct_2` -> `distinct` over `-2`."""
    family, _, order = metric.replace("bleu", "BLEU").rpartition("_")
    return HEADINGS.get(metric) or f"{family.replace('_', '-')}\n-{order}"


def shown(value: float | None) -> str:
    """A value for people: three digits after the point below 10, one above; `undefined` for NaN."""
    if value is None or math.isnan(value):
        return "undefined"
    return f"{value:.3f}" if abs(value) < 10 else f"{value:.1f}"


def metric_table(policies: Mapping[str, Mapping[str, Mapping[str, object]]], title: str = "") -> Table:
    """Rows policies, columns metrics, from the `policies` part of `metrics.json`."""
    metrics = list(next(iter(policies.values())))
    table = Table(title=title or None, title_justify="left", box=box.SIMPLE_HEAD, padding=0)
    table.add_column("policy", no_wrap=True)
    for metric in metrics:
        table.add_column(heading(metric), justify="right")
    for name, row in policies.items():
        table.add_row(Text(name), *(shown(_value(row[metric])) for metric in metrics))
    return table


def _value(score: Mapping[str, object]) -> float | None:
    value = score["value"]
    return float(value) if isinstance(value, (int, float)) else None


def sample_lines(samples: Iterable[Sample], per_policy: int = 2) -> list[Text]:
    """The first `per_policy` texts of every policy, prompt dimmed, line breaks shown as spaces."""
    seen: dict[str, int] = {}
    lines: list[Text] = []
    for sample in sorted(samples, key=lambda s: (s.prompt_id, s.sample_id)):
        seen[sample.policy] = seen.get(sample.policy, 0) + 1
        if seen[sample.policy] <= per_policy:
            text = Text.assemble(
                (f"{sample.policy}: ", "bold"), (sample.prompt, "dim"), " ".join(sample.text.split("\n"))
            )
            lines.append(text)
    return sorted(lines, key=lambda line: list(seen).index(line.plain.split(": ", 1)[0]))
