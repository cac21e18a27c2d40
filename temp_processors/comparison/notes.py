"""What a reader of scores has to know: tokens that were cut off, and lengths or sizes that differ."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from temp_processors.metrics import CATALOGUE

Scores = Mapping[str, Mapping[str, Mapping[str, Any]]]
"""Group -> metric -> score, as `compare_groups` returns it."""


def length_notes(scores: Scores) -> list[str]:
    """How many tokens were cut off to compare texts of equal length, or which lengths differ: differences are then partly length."""
    cut, unequal = {}, {}
    for name, row in scores.items():
        for metric, score in row.items():
            if left_out := score["counts"].get("left_out_tokens"):
                cut[name] = f"{name}: {left_out:,} tokens cut off, so that all groups have texts of equal length"
            change = score["difference"] or {}
            baseline = change.get("baseline")
            if baseline is None or not CATALOGUE[metric].cut or change["length"] == "paired":
                continue
            own, other = (int(side["counts"]["tokens"]) for side in (score, scores[baseline][metric]))
            if own != other:
                unequal[name] = f"{name}: {own:,} tokens against {other:,} of {baseline}: diversity moves with length; "
    notes = [*cut.values(), *(f"{note}--length paired compares texts cut alike" for note in unequal.values())]
    return [*notes, *_unequal_groups(scores)]


def by_baseline(scores: Scores) -> list[Scores]:
    """The scores split by what groups are compared with, each part with its baseline first; nothing where there are no differences."""
    parts: dict[str, dict[str, Mapping[str, Mapping[str, Any]]]] = {}
    for name, row in scores.items():
        change = next(iter(row.values()))["difference"]
        if change is not None:
            parts.setdefault(change["baseline"], {change["baseline"]: scores[change["baseline"]]})[name] = row
    return list(parts.values())


def _unequal_groups(scores: Scores) -> list[str]:
    """Groups of a stream that differ in texts or tokens: nothing cut them alike, so their scores do not compare."""
    firsts = {name: next(iter(row.values())) for name, row in scores.items()}
    sizes = {name: (int(score["counts"]["texts"]), int(score["counts"]["tokens"])) for name, score in firsts.items()}
    if len(set(sizes.values())) < 2 or any(score["difference"] for score in firsts.values()):
        return []
    listed = ", ".join(f"{name} {texts:,} texts of {tokens:,} tokens" for name, (texts, tokens) in sizes.items())
    return [f"{listed}: scores move with both, so these groups do not compare; without --stream they are cut alike"]
