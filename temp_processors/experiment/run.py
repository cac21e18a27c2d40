"""Running an experiment: every job of the plan is drawn and appended to the run folder, then the results are written."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from functools import partial
from typing import Any

from rich.console import Console

from temp_processors.comparison.scoring import tokenizer_named
from temp_processors.config.experiment import ExperimentConfig
from temp_processors.engines.continuation import continuation_text
from temp_processors.engines.decoding.batches import plan_batches
from temp_processors.engines.engine import Decoded, DecodeRow, DrawOptions, Engine, ModelError
from temp_processors.engines.load import load_engine
from temp_processors.experiment.plan import Job, Plan
from temp_processors.experiment.processes import Processes
from temp_processors.experiment.progress import Meter
from temp_processors.experiment.prompts import Prompts, prepare
from temp_processors.experiment.results import Finished, conclude
from temp_processors.experiment.sampler_stack import refuse_checkpoint_sampling, sampler_stack, stack_lines
from temp_processors.metrics.tokenizers import splitter
from temp_processors.runs.folder import Run, RunFolderError
from temp_processors.runs.resume import Key, locked, recover, refuse_if_changed
from temp_processors.runs.sample import Sample
from temp_processors.runs.writing import Part


def run_experiment(
    config: ExperimentConfig,
    *,
    overwrite: bool = False,
    resume: bool = False,
    console: Console | None = None,
    progress: Console | None = None,
    plan: Plan | None = None,
) -> Run:
    """Run `config` from prompts to scores and return its complete run folder.

    Samples are on disk as soon as they are finished. Under `torchrun` the processes share the work, and process 0
    gathers and scores.

    Args:
        config: What to run, from `load_config` or `ExperimentConfig.model_validate`.
        overwrite: Replace a run that is already in the folder.
        resume: Go on with a run that stopped; start it when there is none, and do nothing when it is complete.
        console: Where the sampler stack and remarks go; nowhere by default.
        progress: Where progress goes, a bar at a terminal and lines elsewhere; nowhere by default.
        plan: That of `config`, where its prompts have been read already.

    Raises:
        ConfigError: A policy has a tag or a token id that does not go with the tokenizer.
        ModelError: The model cannot be loaded, sets its own sampling values where the configuration refuses that, or
            gives NaN for every text.
        PromptError: The prompts cannot be read.
        RunFolderError: The folder holds a run, was begun with other settings, is in use, or cannot be written.

    Example:
        >>> from temp_processors.config import load_config
        >>> config = load_config("fox", ["samples_per_prompt=2", "max_new_tokens=4"], out=tmp_path / "fox")
        >>> run = run_experiment(config)
        >>> run.complete, len(list(run.samples))
        (True, 12)
    """
    processes = Processes.join()
    silent = Console(quiet=True)
    console, progress = (c if c is not None and processes.first else silent for c in (console, progress))
    folder = Run(config.folder)
    nothing_to_do = partial(_nothing_to_do, folder, overwrite, resume)
    if processes.from_first(_or_error(nothing_to_do) if processes.first else None):
        return folder
    plan = plan or Plan(config)
    plan.prompts  # noqa: B018  (errors in reading them come before the model is loaded)
    engine = load_engine(config)
    refuse_checkpoint_sampling(engine, config)
    policies = engine.prepare(config)
    tokenizer = _scored_by(config, engine)
    prompts = prepare(plan.prompts, engine, config.system_prompt, config.max_new_tokens)
    work = _Work(config, plan, engine, tokenizer, prompts, policies, folder, console, progress, processes)
    with ExitStack() as held:
        begin = partial(_begin, work, overwrite, resume, held)
        done = processes.from_first(_or_error(begin) if processes.first else None)
        failures = processes.gather(work.generate(done))
        if processes.first:
            conclude(Finished(config, folder, engine, tokenizer, prompts, console), failures)
        processes.wait()
    return folder


def _scored_by(config: ExperimentConfig, engine: Engine) -> Any:
    """The tokenizer that scores count by; a mistake in it is told before anything is drawn."""
    if config.tokenizer == "model":
        return engine.tokenizer
    try:
        chosen = tokenizer_named(config.tokenizer)
        splitter(chosen)
    except ValueError as error:
        raise ModelError(f"tokenizer: {error}") from error
    return chosen


def _nothing_to_do(folder: Run, overwrite: bool, resume: bool) -> bool:
    """Whether the run to resume is complete. Raises where a run is in the way; asked before another process writes."""
    if not resume:
        folder.refuse_if_used(overwrite)
    return resume and folder.complete


def _or_error(work: Callable[[], Any]) -> Any:
    """What `work` returns or the error it raises, to be told to every process."""
    try:
        return work()
    except RunFolderError as error:
        return error


def _begin(work: _Work, overwrite: bool, resume: bool, held: ExitStack) -> set[Key]:
    """Keys of the samples already on disk, after locking the folder and writing its settings, or comparing them on --resume."""
    config, folder, model = work.config, work.folder, {**work.engine.describe(), "prompts": work.prompts.digest}
    stack = sampler_stack(work.engine, config, work.policies)
    held.enter_context(locked(folder.path))
    if resume and folder.begun:
        refuse_if_changed(folder, config.to_yaml(), model)
        done = recover(folder)
        work.console.print(f"going on: {len(done):,} of {len(work.plan):,} texts are there", highlight=False)
        return done
    folder.start(config.to_yaml(), stack, model, overwrite=overwrite or resume)
    for line in stack_lines(stack, config):
        work.console.print(line, highlight=False, markup=False, soft_wrap=True)
    return set()


@dataclass(frozen=True)
class _Work:
    """Everything that generating needs."""

    config: ExperimentConfig
    plan: Plan
    engine: Engine
    tokenizer: Any
    prompts: Prompts
    policies: Sequence[Any]
    folder: Run
    console: Console
    progress: Console
    processes: Processes

    def generate(self, done: set[Key]) -> list[dict[str, Any]]:
        """Draw this process's share of what is not `done`, whole batches at a time; the samples that gave NaN."""
        prompts, job_at = self.prompts.token_ids, self.plan.job
        rows_each = len(self.plan) // len(prompts)
        lengths = [len(prompt) for prompt in prompts for _ in range(rows_each)]
        batches = list(self.processes.share(plan_batches(lengths, self.config.batch_size)))
        rank = self.processes.rank if self.processes.count > 1 else None
        failures: list[dict[str, Any]] = []
        todo = [batch for batch in batches if any(self._key(job_at(place)) not in done for place in batch)]
        with Part(self.folder.path, rank) as part, self._meter(sum(map(len, todo))) as meter:
            for batch in todo:
                chosen = [job_at(place) for place in batch]
                rows = [DecodeRow(prompts[job.prompt_id], job.policy, job.seed) for job in chosen]
                meter.begin(list(dict.fromkeys(self.config.policies[job.policy].name for job in chosen)))
                for text in self.engine.draw(rows, self.policies, self._options(meter)):
                    meter.text(text.steps)
                    job = chosen[text.row]
                    if text.finish_reason == "nan":
                        failures.append(self._failure(job, text))
                    elif self._key(job) not in done:
                        part.write(self._sample(job, text))
        return failures

    def _options(self, meter: Meter) -> DrawOptions:
        return DrawOptions(self.config.max_new_tokens, self.config.coupled, meter.tokens)

    def _meter(self, texts: int) -> Meter:
        return Meter(self.progress, texts, self.config.max_new_tokens)

    def _key(self, job: Job) -> Key:
        return self.config.policies[job.policy].name, job.prompt_id, job.sample_id

    def _sample(self, job: Job, done: Decoded) -> Sample:
        continues = not self.engine.model_config.is_encoder_decoder
        prompt_ids = self.prompts.token_ids[job.prompt_id] if continues else ()
        return Sample(
            policy=self.config.policies[job.policy].name,
            prompt_id=job.prompt_id,
            sample_id=job.sample_id,
            seed=job.seed,
            prompt=self.prompts.texts[job.prompt_id],
            text=continuation_text(self.engine.tokenizer, prompt_ids, done.token_ids),
            token_ids=done.token_ids,
            finish_reason="stop" if done.finish_reason == "stop" else "length",
            log_prob=done.log_prob,
        )

    def _failure(self, job: Job, text: Decoded) -> dict[str, Any]:
        policy, prompt_id, sample_id = self._key(job)
        step = len(text.token_ids)
        return {"policy": policy, "prompt_id": prompt_id, "sample_id": sample_id, "step": step, "reason": "NaN logits"}
