"""Like with like: which texts of several groups are pairs, and which group each one is compared with.

Texts are pairs when they belong to the same prompt and have the same sample number. The prompt is told by its text where a source has
it, because the numbers of two runs with different prompt lists mean different prompts.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Hashable, Mapping, Sequence
from typing import NamedTuple

from temp_processors.config.counts import counted
from temp_processors.datafiles import RowsError

Key = tuple[Hashable, int]
"""A prompt and a sample number."""
PROMPT_COLUMN = "prompt_id"
"""Column that names the prompt of a text, where none is chosen."""
NO_PROMPT = 0
"""Stands for the prompt of texts that name none: all of one prompt."""


class Row(NamedTuple):
    """One text of a source.

    Args:
        group: Name of its group, such as the policy.
        text: The text.
        prompt: Text of its prompt, or what stands in the column of prompts; None where the source names none.
        number: Number of its prompt in the source, as in `prompt_id`; None where there is none.
        sample: Number of the sample of that prompt; None where there is none.
        log_prob: Natural-log probability under the untempered model, where it is known.
        tokens: Number of tokens behind it.
    """

    group: str
    text: str
    prompt: Hashable = None
    number: Hashable = None
    sample: int | None = None
    log_prob: float | None = None
    tokens: int | None = None


def keys_of(rows: Sequence[Row]) -> list[Key]:
    """The key of every row of one source: prompt and sample number, which is counted where the source has none that is unique.

    A prompt that the source lists twice goes on counting, so that its samples stay apart and still belong to one prompt.

    Example:
        >>> keys_of([Row("a", "x", "P", 0, 1), Row("a", "y", "P", 0, 0), Row("a", "z", "Q"), Row("a", "z", "Q")])
        [('P', 0), ('P', 1), ('Q', 0), ('Q', 1)]
        >>> keys_of([Row("a", "x", "P", 0, 1), Row("a", "y", "P", 0, 0), Row("a", "z", "P", 3, 0)])
        [('P', 1), ('P', 0), ('P', 2)]
    """
    samples = [row.sample for row in rows]
    places = {(row.group, row.prompt, row.number, row.sample) for row in rows}
    if None not in samples and len(places) == len(rows):
        stride = 1 + max((sample for sample in samples if sample is not None), default=0)
        again = _occurrences(rows)
        return [(_prompt(row), (row.sample or 0) + stride * again[row.prompt, row.number]) for row in rows]
    counts: Counter[tuple[str, Hashable]] = Counter()
    keys = []
    for row in rows:
        place = row.group, row.prompt
        keys.append((_prompt(row), counts[place]))
        counts[place] += 1
    return keys


def _prompt(row: Row) -> Hashable:
    return NO_PROMPT if row.prompt is None else row.prompt


def _occurrences(rows: Sequence[Row]) -> dict[tuple[Hashable, Hashable], int]:
    """How many numbers of the same prompt came before this one, by (prompt, number)."""
    numbers: dict[Hashable, dict[Hashable, int]] = {}
    for row in rows:
        own = numbers.setdefault(row.prompt, {})
        own.setdefault(row.number, len(own))
    return {(prompt, number): place for prompt, own in numbers.items() for number, place in own.items()}


def baselines_of(places: Mapping[str, tuple[str, str]], chosen: Mapping[str, str]) -> dict[str, str]:
    """What every group is compared with; a group that is left out is a baseline itself.

    Groups of several sources that share a name are compared with each other: a policy of the second run with that policy of the first.
    All others are compared with the baseline of the first source.

    Args:
        places: (source, name inside the source) of every group.
        chosen: Source -> name of its baseline, where its configuration names one.

    Example:
        >>> baselines_of({"cold": ("x", "cold"), "warm": ("x", "warm")}, {"x": "warm"})
        {'cold': 'warm'}
        >>> baselines_of({"x: cold": ("x", "cold"), "warm": ("x", "warm"), "y: cold": ("y", "cold"), "hot": ("y", "hot")}, {})
        {'y: cold': 'x: cold', 'hot': 'x: cold'}
    """
    first, _ = next(iter(places.values()))
    inside = {name: shown for shown, (source, name) in places.items() if source == first}
    default = inside.get(chosen.get(first, ""), next(iter(inside.values())))
    earliest: dict[str, str] = {}
    for shown, (_, name) in places.items():
        earliest.setdefault(name, shown)
    if len(earliest) == len(places):
        return {shown: default for shown in places if shown != default}
    pairs = {shown: earliest[name] for shown, (_, name) in places.items() if earliest[name] != shown}
    alone = (
        shown for shown, (source, _) in places.items() if source != first and shown not in {*pairs, *pairs.values()}
    )
    found = {**pairs, **dict.fromkeys(alone, default)}
    return {shown: found[shown] for shown in places if shown in found}


def pairing_notes(prompts: Sequence[Collection[Hashable]], baselines: Mapping[str, str]) -> list[str]:
    """What a reader has to know of the pairs: prompts that not all groups have, and several baselines.

    Args:
        prompts: The prompts of every group.
        baselines: What each group is compared with.
    """
    every = {prompt for held in prompts for prompt in held}
    shared = every.intersection(*prompts)
    notes = []
    if 0 < len(shared) < len(every):
        others = len(every) - len(shared)
        left = f"{others:,} {'is' if others == 1 else 'are'} left out"
        notes.append(f"compared on the {counted(len(shared), 'prompt')} that all groups have; {left}")
    if len(set(baselines.values())) > 1:
        notes.append("groups of one name are compared with each other; --baseline NAME compares all with one")
    return notes


def together_note(source: str, prompts: int) -> list[str]:
    """That texts of one prompt are no independent ones, where a source has several prompts that nobody chose."""
    return [f"{source}: texts of one {PROMPT_COLUMN} belong together ({prompts} prompts)"] if prompts > 1 else []


def unnamed_prompts(source: str, prompts: int) -> RowsError:
    """What is raised where a source names no prompts and others name several."""
    return RowsError(
        f"{source}: names no prompts, and other sources have {prompts}: texts of different prompts do not compare; "
        f"name them in a column {PROMPT_COLUMN} or with --prompt-column"
    )
