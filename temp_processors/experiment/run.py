"""Running an experiment: every job of the plan is drawn and appended to the run folder, then the results are written."""

from __future__ import annotations

import platform
import time
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass
from functools import partial
from typing import Any

from rich.console import Console

from temp_processors.config.experiment import ExperimentConfig
from temp_processors.config.yaml_lines import ConfigError
from temp_processors.engines.engine import ModelError
from temp_processors.engines.load import loaded
from temp_processors.experiment.checkpoint import before_loading, filled_in
from temp_processors.experiment.drawing import Work
from temp_processors.experiment.early import refuse_unwritable, scored_by
from temp_processors.experiment.plan import Plan
from temp_processors.experiment.processes import LaunchError, Processes
from temp_processors.experiment.progress import default_progress
from temp_processors.experiment.prompts import prepare, tokenizer_digest
from temp_processors.experiment.results import Finished, conclude
from temp_processors.experiment.sampler_stack import refuse_checkpoint_sampling, sampler_stack, stack_lines
from temp_processors.experiment.stages import stage
from temp_processors.inert import shown
from temp_processors.runs.checksums import differing, sum_of_file
from temp_processors.runs.folder import Run, RunFolderError, start_files
from temp_processors.runs.recovery import recover
from temp_processors.runs.resume import compare, locked, refuse_if_changed
from temp_processors.runs.sample import Key
from temp_processors.tasks.scorers.base import Tools
from temp_processors.tasks.task import TaskError

SEEN_WITHIN = 20.0
"""Seconds within which a file of process 0 has to be seen by the others."""


def run_experiment(
    config: ExperimentConfig,
    *,
    overwrite: bool = False,
    resume: bool = False,
    console: Console | None = None,
    progress: Console | None = None,
    plan: Plan | None = None,
    allow_code_execution: bool = False,
) -> Run:
    """Run `config` from prompts to scores and return its complete run folder.

    Samples are on disk as soon as they are finished. Under `torchrun` the processes share the work, and process 0
    gathers and scores.

    Args:
        config: What to run, from `load_config` or `ExperimentConfig.model_validate`.
        overwrite: Replace a run that is already in the folder.
        resume: Go on with a run that stopped; start it when there is none. Of a run that is complete, its settings, model and files are
            compared, and what is damaged is made again.
        console: Where the sampler stack and remarks go; nowhere by default.
        progress: Where progress goes, a bar at a terminal and lines elsewhere; by default in a notebook a bar, else nowhere.
        plan: That of `config`, where its prompts have been read already.
        allow_code_execution: Whether a task may run the programs that the model writes (`score: python_tests`).

    Raises:
        ConfigError: A policy has a tag or a token id that does not go with the tokenizer, `kind: checkpoint` meets a generation_config
            that no policy can carry, a scorer cannot work here, the folder cannot be written, or `tokenizer` names none.
        ModelError: The model cannot be loaded, sets its own sampling values where the configuration refuses that, or
            gives NaN for every text.
        PromptError: The prompts cannot be read.
        RunFolderError: The folder holds a run, was begun with other settings, is in use, damaged, or cannot be written any more.
        TypeError: `config` is none, such as the name of one.
        LaunchError: Several processes were started without what they need to share the run.

    Example:
        >>> from temp_processors.config import load_config
        >>> config = load_config("fox", ["samples_per_prompt=2", "max_new_tokens=4"], out=tmp_path / "fox")
        >>> run = run_experiment(config)
        >>> run.complete, len(list(run.samples))
        (True, 12)
    """
    if not isinstance(config, ExperimentConfig):
        raise TypeError(f"`config` has to be what load_config() gives, but is {shown(config)}")
    processes = Processes.join()
    if config.launcher is not None and processes.count > 1:
        raise LaunchError("launcher: hands out the work by itself: start the command once, without torchrun")
    silent = Console(quiet=True)
    progress = default_progress() if progress is None else progress
    console, progress = (c if c is not None and processes.first else silent for c in (console, progress))
    config = before_loading(config)
    folder = Run(config.folder)
    early = partial(_refuse_early, folder, config, overwrite, resume)
    processes.from_first(_or_error(early) if processes.first else None)
    plan = plan if plan is not None and plan.config is config else Plan(config)
    plan.prompts  # noqa: B018  (errors in reading them come before the model is loaded)
    tools = Tools(allow_code_execution, folder.path)
    _prepare_task(config, tools)
    tokenizer = scored_by(config)
    with ExitStack() as held:
        with stage(progress, "model", spinner=False):
            engine = held.enter_context(loaded(config))
            # once more: code of a checkpoint may set what its files do not say
            filled_in(config, engine.generation_config)
            refuse_checkpoint_sampling(engine, config)
            policies = engine.prepare(config)
            tokenizer = engine.tokenizer if tokenizer is None else tokenizer
            prompts = prepare(plan.prompts, engine, config.system_prompt, config.max_new_tokens)
        work = Work(config, plan, engine, tokenizer, prompts, policies, folder, console, progress, processes)
        begin = partial(_begin, work, overwrite, resume, held)
        state = processes.from_first(_or_error(begin) if processes.first else None)
        if state.complete:
            return folder
        processes.gather_or_raise(partial(_refuse_if_not_shared, folder, state, processes), RunFolderError)
        failures = processes.gather_or_raise(partial(work.generate, state.done), RunFolderError, ModelError)
        if processes.first:
            size = len(plan)
            given = config, folder, engine, tokenizer, prompts, console, size, plan.rows, tools, progress
            conclude(Finished(*given), failures)
        processes.wait()
    return folder


