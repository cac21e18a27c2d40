"""`score --stream` finds the pairs that `score` finds, whatever prompts, numbers and samples texts have, and refuses in the same words."""

from __future__ import annotations

import json
import tempfile
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from temp_processors.comparison.scoring import scored_sources, streamed_sources
from tests.comparison.test_streamed import nearly
from tests.small_parts import small_parts

METRICS = ["distinct_1", "distinct_2", "distinct_2_per_text", "unique_share", "mean_length"]
WORDS = st.lists(st.sampled_from(["fox", "owl", "ran", "home", "mill"]), min_size=1, max_size=6).map(" ".join)
SAMPLES = st.sampled_from([None, 0, 1, 2, 3, -1, 1 << 62])


@st.composite
def rows(draw: st.DrawFn) -> list[dict[str, Any]]:
    """A file of one or two groups: with or without prompts, their texts, their numbers and sample numbers, repeated or not."""
    named, shown, numbered = draw(st.booleans()), draw(st.booleans()), draw(st.booleans())
    found: list[dict[str, Any]] = []
    for group in draw(st.sampled_from([["a"], ["b"], ["a", "b"], ["b", "a"]])):
        for prompt in draw(st.lists(st.sampled_from(["7", 0, 1, 2, "x"]), min_size=1, max_size=3)):
            for sample in range(draw(st.integers(1, 4))):
                row: dict[str, Any] = {"group": group, "text": draw(WORDS)}
                if named:
                    row["prompt_id"] = prompt
                if named and shown:
                    row["prompt"] = draw(st.sampled_from(["P", "Q"])) if sample == 0 else found[-1]["prompt"]
                if numbered:
                    row["sample_id"] = sample if draw(st.booleans()) else draw(SAMPLES)
                found.append(row)
    return draw(st.permutations(found)) if draw(st.booleans()) else found


def outcome(score: Any, paths: list[str], metrics: list[str], options: dict[str, Any]) -> Any:
    """Scores and notes, or the type and the words of the refusal."""
    try:
        found = score(paths, metrics, group_by="group", tokenizer="whitespace", **options)
    except ValueError as error:
        return [type(error), str(error)]
    return [found.scores, found.notes]


def compare(files: list[list[dict[str, Any]]], length: str, options: dict[str, Any]) -> Any:
    """The outcome in memory, which the outcome of a stream has to equal."""
    metrics = METRICS if length == "paired" else [*METRICS, "compression_ratio"]
    with tempfile.TemporaryDirectory() as name, small_parts(4):
        paths = []
        for number, held in enumerate(files):
            path = Path(name, f"s{number}.jsonl")
            path.write_text("".join(f"{json.dumps(row)}\n" for row in held))
            paths.append(str(path))
        held, streamed = (
            outcome(score, paths, metrics, {**options, "length": length})
            for score in (scored_sources, streamed_sources)
        )
        assert streamed == nearly(held)
        return held


@pytest.mark.parametrize("length", ["full", "paired", "first:2"])
@given(files=st.lists(rows(), min_size=1, max_size=2), baseline=st.sampled_from([None, None, None, "b"]))
@settings(max_examples=15, deadline=None)
def test_a_stream_equals_memory(length: str, files: list[list[dict[str, Any]]], baseline: str | None) -> None:
    compare(files, length, {"baseline": baseline})


@pytest.mark.slow
@pytest.mark.parametrize("length", ["full", "paired", "first:2"])
@given(files=st.lists(rows(), min_size=1, max_size=3), baseline=st.sampled_from([None, None, None, "b"]))
@settings(max_examples=200, deadline=None)
def test_many_streams_equal_memory(length: str, files: list[list[dict[str, Any]]], baseline: str | None) -> None:
    compare(files, length, {"baseline": baseline})


def texts(group: str, prompts: list[Any], samples: int, **more: Any) -> list[dict[str, Any]]:
    return [
        {"group": group, "prompt_id": prompt, "sample_id": sample, "text": f"{group} {place} {sample % 3} b", **more}
        for place, prompt in enumerate(prompts)
        for sample in range(samples)
    ]


@pytest.mark.parametrize(
    ("files", "said"),
    [
        (
            [texts("a", [*range(8)], 2) + texts("b", [*range(2, 12)], 3)],
            "compared on the 6 prompts that all groups have; 6 are left out",
        ),
        ([texts("a", [0], 12) + texts("b", [0], 16)], "distinct-n is the mean over all subsets of 12 of its 16 texts"),
        (
            [texts("a", [0, 1], 3, prompt="P"), texts("b", [5, 6, 9], 3, prompt="P")],
            "mean over all subsets of 6 of its 9",
        ),
        ([texts("a", [0, 1], 1) + texts("b", [2, 3], 1)], "a, b have no prompt and sample number in common"),
        ([texts("a", [0, 1], 1), [{"group": "b", "text": "c"}] * 2], "names no prompts, and other sources have 2"),
        (
            [texts("a", [0], 9)[::-1], [{"group": "b", "text": f"c {n}"} for n in range(10)]],
            "subsets of 9 of its 10 texts",
        ),
    ],
    ids=["prompts", "samples", "a prompt twice", "nothing", "unnamed", "one prompt"],
)
def test_what_groups_have_in_common_is_compared(files: list[list[dict[str, Any]]], said: str) -> None:
    assert said in str(compare(files, "paired", {}))
