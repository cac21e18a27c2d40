"""The verdict in words: of a task as `verdict.json` holds it, else of the differences to the baseline in `metrics.json`."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from temp_processors.metrics.catalogue import described
from temp_processors.runs.wording import (
    Scores,
    by_baseline,
    described_interval,
    difference_text,
    display_with_unit,
    number,
    statement,
)

USUAL = ("distinct_2", "self_bleu_4")
"""The metrics of diversity that a run without a primary one is judged by, where it has them."""
OPPOSITE = {
    "more diverse": "less diverse",
    "less diverse": "more diverse",
    "less likely text": "likelier text",
    "longer": "shorter",
}
MOST_NAMES = 4
VERDICTS = ("higher", "equal", "lower", "not resolved", "not judged")
"""In this order the sentence tells them, one part each."""


def verdict_lines(verdict: Mapping[str, Any]) -> Iterator[str]:
    """The sentence, then a line for every policy: its value and interval, the verdict, what it buys.

    Args:
        verdict: As `verdict.json` holds it.
    """
    yield f"verdict ({verdict['prompts']} prompts): {verdict['sentence']}"
    width = max(map(len, verdict["policies"]))
    for name, held in verdict["policies"].items():
        interval = held["interval"]
        value = "  -  " if held["value"] is None else f"{held['value']:.3f}"
        between = f" [{interval[0]:.3f}, {interval[1]:.3f}]" if interval else ""
        buys = "".join(f", {score} {number:.4g}" for score, number in held["buys"].items() if number is not None)
        yield f"  {name:<{width}}  {value}{between}  {held['statement']}{buys}"


def leading_metric(scores: Scores) -> str | None:
    """The metric that a run is judged by: its primary one, else a usual one, else the first of diversity, else the first; None for none.

    Example:
        >>> leading_metric({"cold": {"mean_length": {}, "distinct_4": {}, "self_bleu_4": {}}}), leading_metric({})
        ('self_bleu_4', None)
    """
    rows = list(scores.values())
    listed = list(dict.fromkeys(metric for row in rows for metric in row))
    primary = [m for row in rows for m, score in row.items() if (score.get("difference") or {}).get("primary")]
    diverse = [metric for metric in listed if "diverse" in described(metric).larger]
    return next(iter([*primary, *(m for m in USUAL if m in listed), *diverse, *listed]), None)


def answer_lines(scores: Scores) -> list[str]:
    """What the differences to the baseline say, in sentences: of the leading metric, then of perplexity where the run has it.

    Args:
        scores: As in `metrics.json`, the part `policies`.

    Example:
        >>> def score(value, said):
        ...     change = {"baseline": "cold", "value": value - 0.25, "statement": said, "verdict": said}
        ...     return {"distinct_2": {"value": value, "difference": change if said else None}}
        >>> for line in answer_lines({"cold": score(0.25, ""), "warm": score(0.5, "higher"), "hot": score(0.75, "higher")}):
        ...     print(line)
        Compared with cold in distinct-2: warm and hot are more diverse (+0.250 to +0.500).
    """
    leading = leading_metric(scores)
    metrics = list(
        dict.fromkeys([*([leading] if leading else []), *(["perplexity"] if _has(scores, "perplexity") else [])])
    )
    lines = [sentence for metric in metrics for sentence in _of_metric(scores, metric)]
    if lines or leading is None:
        return lines
    known = [f"{name} {described_interval(row[leading])}" for name, row in scores.items() if leading in row]
    return [f"Nothing to compare. {display_with_unit(leading, scores)}: {_listed(known)}."] if known else []


def _has(scores: Scores, metric: str) -> bool:
    return any(metric in row for row in scores.values())


def _of_metric(scores: Scores, metric: str) -> Iterator[str]:
    """A sentence for every baseline, with a part for every verdict."""
    for baseline, rows in by_baseline(scores).items():
        changes = {name: change for name, row in rows.items() if (change := row.get(metric, {}).get("difference"))}
        parts = [part for verdict in VERDICTS for part in _part(metric, verdict, changes)]
        if parts:
            yield f"Compared with {baseline} in {display_with_unit(metric, scores)}: {'; '.join(parts)}."


def _part(metric: str, verdict: str, changes: Mapping[str, Mapping[str, Any]]) -> Iterator[str]:
    """Who has this verdict, the smallest difference first; of `equal` and `not judged` one part for every way to say it."""
    found: dict[str, list[str]] = {}
    for name in sorted(changes, key=lambda name: _size(changes[name])):
        said = statement(changes[name])
        if said.startswith(verdict):
            found.setdefault(said if verdict in ("equal", "not judged") else verdict, []).append(name)
    for said, names in found.items():
        are = "is" if len(names) == 1 else "are"
        if verdict in ("higher", "lower"):
            yield f"{_listed(names)} {are} {_meaning(metric, verdict)} ({_span([changes[name] for name in names])})"
        else:
            yield f"{_listed(names)} {are} {said}"


def _size(change: Mapping[str, Any]) -> float:
    value = number(change.get("value"))
    return math.inf if math.isnan(value) else abs(math.log(value)) if change.get("ratio") and value > 0 else abs(value)


def _meaning(metric: str, verdict: str) -> str:
    larger = described(metric).larger
    return larger if verdict == "higher" and larger in OPPOSITE else OPPOSITE.get(larger, verdict)


def _span(changes: Sequence[Mapping[str, Any]]) -> str:
    first, last = difference_text(changes[0]), difference_text(changes[-1])
    return first if first == last else f"{first} to {last}"


def _listed(names: Sequence[str]) -> str:
    """Names with `and` before the last; of many the first and the number of the others."""
    if len(names) > MOST_NAMES + 1:
        return f"{', '.join(names[:MOST_NAMES])} and {len(names) - MOST_NAMES} more"
    return " and ".join(filter(None, (", ".join(names[:-1]), names[-1])))
