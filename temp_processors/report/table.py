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
MARKS = {"higher": "", "lower": "", "equal": "="}
"""What stands before a value by its verdict; `?` for every other."""


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
    """The 95 % interval: `±0.012` where both arms are alike, its ends where not, empty where there is none."""
    bounds, value = score.get("interval"), score.get("value")
    if not bounds or value is None:
        return ""
    low, high = bounds
    if high is None or low is None:
        return ""
    if high - value <= 0:
        return f"≥{shown(low)}"
    below, above = value - low, high - value
    return (
        f"±{shown((high - low) / 2)}"
        if max(below, above) < 1.5 * min(below, above)
        else f"{shown(low)} to {shown(high)}"
    )


def mark_of(score: Mapping[str, Any]) -> str:
    """What stands before a value: nothing for a real difference to the baseline, `=` for equal, `?` for not known."""
    change = score.get("difference")
    return MARKS.get(change["verdict"], "?") if change else ""


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
    return Text.assemble(
        f"{mark_of(score)}{shown(score['value'])}", (f"\n{half_width(score)}", "dim") if half_width(score) else ""
    )


def difference_table(scores: Scores) -> Table:
    """Differences to the baseline (perplexity: ratios) with their intervals and verdicts."""
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
    if change["verdict"] == "not judged":
        return Text("not\njudged", style="dim")
    value = f"x {change['value']:.3g}" if change.get("ratio") else f"{change['value']:+.3f}"
    return Text.assemble(value, (f"\n{half_width(change)}", "dim"), f"\n{change['verdict'].replace(' ', chr(10))}")


def footnotes(scores: Scores) -> list[str]:
    """What the marks mean, why a score is undefined, and the signature of every metric."""
    cells = [(name, metric, score) for name, row in scores.items() for metric, score in row.items()]
    baselines = {score["difference"]["baseline"] for _, _, score in cells if score.get("difference")}
    notes = ["↑ ↓  the direction of more diversity, for perplexity of likelier texts;  ±  half the 95 % interval"]
    whole = [score["difference"] for *_, score in cells if score.get("difference") and "len:full" in score["signature"]]
    cut = any(change.get("length") == "paired" for change in whole)
    on = "; judged on texts cut pair by pair to equal lengths, values are those of whole texts" if cut else ""
    notes += [
        f"=  equal to {name} within a margin;  ?  not resolved or not judged (Holm over the whole table{on})"
        for name in sorted(baselines)
    ]
    notes += _not_judged(cells)
    notes += [f"{name}, {metric}: undefined, {score['reason']}" for name, metric, score in cells if score.get("reason")]
    left_out = {name: int(score.get("counts", {}).get("left_out_texts", 0)) for name, _, score in cells}
    why = "so that all groups have equally many: scores move with their number"
    notes += [f"{name}: {count:,} texts left out, {why}" for name, count in left_out.items() if count]
    signatures = dict.fromkeys(score["signature"] for _, _, score in cells)
    return [*notes, "signatures: " + "  ".join(signatures)]


def _not_judged(cells: Sequence[tuple[str, str, Mapping[str, Any]]]) -> list[str]:
    """Why there is no interval or no verdict, each reason once with the metrics and policies that it belongs to."""
    reasons: dict[str, list[str]] = {}
    for name, metric, score in cells:
        change = score.get("difference") or {}
        reason = score.get("no_interval") or (
            change.get("statement", "").removeprefix("not judged: ") if change.get("verdict") == "not judged" else ""
        )
        if reason and not score.get("reason"):
            reasons.setdefault(reason, []).append(f"{name} {described(metric).display}")
    return [f"no interval: {reason} ({_some(places)})" for reason, places in reasons.items()]


def _some(names: Sequence[str]) -> str:
    return ", ".join(names[:4]) + (f" and {len(names) - 4} more" if len(names) > 4 else "")


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
    change = score.get("difference")
    said = f" ({change['statement']})" if change else ""
    return f"{shown(score['value'])} {half_width(score)}".strip() + said


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
