"""The results of a run, written once all texts are drawn: samples.parquet, metrics, comparison.csv, failures, traces, DONE.

`samples.jsonl` is read once, for `samples.parquet`; scores and traces read that.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from rich.console import Console

from temp_processors.comparison.compare import compare_groups
from temp_processors.comparison.sources import groups_of_run
from temp_processors.comparison.spreadsheet import as_csv
from temp_processors.comparison.task_scores import MOST_FAILURES, TaskScores, verdict_of_task
from temp_processors.comparison.task_sources import failures_of
from temp_processors.config.experiment import ExperimentConfig
from temp_processors.config.sections import trace_options
from temp_processors.engines.engine import Engine, ModelError
from temp_processors.experiment.confirmation import unconfirmed
from temp_processors.experiment.phases import unopened_phases
from temp_processors.experiment.prompts import Prompts
from temp_processors.experiment.stages import stage
from temp_processors.experiment.tasks import score_task
from temp_processors.experiment.traces import TracesTooLargeError, write_traces
from temp_processors.runs.folder import Run, RunFolderError
from temp_processors.runs.recovery import any_samples
from temp_processors.runs.writing import read_drawn_texts, read_parquet, write_parquet
from temp_processors.tasks.scorers.base import Tools
from temp_processors.tasks.task import NO_TOOLS

SILENT = Console(quiet=True)
KEPT = "every text is kept: make room and go on with --resume"


class MissingTextsError(RunFolderError):
    """Texts that were drawn are not on disk any more."""


@dataclass(frozen=True)
class Finished:
    """A run whose texts are drawn, with the engine that drew them.

    Scores count in `tokenizer`, remarks go to `console`, the seconds of each stage to `progress`. `planned` is how many texts there have
    to be, those that could not be drawn included; `rows` are those of the prompts where there is a task, `tools` what its scorers may use.
    """

    config: ExperimentConfig
    folder: Run
    engine: Engine
    tokenizer: Any
    prompts: Prompts
    console: Console
    planned: int
    rows: Sequence[dict[str, Any]] = ()
    tools: Tools = NO_TOOLS
    progress: Console = SILENT


def conclude(run: Finished, failures: Sequence[dict[str, Any]]) -> None:
    """Write every result and mark the run as complete.

    Raises:
        ModelError: Not one text could be drawn.
        RunFolderError: The disk is full, the folder is read-only or gone, or texts are missing.
    """
    try:
        if not any_samples(run.folder) and failures:
            raise _nothing_drawn(failures)
        with stage(run.progress, "scoring"):
            _write_results(run, failures)
        _trace(run)
        _say_unopened(run)
        run.folder.finish()
    except OSError as error:
        reason = f"cannot be written: {error.strerror or error}"
        raise RunFolderError(f"{run.folder.path}: {reason}; {_kept(run.folder)}") from error
    except MissingTextsError:
        raise
    except RunFolderError as error:
        raise RunFolderError(f"{error}; {_kept(run.folder)}") from error


def _kept(folder: Run) -> str:
    gone = "the run folder was deleted or renamed while the run went on"
    return KEPT if (folder.path / "samples.jsonl").exists() else gone


def _nothing_drawn(failures: Sequence[dict[str, Any]]) -> ModelError:
    first = "policy {policy!r}, prompt {prompt_id}, sample {sample_id}, step {step}: {reason}".format(**failures[0])
    return ModelError(f"model: not one of {len(failures):,} texts could be drawn; the first: {first}")


def _write_results(run: Finished, failures: Sequence[dict[str, Any]]) -> None:
    config, folder = run.config, run.folder
    samples = folder.path / "samples.jsonl"
    held = write_parquet(samples, folder.path / "samples.parquet", [p.name for p in config.policies])
    if held + len(failures) != run.planned:  # somebody else took the file or a part of it away
        drawn = run.planned - len(failures)
        raise MissingTextsError(f"{samples}: holds {held:,} of {drawn:,} texts that were drawn; go on with --resume")
    scores = score_run(config, folder, run.tokenizer)
    task = score_task(config, folder, run.prompts.texts, run.rows, run.tools)
    results = {"policies": scores, **({"task": task.to_dict()} if task is not None else {})}
    folder.write("metrics.json", json.dumps(results, indent=2, ensure_ascii=False) + "\n")
    if task is not None:
        _judge(run, task, scores)
    folder.write("comparison.csv", as_csv(scores))
    (folder.path / "failures.json").unlink(missing_ok=True)
    if failures:
        folder.write("failures.json", json.dumps(failures, indent=2) + "\n")


def _judge(run: Finished, task: TaskScores, scores: dict[str, dict[str, dict[str, Any]]]) -> None:
    """Write the verdict; tell which samples could not be scored."""
    verdict = verdict_of_task(task, scores)
    run.folder.write("verdict.json", json.dumps(verdict.to_dict(), indent=2, ensure_ascii=False) + "\n")
    for line in failures_of(task, MOST_FAILURES):
        run.console.print(line, highlight=False, markup=False, soft_wrap=True)


def _trace(run: Finished) -> None:
    """Write traces where the configuration asks for them; say why where there can be none."""
    options, reason = trace_options(run.config.traces), run.engine.why_not_traced()
    if options is None:
        return
    if reason is None:
        try:
            with stage(run.progress, "traces"):
                write_traces(run.folder, run.config, run.engine, run.prompts, options)
        except TracesTooLargeError as error:
            reason = str(error)
        else:
            _say_unconfirmed(run)
    if reason is not None:
        run.console.print(f"no traces: {reason}", highlight=False, markup=False)


def _say_unconfirmed(run: Finished) -> None:
    """Warn where one forward pass does not confirm what was drawn."""
    if (line := unconfirmed(run.folder.path, run.engine.model_config.dtype)) is not None:
        run.console.print(line, highlight=False, markup=False, soft_wrap=True)


def _say_unopened(run: Finished) -> None:
    """Tell which phases never opened; their policies did nothing."""
    policies = {named.name: named.policy for named in run.config.policies}
    samples = read_parquet(run.folder.path / "samples.parquet")
    for line in unopened_phases(policies, samples, run.prompts.token_ids, run.engine.tokenizer):
        run.console.print(line, highlight=False, markup=False, soft_wrap=True)


def score_run(config: ExperimentConfig, folder: Run, tokenizer: Any = "auto") -> dict[str, dict[str, dict[str, Any]]]:
    """Every metric of the configuration for every policy, with intervals and differences to the baseline.

    Values are those of the texts as they are; differences are between texts cut pair by pair to equal lengths.
    """
    groups = groups_of_run(read_drawn_texts(folder.path / "samples.parquet"), [named.name for named in config.policies])
    baseline = config.baseline if config.baseline in groups else None
    return compare_groups(
        groups, config.metrics, baseline, length="paired", tokenizer=tokenizer, primary=config.primary
    )
