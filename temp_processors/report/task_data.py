"""What the page shows of a task: the verdict, scores with intervals for every k, the score of every prompt, answers beside texts.

The files of a run may come from anywhere: what is not of the kind that a run writes is left out, with a note.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from temp_processors.runs.checksums import unsealed
from temp_processors.runs.lenient import LoadedRun, SampleKey

MOST_PROMPTS = 1000
MOST_CHARACTERS = 200
Number = Annotated[float, Field(allow_inf_nan=False)]


class _Lenient(BaseModel):
    model_config = ConfigDict(extra="ignore", populate_by_name=True)


class Measure(_Lenient):
    """A value and its interval; None where undefined."""

    value: Number | None
    interval: tuple[Number, Number] | None = None

    @property
    def triple(self) -> list[float | None]:
        """Value and ends for the page."""
        return [self.value, *(self.interval or (None, None))]


class Calibration(_Lenient):
    """How well the share of the vote tells what is right; `curve` holds (confidence, share that is right, standard error, prompts)."""

    ece: Number | None = None
    brier: Number | None = None
    auroc: Number | None = None
    curve: list[tuple[Number, Number, Number | None, Number]] = []


class OfPolicy(_Lenient):
    """The measures of one scorer and one policy in `metrics.json`."""

    mean_score: Measure
    pass_at: dict[int, Measure] = Field(default={}, alias="pass@k")
    maj_at: dict[int, Measure] = Field(default={}, alias="maj@k")
    pass_hat: dict[int, Measure] = Field(default={}, alias="pass^k")
    calibration: Calibration | None = None
    by_prompt: list[Number | None] = []
    samples: int = 1


class OfScorer(_Lenient):
    """The measures of one scorer."""

    policies: dict[str, OfPolicy]


class OfTask(_Lenient):
    """The part `task` of `metrics.json`."""

    scorers: dict[str, OfScorer]


class Verdict(_Lenient):
    """What the page reads of `verdict.json`."""

    sentence: str
    measure: str
    prompts: int


def read_task(folder: Path) -> tuple[OfTask | None, str | None]:
    """The part `task` of a run's `metrics.json`, and what is wrong with it; None and None for a run without a task."""
    try:
        held = _read(folder / "metrics.json").get("task")
        return (None, None) if held is None else (OfTask.model_validate(held), None)
    except (OSError, ValueError) as error:
        return None, _told(error)


def task_data(run: LoadedRun, notes: list[str]) -> dict[str, Any] | None:
    """The task of a run for the page; None for a run without one.

    Args:
        run: The run.
        notes: Sentences on what is wrong with the run; what is left out is added.
    """
    task, problem = read_task(run.path)
    verdict = None
    if task is not None:
        try:
            verdict = Verdict.model_validate(_read(run.path / "verdict.json"))
        except (OSError, ValueError) as error:
            problem = _told(error)
    if problem is not None:
        notes.append(f"the scores of the task are left out: {problem}.")
    if task is None or verdict is None:
        return None
    return {
        "sentence": verdict.sentence,
        "measure": verdict.measure,
        "prompts": verdict.prompts,
        "scorers": {
            scorer: {name: _policy(of) for name, of in own.policies.items() if name in run.policies}
            for scorer, own in task.scorers.items()
        },
    }


def _told(error: Exception) -> str:
    return error.errors()[0]["msg"] if isinstance(error, ValidationError) else str(error)


def answers_of(path: Path) -> Iterator[tuple[SampleKey, list[Any]]]:
    """(policy, prompt, sample) -> [answer or why there is none, whether there is one, references, {scorer: score}] of a run's file."""
    if not (path / "answers.jsonl").is_file():
        return
    for line in (path / "answers.jsonl").read_bytes().split(b"\n"):
        try:
            row = json.loads(unsealed(line, needed=False)) if line.strip() else None
        except (ValueError, RecursionError):
            continue
        if not isinstance(row, dict) or not isinstance(row.get("scores"), dict):
            continue
        key = row.get("policy"), row.get("prompt_id"), row.get("sample_id")
        if not (isinstance(key[0], str) and isinstance(key[1], int) and isinstance(key[2], int)):
            continue
        answer, references = row.get("answer"), row.get("references")
        shown = answer if answer is not None else row.get("no_answer") or ""
        listed = [_short(value) for value in references] if isinstance(references, list) else []
        scores = {str(name): value for name, value in row["scores"].items() if isinstance(value, (int, float))}
        yield (key[0], key[1], key[2]), [_short(shown), answer is not None, listed, scores]


def _policy(of: OfPolicy) -> dict[str, Any]:
    families = {"pass@k": of.pass_at, "maj@k": of.maj_at, "pass^k": of.pass_hat}
    calibration = of.calibration or Calibration()
    return {
        "mean": of.mean_score.triple,
        "at": {name: {str(k): held.triple for k, held in family.items()} for name, family in families.items()},
        "byPrompt": of.by_prompt[:MOST_PROMPTS],
        "samples": of.samples,
        "calibration": [calibration.ece, calibration.brier, calibration.auroc],
        "curve": [list(point) for point in calibration.curve],
    }


def _short(value: Any) -> str:
    text = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
    return text if len(text) <= MOST_CHARACTERS else text[:MOST_CHARACTERS] + "..."


def _read(path: Path) -> dict[str, Any]:
    try:
        data = json.loads(path.read_bytes())
    except FileNotFoundError:
        return {}
    except RecursionError as error:
        raise ValueError(f"{path.name} is nested too deep") from error
    return data if isinstance(data, dict) else {}
