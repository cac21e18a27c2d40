"""What a reader of scores has to know: few prompts, tokens that were cut off, and lengths or sizes that differ."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from temp_processors.metrics import CATALOGUE
from temp_processors.metrics.length import unit_of

Scores = Mapping[str, Mapping[str, Mapping[str, Any]]]
"""Group -> metric -> score, as `compare_groups` returns it."""
ENOUGH_PROMPTS = 20
"""Prompts from which intervals between prompts hold the truth about as often as they say."""


def few_prompts_note(scores: Scores) -> list[str]:
    """A line where intervals rest on few prompts; none where there is a single prompt, whose texts are then the units.

    Example:
        >>> few_prompts_note({"a": {"distinct_2": {"counts": {"prompts": 4}, "interval": [0.1, 0.3]}}})
        ['4 prompts: intervals are wide, and miss the truth more often than they say; 20 or more are advised']
    """
    counts = [
        int(score["counts"].get("prompts", 1))
        for row in scores.values()
        for score in row.values()
        if score.get("interval") and score.get("counts")
    ]
    fewest = min(counts, default=1)
    if not 1 < fewest < ENOUGH_PROMPTS:
        return []
    said = f"intervals are wide, and miss the truth more often than they say; {ENOUGH_PROMPTS} or more are advised"
    return [f"{fewest} prompts: {said}"]


def tokenizer_notes(scores: Scores) -> list[str]:
    """What texts are counted in where some of their letters are of scripts without spaces between words; nothing otherwise."""
    for row in scores.values():
        for score in row.values():
            share = score.get("counts", {}).get("letters_without_spaces")
            if share and "|tok:" in score["signature"]:
                unit = unit_of(score["signature"])
                return [
                    f"tokens are {unit}: {100 * share:.0f} % of all letters are of scripts without spaces between words "
                    "(Chinese, Japanese, Thai, ...); `tokenizer` chooses otherwise"
                ]
    return []


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
    return [
        *_rarefied(scores),
        *cut.values(),
        *(f"{note}--length paired compares texts cut alike" for note in unequal.values()),
    ]


def _rarefied(scores: Scores) -> list[str]:
    """Groups whose distinct-n is an expectation over subsets of their texts."""
    held = {}
    for name, row in scores.items():
        for score in row.values():
            if "|rarefied:" in score["signature"]:
                held[name] = int(score["counts"]["texts"]), int(score["counts"]["left_out_texts"])
    return [
        f"{name}: distinct-n is the mean over all subsets of {texts:,} of its {texts + more:,} texts (rarefied); its interval and verdict, "
        f"and all other metrics, are of the {texts:,} that have a counterpart"
        for name, (texts, more) in held.items()
    ]
