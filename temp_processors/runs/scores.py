"""What of a `metrics.json` from anywhere is a score: fields of the kinds that pages, tables and pictures compute with."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from temp_processors.inert import is_plain_name, one_line

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
