"""Texts of some prompts and policies of a configuration, drawn and scored: what a race asks for, round by round.

A text has the seed that it would have in a run of the whole configuration. Where rows are not independent, neighbours in a batch
may move the last bits of its logits.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from rich.console import Console

from temp_processors.comparison.task_scores import outcome_of
from temp_processors.config.experiment import ExperimentConfig
from temp_processors.engines.decoding.batches import plan_batches
from temp_processors.engines.engine import DecodeRow, Engine
from temp_processors.experiment.checkpoint import filled_in
from temp_processors.experiment.plan import Job, Plan
from temp_processors.experiment.progress import Meter
from temp_processors.experiment.prompts import Prompts, prepare
from temp_processors.experiment.sampler_stack import refuse_checkpoint_sampling
from temp_processors.experiment.texts import DrawnTexts, independent_rows
from temp_processors.runs.sample import Sample
from temp_processors.tasks.measures import Outcome
from temp_processors.tasks.scorers.base import Tools
from temp_processors.tasks.task import Task, score_texts


@dataclass(frozen=True)
class Drawing:
    """A configuration with its engine.

    Args:
        plan: Of the configuration.
        task: Of the configuration.
        engine: That of the configuration.
        policies: Of the configuration, as the engine takes them.
        prompts: As the model reads them.
        tools: What scorers may use.
        progress: Where a bar goes.
    """

    plan: Plan
    task: Task
    engine: Engine
    policies: Sequence[Any]
    prompts: Prompts
    tools: Tools
    progress: Console

    @classmethod
    def prepared(cls, engine: Engine, plan: Plan, task: Task, tools: Tools, progress: Console) -> Drawing:
        """What `engine` needs to draw the texts of `plan`.

        Raises:
            ModelError, ConfigError, PromptError: As `run_experiment`.
        """
        config = plan.config
        filled_in(config, engine.generation_config)
        refuse_checkpoint_sampling(engine, config)
        policies = engine.prepare(config)
        prompts = prepare(plan.prompts, engine, config.system_prompt, config.max_new_tokens)
        return cls(plan, task, engine, policies, prompts, tools, progress)

    @property
    def config(self) -> ExperimentConfig:
        """What is drawn."""
        return self.plan.config

    def scored(self, prompts: Sequence[int], policies: Sequence[int]) -> Iterator[tuple[Sample, Outcome]]:
        """Every sample of some prompts under some policies, by their positions, with what the first scorer finds in it."""
        samples = list(self._draw(prompts, policies))
        heading = next(iter(self.task.scorers))
        rows = [{"prompt": text, **row} for text, row in zip(self.prompts.texts, self.plan.rows, strict=True)]
        texts = [(sample.text, sample.prompt_id) for sample in samples]
        for sample, found in zip(samples, score_texts(self.task, texts, rows, self.tools), strict=True):
            yield sample, outcome_of(found, heading, sample.scored_tokens, sample.finish_reason == "length")

    def _draw(self, prompts: Sequence[int], policies: Sequence[int]) -> Iterator[Sample]:
        config, ids = self.config, self.prompts.token_ids
        jobs = [
            self._job(prompt, policy, sample) for prompt in prompts for policy in policies for sample in self._samples
        ]
        batches = [
            [jobs[place] for place in batch] for batch in self._batches([len(ids[job.prompt_id]) for job in jobs])
        ]
        rows = [[DecodeRow(ids[job.prompt_id], job.policy, job.seed) for job in batch] for batch in batches]
        with Meter(self.progress, len(jobs), config.max_new_tokens) as meter:
            begun: list[Job] = []

            def begin(batch: int) -> None:
                begun[:] = batches[batch]
                meter.begin(list(dict.fromkeys(config.policies[job.policy].name for job in begun)))

            options = self._texts.options(meter.tokens)
            for text in self.engine.draw_batches(rows, self.policies, options, begin=begin):
                meter.text(text.steps)
                if text.finish_reason != "nan":
                    yield self._texts.sample(begun[text.row], text)

    def _batches(self, lengths: Sequence[int]) -> Sequence[Sequence[int]]:
        if independent_rows(self.config, self.engine):
            return self.engine.portions(range(len(lengths)))
        return plan_batches(lengths, self.config.most_rows)

    @property
    def _samples(self) -> range:
        return range(self.config.samples_per_prompt)

    def _job(self, prompt: int, policy: int, sample: int) -> Job:
        return self.plan.job((prompt * len(self.config.policies) + policy) * self.config.samples_per_prompt + sample)

    @cached_property
    def _texts(self) -> DrawnTexts:
        return DrawnTexts(self.config, self.engine, self.prompts)
