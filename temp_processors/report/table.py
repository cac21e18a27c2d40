"""The table of a run: for the terminal, as Markdown, as LaTeX. Values with intervals, and which differences are real."""

from __future__ import annotations

import json
import math
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from rich import box
from rich.table import Table
from rich.text import Text

from temp_processors.metrics.catalogue import described
from temp_processors.runs.folder import Sample

Scores = Mapping[str, Mapping[str, Mapping[str, Any]]]
ARROWS = {"higher": "↑", "lower": "↓", "": ""}
SAME = "="
"""Stands before a value whose difference to the baseline is not real."""


def heading(metric: str) -> str:
    """The heading of a column, with the direction of more diversity: `distinct` over `-2 ↑`."""
    facts = described(metric)
    return f"{facts.heading} {ARROWS[facts.direction]}".rstrip()


def shown(value: float | None) -> str:
    """A value for people: three digits after the point below 10, one above; `undefined` for None and NaN."""
    if value is None or math.isnan(value):
        return "undefined"
    return f"{value:.3f}" if abs(value) < 10 else f"{value:.1f}"


def half_width(score: Mapping[str, Any]) -> str:
    """`±0.012`, half the 95 % interval; empty where there is none."""
    bounds = score.get("interval")
    return f"±{shown((bounds[1] - bounds[0]) / 2)}" if bounds else ""


def no_difference(score: Mapping[str, Any]) -> bool:
    """Whether the score was compared with a baseline and the difference is not real."""
    change = score.get("difference")
    return change is not None and change["verdict"] == "no difference"


def metric_table(scores: Scores, title: str = "") -> Table:
    """Rows policies, columns metrics, from the `policies` part of `metrics.json`; intervals stand below the values."""
    metrics = list(next(iter(scores.values())))
    table = Table(title=title or None, title_justify="left", box=box.SIMPLE_HEAD, padding=0)
    table.add_column("policy", no_wrap=True)
    for metric in metrics:
        table.add_column(heading(metric), justify="right")
    for name, row in scores.items():
        table.add_row(Text(name), *(_cell(row[metric]) for metric in metrics))
    return table


def _cell(score: Mapping[str, Any]) -> Text:
    mark = SAME if no_difference(score) else ""
    return Text.assemble(
        f"{mark}{shown(score['value'])}", (f"\n{half_width(score)}", "dim") if half_width(score) else ""
    )


def difference_table(scores: Scores) -> Table:
    """Differences to the baseline with their intervals; `no difference` where none is real."""
    metrics = list(next(iter(scores.values())))
    changes = {name: [row[metric]["difference"] for metric in metrics] for name, row in scores.items()}
    compared = {name: row for name, row in changes.items() if row[0] is not None}
    baseline = next(iter(compared.values()))[0]["baseline"]
    table = Table(title=f"difference to {baseline}", title_justify="left", box=box.SIMPLE_HEAD, padding=0)
    table.add_column("policy", no_wrap=True)
    for metric in metrics:
        table.add_column(heading(metric), justify="right")
    for name, row in compared.items():
        table.add_row(Text(name), *map(_change, row))
    return table


def _change(change: Mapping[str, Any]) -> Text:
    if change["verdict"] == "no difference":
        return Text("no dif-\nference", style="dim")
    return Text.assemble(f"{change['value']:+.3f}", (f"\n{half_width(change)}", "dim"))


def footnotes(scores: Scores) -> list[str]:
    """What the marks mean, why a score is undefined, and the signature of every metric."""
    cells = [(name, metric, score) for name, row in scores.items() for metric, score in row.items()]
    baselines = {score["difference"]["baseline"] for _, _, score in cells if score.get("difference")}
    notes = ["↑ ↓  the direction of more diversity, for perplexity of likelier texts;  ±  half the 95 % interval"]
    whole = [score["difference"] for *_, score in cells if score.get("difference") and "len:full" in score["signature"]]
    cut = any(change.get("length") == "paired" for change in whole)
    on = "; judged on texts cut pair by pair to equal lengths, values are those of whole texts" if cut else ""
    notes += [
        f"{SAME}  no difference to {name} (paired interval, Holm-corrected over policies{on})"
        for name in sorted(baselines)
    ]
    notes += [f"{name}, {metric}: undefined, {score['reason']}" for name, metric, score in cells if score.get("reason")]
    left_out = {name: int(score.get("counts", {}).get("left_out_texts", 0)) for name, _, score in cells}
    why = "so that all groups have equally many: scores move with their number"
    notes += [f"{name}: {count:,} texts left out, {why}" for name, count in left_out.items() if count]
    signatures = dict.fromkeys(score["signature"] for _, _, score in cells)
    return [*notes, "signatures: " + "  ".join(signatures)]