def _prepare_task(config: ExperimentConfig, tools: Tools) -> None:
    """Check that the scorers of the task can work here; what they cannot is told at its field."""
    if config.task is None:
        return
    try:
        config.task.prepare(tools)
    except TaskError as error:
        raise ConfigError.at(("task", *error.below), str(error)) from error


def _refuse_early(folder: Run, config: ExperimentConfig, overwrite: bool, resume: bool) -> None:
    """Refuse what can be known of the folder before a model is loaded.

    Raises:
        ConfigError: It cannot be written.
        RunFolderError: A run is in the way, or was begun with other settings.
    """
    refuse_unwritable(config)
    if not resume:
        folder.refuse_if_used(overwrite)
    elif folder.complete and not differing(folder.path, ["config.yaml"]):
        refuse_if_changed(folder, config.to_yaml())


def _or_error(work: Callable[[], Any]) -> Any:
    """What `work` returns or the error it raises, to be told to every process."""
    try:
        return work()
    except (ConfigError, RunFolderError) as error:
        return error


@dataclass(frozen=True)
class _State:
    """Where a run stands when it begins or goes on: what is drawn, whether nothing is left to do, and which run it is."""

    done: set[Key]
    complete: bool
    mark: str | None


def _begin(work: Work, overwrite: bool, resume: bool, held: ExitStack) -> _State:
    """Lock the folder; write what the run begins with, or compare it on --resume and take up what can be trusted."""
    config, folder, engine = work.config, work.folder, work.engine
    model = {**engine.describe(), "prompts": work.prompts.digest, "tokenizer": tokenizer_digest(engine.tokenizer)}
    stack = sampler_stack(engine, config, work.policies)
    texts = start_files(config.to_yaml(), stack, model)
    held.enter_context(locked(folder.path))
    if resume and folder.begun:
        return _go_on(work, texts)
    folder.start(texts, overwrite=overwrite or resume)
    for line in stack_lines(stack, config):
        work.say(line)
    return _State(set(), False, _mark(folder))


def _go_on(work: Work, texts: dict[str, str]) -> _State:
    folder = work.folder
    remarks = compare(folder, texts)
    found = recover(folder, work.objection)
    damaged = folder.damaged_results() if folder.complete else []
    remarks += [*found.remarks, *(f"{name}: is missing or damaged, and is written again" for name in damaged)]
    for remark in remarks:
        work.say(remark)
    if folder.complete:
        failed = 0 if "failures.json" in damaged else len(folder.failures)
        if not damaged and len(found.done) + failed == len(work.plan):
            return _State(found.done, True, None)
        (folder.path / "DONE").unlink()
    work.say(f"going on: {len(found.done):,} of {len(work.plan):,} texts are there")
    return _State(found.done, False, _mark(folder))


def _mark(folder: Run) -> str | None:
    """Tells the folder of this run from a folder of the same name on another machine."""
    return sum_of_file(folder.path / "environment.json")


def _refuse_if_not_shared(folder: Run, state: _State, processes: Processes) -> list[None]:
    """Raise `RunFolderError` in a process that does not see the folder that process 0 wrote; a network drive may take seconds."""
    end = time.monotonic() + SEEN_WITHIN
    while _mark(folder) != state.mark:
        if time.monotonic() > end:
            raise RunFolderError(
                f"{folder.path}: process {processes.rank} of {processes.count} on {platform.node()} does not see the run folder that "
                "process 0 wrote: give --out a folder on a drive that all machines share, as an absolute path"
            )
        time.sleep(0.1)
    return []
