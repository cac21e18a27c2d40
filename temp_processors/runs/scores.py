"""What of a `metrics.json` from anywhere is a score: fields of the kinds that pages, tables and pictures compute with."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, TypedDict

from temp_processors.inert import is_plain_name, one_line


class DifferenceFields(TypedDict, total=False):
    """A difference to the baseline, as `metrics.json` keeps it; numbers that are not known are None.

    Args:
        baseline: Name of the policy that this one is compared with.
        value: The difference, of perplexities the ratio.
        ratio: Whether it is a ratio.
        interval: Its ends.
        p_value: Of no difference.
        p_value_holm: Corrected for all comparisons.
        verdict: `higher`, `lower`, `equal`, `not resolved` or `not judged`.
        statement: The verdict with its numbers or reason.
        smallest: The smallest difference that 4 of 5 experiments of this size would show.
        length: On which texts it was taken: `full`, `paired`, ...
        primary: Whether this metric was chosen beforehand.
    """

    baseline: str
    value: float | None
    ratio: bool
    interval: list[float | None] | None
    p_value: float | None
    p_value_holm: float | None
    verdict: str
    statement: str
    smallest: float | None
    length: str
    primary: bool


class ScoreFields(TypedDict):
    """One score, as `metrics.json` keeps it.

    Args:
        value: Not rounded; None where it is undefined.
        signature: Every choice of its definition.
        reason: Why it is undefined, or None.
        counts: What moves it: `texts`, `tokens`, `prompts`, shares.
        interval: Both ends, an end that is not finite as None; None where there is no interval.
        no_interval: Why there is none, or None.
        difference: To the baseline; None for the baseline itself.
    """

    value: float | None
    signature: str
    reason: str | None
    counts: dict[str, float]
    interval: list[float | None] | None
    no_interval: str | None
    difference: DifferenceFields | None


Metrics = dict[str, dict[str, ScoreFields]]
"""Policy -> metric -> score of a run that was scored."""
Scores = dict[str, dict[str, dict[str, Any]]]
"""Policy -> metric -> score."""
MOST_TOLD = 3
MAY_BE_NULL = ("value", "interval", "difference")
"""Fields that every score has, with nothing in them where nothing is known."""


def _is_number(value: Any) -> bool:
    return (isinstance(value, (int, float)) and not isinstance(value, bool) and abs(value) < 1e300) or value != value


def _is_text(value: Any) -> bool:
    return isinstance(value, str)


def _is_switch(value: Any) -> bool:
    return isinstance(value, bool)


def _is_interval(value: Any) -> bool:
    return isinstance(value, list) and len(value) == 2 and all(end is None or _is_number(end) for end in value)


def _is_mapping(value: Any) -> bool:
    return isinstance(value, dict)


Kind = Callable[[Any], bool]
SCORE: Mapping[str, Kind] = {
    "value": _is_number,
    "interval": _is_interval,
    **dict.fromkeys(("signature", "reason", "no_interval"), _is_text),
    **dict.fromkeys(("counts", "difference"), _is_mapping),
}
DIFFERENCE: Mapping[str, Kind] = {
    "interval": _is_interval,
    **dict.fromkeys(("value", "p_value", "p_value_holm", "smallest"), _is_number),
    **dict.fromkeys(("baseline", "verdict", "statement", "length"), _is_text),
    **dict.fromkeys(("ratio", "primary"), _is_switch),
}


def readable_scores(data: Mapping[str, Any], notes: list[str]) -> Scores:
    """The part `policies` of a `metrics.json`, without what is no score; a note is added for what is left out.

    Args:
        data: The file as data.
        notes: Sentences on what is wrong with the run.
    """
    if data and not isinstance(data.get("policies"), dict):
        notes.append("metrics.json is of another version: it has no `policies`.")
        return {}
    wrong: list[str] = []
    found = {name: _row(row, name, wrong) for name, row in data.get("policies", {}).items()}
    if wrong:
        more = f" and {len(wrong) - MOST_TOLD} more" if len(wrong) > MOST_TOLD else ""
        notes.append(f"metrics.json: left out, since they are no scores: {', '.join(wrong[:MOST_TOLD])}{more}.")
    return {name: row for name, row in found.items() if row}


def _row(row: Any, policy: str, wrong: list[str]) -> dict[str, dict[str, Any]]:
    held = {}
    for metric, score in row.items() if isinstance(row, dict) else [("", row)]:
        if is_plain_name(metric) and isinstance(score, dict):
            held[metric] = _fields(score, SCORE, f"{policy}, {metric}", wrong)
        else:
            wrong.append(one_line(f"{policy}, {metric}"[:80]))
    return held


def _fields(given: Mapping[str, Any], kinds: Mapping[str, Kind], place: str, wrong: list[str]) -> dict[str, Any]:
    """The fields that are what they have to be; those that no kind is known of are left out without a word."""
    kept: dict[str, Any] = {name: None for name in MAY_BE_NULL if name in kinds}
    for name, is_kind in kinds.items():
        value = given.get(name)
        if value is not None and is_kind(value):
            kept[name] = value
        elif value is not None:
            wrong.append(one_line(f"{place}, {name}"[:80]))
    if kinds is SCORE:
        counts = kept.get("counts") or {}
        kept["counts"] = {name: count for name, count in counts.items() if _is_number(count) and count == count}
        if kept.get("difference"):
            kept["difference"] = _fields(kept["difference"], DIFFERENCE, place, wrong)
    return kept