def markdown(scores: Scores) -> str:
    """The table for a Markdown document, footnotes below it."""
    metrics = list(next(iter(scores.values())))
    lines = ["| policy | " + " | ".join(_flat_heading(metric) for metric in metrics) + " |"]
    lines.append("|---|" + "---:|" * len(metrics))
    for name, row in scores.items():
        cells = (_flat_cell(row[metric]) for metric in metrics)
        lines.append(f"| {name.replace('|', chr(92) + '|')} | " + " | ".join(cells) + " |")
    notes = (note.replace("|", "\\|") for note in footnotes(scores))
    return "\n".join([*lines, "", *(f"{note}  " for note in notes)]) + "\n"


def latex(scores: Scores) -> str:
    """The table as a `tabular` with rules of the booktabs package, footnotes as comments."""
    metrics = list(next(iter(scores.values())))
    head = " & ".join(["policy", *(_escaped(_flat_heading(metric)) for metric in metrics)])
    rows = [
        " & ".join([_escaped(name), *(_escaped(_flat_cell(row[metric])) for metric in metrics)]) + r" \\"
        for name, row in scores.items()
    ]
    notes = [f"% {note}" for note in footnotes(scores)]
    columns = "l" + "r" * len(metrics)
    body = [rf"\begin{{tabular}}{{{columns}}}", r"\toprule", head + r" \\", r"\midrule", *rows, r"\bottomrule"]
    return "\n".join([*notes, *body, r"\end{tabular}"]) + "\n"


def write_tables(run_folder: Path) -> None:
    """Write `comparison.md` and `comparison.tex` from the `metrics.json` of a run."""
    scores = json.loads((run_folder / "metrics.json").read_text(encoding="utf-8"))["policies"]
    (run_folder / "comparison.md").write_text(markdown(scores), encoding="utf-8")
    (run_folder / "comparison.tex").write_text(latex(scores), encoding="utf-8")


def _flat_heading(metric: str) -> str:
    return heading(metric).replace("-\n", "").replace("\n-", "-").replace("\n", " ")


def _flat_cell(score: Mapping[str, Any]) -> str:
    same = " (no difference)" if no_difference(score) else ""
    return f"{shown(score['value'])} {half_width(score)}".strip() + same


def _escaped(text: str) -> str:
    """Text with the characters that LaTeX would act on made plain."""
    plain = "".join(
        f"\\{letter}" if letter in "&%$#_{}" else letter for letter in text.replace("\\", r"\textbackslash ")
    )
    for letter, command in {"±": r"$\pm$", "↑": r"$\uparrow$", "↓": r"$\downarrow$", "~": r"\textasciitilde{}"}.items():
        plain = plain.replace(letter, command)
    return plain.replace("^", r"\textasciicircum{}")


def sample_lines(samples: Iterable[Sample], policies: Sequence[str], per_policy: int = 2) -> list[Text]:
    """The first `per_policy` texts of every policy, prompt dimmed, line breaks shown as spaces."""
    kept: dict[str, list[Sample]] = {name: [] for name in policies}
    for sample in samples:
        kept[sample.policy].append(sample)
        kept[sample.policy] = sorted(kept[sample.policy], key=lambda s: (s.prompt_id, s.sample_id))[:per_policy]
    return [
        Text.assemble((f"{sample.policy}: ", "bold"), (sample.prompt, "dim"), " ".join(sample.text.split("\n")))
        for group in kept.values()
        for sample in group
    ]
