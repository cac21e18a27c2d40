"""Drawing the texts of a plan: what one process draws, how it is written, and which samples on disk belong to it."""

from __future__ import annotations

from array import array
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, overload

from rich.console import Console

from temp_processors.config.experiment import ExperimentConfig
from temp_processors.engines.decoding.batches import plan_batches
from temp_processors.engines.engine import Decoded, DecodeRow, DrawError, Engine, ModelError
from temp_processors.experiment.plan import Job, Plan, sample_seed
from temp_processors.experiment.processes import Processes
from temp_processors.experiment.progress import Meter
from temp_processors.experiment.prompts import Prompts
from temp_processors.experiment.texts import DrawnTexts, independent_rows
from temp_processors.runs.folder import Run
from temp_processors.runs.sample import Key, Sample
from temp_processors.runs.writing import Part

SHOWN = 3
"""Texts that a failure names; it says how many more there are."""


@dataclass(frozen=True)
class Work:
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
        """Draw this process's share of what is not `done`; the samples that gave NaN.

        Raises:
            ModelError: Texts could not be drawn, named; all others are written.
            RunFolderError: A text cannot be written.
        """
        rank = self.processes.rank if self.processes.count > 1 else None
        failures: list[dict[str, Any]] = []
        batches = self._batches(done)
        with Part(self.folder.path, rank) as part, self._meter(sum(map(len, batches))) as meter:
            for rows, text in self._drawn(batches, meter):
                meter.text(text.steps)
                job = rows.job(text.row)
                if text.finish_reason == "nan":
                    failures.append(self._failure(job, text))
                elif self._key(job) not in done:
                    part.write(self._texts.sample(job, text))
        return failures

    def _batches(self, done: set[Key]) -> list[Rows]:
        return (
            self.engine.portions(self._pool(done))
            if independent_rows(self.config, self.engine)
            else self._whole_batches(done)
        )

    def _drawn(self, batches: Sequence[Rows], meter: Meter) -> Iterator[tuple[Rows, Decoded]]:
        """Every text with the batch that it is in."""
        begun: list[Rows] = []

        def begin(batch: int) -> None:
            begun[:] = [batches[batch]]
            meter.begin(self._policies_of(batches[batch]))

        options = self._texts.options(meter.tokens)
        try:
            for text in self.engine.draw_batches(batches, self.policies, options, begin=begin, say=self.say):
                yield begun[0], text
        except ModelError as error:
            raise self._incomplete(error, begun) from error

    def _policies_of(self, rows: Rows) -> list[str]:
        return [self.config.policies[policy].name for policy in rows.policies]

    def _whole_batches(self, done: set[Key]) -> list[Rows]:
        """The batches of the plan that are not done: whole ones, the same in every run."""
        prompts = self.prompts.token_ids
        lengths = [len(prompt) for prompt in prompts for _ in range(len(self.plan) // len(prompts))]
        batches = self.processes.share(plan_batches(lengths, self.config.most_rows))
        return [
            Rows(self, batch)
            for batch in batches
            if any(self._key(self.plan.job(place)) not in done for place in batch)
        ]

    def _pool(self, done: set[Key]) -> Rows:
        """All rows that are not done, the first sample of every prompt and policy first: one prompt that fails holds up no other."""
        samples = self.config.samples_per_prompt
        cells = len(self.plan) // samples
        order = (place % cells * samples + place // cells for place in range(len(self.plan)))
        rank, count = self.processes.rank, self.processes.count
        places = (place for number, place in enumerate(order) if number % count == rank)
        return Rows(self, array("q", (place for place in places if self._key(self.plan.job(place)) not in done)))

    def _incomplete(self, error: ModelError, begun: Sequence[Rows]) -> ModelError:
        if not isinstance(error, DrawError):
            return ModelError(f"{error}; what was drawn is kept: go on with --resume")
        named = []
        for row, reason in error.failed[:SHOWN]:
            policy, prompt, sample = self._key(begun[0].job(row))
            named.append(f"policy {policy!r}, prompt {prompt}, sample {sample}: {reason}")
        more = f"; and {len(error.failed) - SHOWN:,} more" if len(error.failed) > SHOWN else ""
        return ModelError(f"{error}: {'; '.join(named)}{more}; all others are kept: go on with --resume")

    def say(self, line: str) -> None:
        """A remark on the console."""
        self.console.print(line, highlight=False, markup=False, soft_wrap=True)

    def objection(self, sample: Sample) -> str | None:
        """Why a sample on disk is none of this run's; None where it is one."""
        config, names = self.config, [named.name for named in self.config.policies]
        if sample.policy not in names:
            return f"policy {sample.policy[:60]!r} is none of this run"
        counts = (("prompt_id", len(self.prompts.texts)), ("sample_id", config.samples_per_prompt))
        for name, count in counts:
            if not 0 <= getattr(sample, name) < count:
                return f"{name} {getattr(sample, name)} is none of this run, which has {count:,}"
        seed = sample_seed(config.seed, sample.prompt_id, sample.sample_id, None if config.coupled else sample.policy)
        if sample.seed != seed or sample.prompt != self.prompts.texts[sample.prompt_id]:
            return "its seed or its prompt is not that of this sample"
        return (
            f"more than {config.max_new_tokens} tokens" if len(sample.token_ids or ()) > config.max_new_tokens else None
        )

    @cached_property
    def _texts(self) -> DrawnTexts:
        return DrawnTexts(self.config, self.engine, self.prompts)

    def _meter(self, texts: int) -> Meter:
        return Meter(self.progress, texts, self.config.max_new_tokens)

    def _key(self, job: Job) -> Key:
        return self.config.policies[job.policy].name, job.prompt_id, job.sample_id

    def _failure(self, job: Job, text: Decoded) -> dict[str, Any]:
        policy, prompt_id, sample_id = self._key(job)
        step = len(text.token_ids)
        return {"policy": policy, "prompt_id": prompt_id, "sample_id": sample_id, "step": step, "reason": "NaN logits"}


class Rows(Sequence[DecodeRow]):
    """Rows to draw, made of their places in the plan when they are asked for, so that any number of them fits into memory.

    Args:
        work: What they are part of.
        places: In `Plan.jobs()`.
    """

    def __init__(self, work: Work, places: Sequence[int]) -> None:
        self.work, self.places = work, places

    def job(self, row: int) -> Job:
        """What is drawn in a row."""
        return self.work.plan.job(self.places[row])

    @property
    def policies(self) -> list[int]:
        """Positions of the policies, each once, in the order of the rows."""
        count, samples = len(self.work.config.policies), self.work.config.samples_per_prompt
        return list(dict.fromkeys(place // samples % count for place in self.places))

    @overload
    def __getitem__(self, row: int) -> DecodeRow: ...
    @overload
    def __getitem__(self, row: slice) -> Rows: ...
    def __getitem__(self, row: int | slice) -> DecodeRow | Rows:
        if isinstance(row, slice):
            return Rows(self.work, self.places[row])
        job = self.job(row)
        return DecodeRow(self.work.prompts.token_ids[job.prompt_id], job.policy, job.seed)

    def __iter__(self) -> Iterator[DecodeRow]:
        return map(self.__getitem__, range(len(self)))

    def __len__(self) -> int:
        return len(self.places)
