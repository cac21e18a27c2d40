"""What stands below a table of scores: how to read it, why numbers are missing (each reason once), and the signatures."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from temp_processors.comparison.notes import few_prompts_note, tokenizer_notes
from temp_processors.metrics.catalogue import described
from temp_processors.runs.wording import Scores, by_baseline, statement

Cell = tuple[str, str]
"""Policy and metric."""
NOT_JUDGED = "not judged: "
OF_BASELINE = "baseline: "


def footnotes(scores: Scores, *, signatures: bool = True) -> list[str]:
    """How to read the table, its `remarks`, and the signature of every metric unless they are left out, as lines."""
    key = "↑ ↓  more diversity, for perplexity likelier text;  ±, or from to: 95 % interval"
    named = dict.fromkeys(score["signature"] for row in scores.values() for score in row.values())
    return [key, *remarks(scores), *(["signatures: " + "  ".join(named)] if signatures else [])]


def remarks(scores: Scores) -> list[str]:
    """What a reader has to know of these scores, and why some have no interval or no verdict."""
    return [
        *_on_differences(scores),
        *tokenizer_notes(scores),
        *few_prompts_note(scores),
        *_reasons(scores),
        *_left_out(scores),
    ]


def _on_differences(scores: Scores) -> list[str]:
    baselines = list(by_baseline(scores))
    if not baselines:
        return []
    changes = [
        (score, score["difference"]) for row in scores.values() for score in row.values() if score.get("difference")
    ]
    cut = any(
        change.get("length") == "paired" and "|len:paired|" not in score.get("signature", "")
        for score, change in changes
    )
    on = "; judged on texts cut pair by pair to equal lengths" if cut else ""
    ratio = "; perplexities: ratio" if any(change.get("ratio") for _, change in changes) else ""
    primary = {
        metric
        for row in scores.values()
        for metric, score in row.items()
        if (score.get("difference") or {}).get("primary")
    }
    alone = "".join(f", for {described(metric).display} over the policies alone" for metric in primary)
    lines = [
        f"difference: to {_listed(baselines)}{ratio}; verdicts at 5 % after Holm's correction for the whole table{alone}{on}"
    ]
    if any(change.get("smallest") is not None for _, change in changes):
        lines.append(
            "visible: the smallest difference that 4 of 5 experiments of this size show, the largest over the policies"
        )
    return lines


def _reasons(scores: Scores) -> list[str]:
    """Why there is no interval or no verdict, each reason once with the metrics and policies that it belongs to."""
    undefined: dict[str, list[Cell]] = {}
    unjudged: dict[str, list[Cell]] = {}
    without: dict[str, list[Cell]] = {}
    for name, row in scores.items():
        for metric, score in row.items():
            change, cell = score.get("difference"), (name, metric)
            if score.get("reason"):
                undefined.setdefault(f"undefined: {score['reason']}", []).append(cell)
            elif change and statement(change).startswith(NOT_JUDGED):
                unjudged.setdefault(statement(change), []).append(cell)
            if score.get("no_interval"):
                without.setdefault(score["no_interval"], []).append(cell)
    told = {
        "no interval: " + reason: [cell for cell in cells if not _explained(cell, reason, scores)]
        for reason, cells in without.items()
    }
    found = {**undefined, **unjudged, **told}
    return [f"{reason} ({places(cells, scores)})" for reason, cells in found.items() if cells]


def _explained(cell: Cell, reason: str, scores: Scores) -> bool:
    """Whether another line gives the reason for this cell: it is undefined, not judged for it, or the baseline of what is not."""
    name, metric = cell
    score = scores[name][metric]
    if score.get("reason"):
        return True
    against_it = by_baseline(scores).get(name, {})
    mine = [score] if score.get("difference") else [row[metric] for row in against_it.values() if metric in row]
    said = {statement(other["difference"]) for other in mine if other.get("difference")}
    return bool(said & {NOT_JUDGED + reason, NOT_JUDGED + OF_BASELINE + reason})


def places(cells: Sequence[Cell], scores: Scores) -> str:
    """Where a note belongs: metrics, and the policies where these are not all that it could be said of.

    Example:
        >>> row = {"distinct_1": {}, "distinct_2": {}}
        >>> places([("a", "distinct_2"), ("b", "distinct_2")], {"a": row, "b": row})
        'distinct-2'
        >>> places([("a", "distinct_1"), ("a", "distinct_2")], {"a": row, "b": row})
        'a'
        >>> places([("b", "distinct_1"), ("a", "distinct_2")], {"a": row, "b": row})
        'distinct-1 of b; distinct-2 of a'
    """
    compared = {name for part in by_baseline(scores).values() for name in part}
    metrics_of: dict[str, tuple[str, ...]] = {}
    for name, metric in cells:
        metrics_of[name] = (*metrics_of.get(name, ()), metric)
    policies_of: dict[tuple[str, ...], list[str]] = {}
    for name, metrics in metrics_of.items():
        policies_of.setdefault(metrics, []).append(name)
    every = tuple(next(iter(scores.values())))
    found = []
    for metrics, names in policies_of.items():
        everywhere = set(names) >= (compared or set(scores))
        what = "" if metrics == every else _listed(described(metric).display for metric in metrics)
        whose = "" if everywhere else _listed(names)
        found.append(" of ".join(filter(None, (what, whose))) or "all")
    return "; ".join(found)


def _left_out(scores: Scores) -> list[str]:
    counts = {
        name: max((int(score.get("counts", {}).get("left_out_texts", 0)) for score in row.values()), default=0)
        for name, row in scores.items()
    }
    why = "so that all groups have equally many: scores move with their number"
    return [f"{name}: {count:,} texts left out, {why}" for name, count in counts.items() if count]


def _listed(names: Iterable[str]) -> str:
    held = list(names)
    return ", ".join(held[:4]) + (f" and {len(held) - 4} more" if len(held) > 4 else "")
