"""The task of a run: `answers.jsonl` beside the samples, scores in `metrics.json`, and `verdict.json`."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator, Mapping, Sequence
from itertools import islice
from pathlib import Path
from typing import Any

from temp_processors.comparison.task_scores import TaskScores, outcome_of
from temp_processors.config.experiment import ExperimentConfig
from temp_processors.runs.folder import Run
from temp_processors.runs.sample import Sample
from temp_processors.runs.writing import ROWS_AT_ONCE, read_parquet
from temp_processors.tasks.scorers.base import Tools
from temp_processors.tasks.task import ScoredText, Task, score_texts


def score_task(
    config: ExperimentConfig, folder: Run, prompts: Sequence[str], rows: Sequence[Mapping[str, Any]], tools: Tools
) -> TaskScores | None:
    """Score every sample of a run and write `answers.jsonl`; None where the configuration has no task.

    Args:
        config: Of the run.
        folder: With `samples.parquet`.
        prompts: As the model read them.
        rows: One a prompt.
        tools: What scorers may use.
    """
    task = config.task
    if task is None:
        return None
    given = [{"prompt": prompt, **_without_prompt(row)} for prompt, row in zip(prompts, rows, strict=True)]
    scores = TaskScores(task, [named.name for named in config.policies], len(prompts))
    partial = folder.path / ".answers.jsonl.partial"
    with partial.open("w", encoding="utf-8") as out:
        for sample, found in scored_samples(task, folder.path / "samples.parquet", given, tools):
            out.write(answer_line(sample, found))
            place = sample.policy, sample.prompt_id, sample.sample_id
            scores.add(
                *place,
                {
                    heading: outcome_of(found, heading, sample.scored_tokens, sample.finish_reason == "length")
                    for heading in task.scorers
                },
            )
        out.flush()
        os.fsync(out.fileno())
    partial.replace(folder.path / "answers.jsonl")
    return scores


def scored_samples(
    task: Task, samples: Path, rows: Sequence[Mapping[str, Any]], tools: Tools
) -> Iterator[tuple[Sample, ScoredText]]:
    """Every sample with what the task finds in it; `ROWS_AT_ONCE` are in memory at a time."""
    left = read_parquet(samples)
    while some := list(islice(left, ROWS_AT_ONCE)):
        texts = [(sample.text, sample.prompt_id) for sample in some]
        yield from zip(some, score_texts(task, texts, rows, tools), strict=True)


def answer_line(sample: Sample, found: ScoredText) -> str:
    """One line of `answers.jsonl`: which sample, its answer or why there is none, the right ones, score and reason of every scorer."""
    row = {
        "policy": sample.policy,
        "prompt_id": sample.prompt_id,
        "sample_id": sample.sample_id,
        **found.record,
    }
    return json.dumps(row, ensure_ascii=False) + "\n"


def _without_prompt(row: Mapping[str, Any]) -> dict[str, Any]:
    """The row's own columns; a `prompt` of its own stays, a chat becomes the text that the model read."""
    return {name: value for name, value in row.items() if name != "prompt" or isinstance(value, str)}
