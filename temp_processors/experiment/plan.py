"""What to run: policies x prompts x samples, in an order and with seeds that depend on the configuration alone."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, NamedTuple

from temp_processors.config.counts import counted
from temp_processors.config.experiment import ExperimentConfig
from temp_processors.config.prompts import Prompt, PromptError, PromptRows, PromptSource
from temp_processors.config.yaml_lines import ConfigError
from temp_processors.tasks.task import TaskError


class Job(NamedTuple):
    """One sample to draw. `policy` and `prompt_id` are positions in the configuration's lists."""

    policy: int
    prompt_id: int
    sample_id: int
    seed: int


@dataclass(frozen=True)
class Plan:
    """The jobs of a configuration and their size."""

    config: ExperimentConfig

    @property
    def prompts(self) -> Sequence[Prompt]:
        """Every prompt, read once from where the configuration says."""
        return self._read.prompts

    @property
    def rows(self) -> Sequence[dict[str, Any]]:
        """The row of every prompt, where there is a task; its own columns and the `prompt` as it is written."""
        return self._read.rows

    @cached_property
    def _read(self) -> PromptRows:
        """Prompts, and rows that go with the task; without one they are not kept.

        Raises:
            PromptError: Prompts cannot be read, or do not go with the task.
            ConfigError: They make too many texts.
        """
        source = self.config.prompts
        if isinstance(source, PromptSource):
            found = source.read_rows()
            try:
                self.config.refuse_too_many(len(found.prompts))
            except ValueError as error:
                raise ConfigError.at(("samples_per_prompt",), str(error)) from error
        else:
            found = PromptRows(list(source), [{} for _ in source], "the list `prompts`")
        if self.config.task is None:
            return found._replace(rows=[])
        rows = [{"prompt": prompt, **row} for prompt, row in zip(found.prompts, found.rows, strict=True)]
        _refuse_repeated(found)
        try:
            self.config.task.check_rows(rows, found.source)
        except TaskError as error:
            raise PromptError(str(error), *error.below, field="task") from error
        return found._replace(rows=rows)

    def jobs(self) -> Iterator[Job]:
        """Every job, prompts outermost, so that samples of one prompt can share its prefill."""
        return map(self.job, range(len(self)))

    def job(self, place: int) -> Job:
        """The job at one place of that order, computed from the place, so that a plan takes no memory."""
        cell, sample_id = divmod(place, self.config.samples_per_prompt)
        prompt_id, policy = divmod(cell, len(self.config.policies))
        policy_name = None if self.config.coupled else self.config.policies[policy].name
        return Job(policy, prompt_id, sample_id, sample_seed(self.config.seed, prompt_id, sample_id, policy_name))

    def __len__(self) -> int:
        return len(self.prompts) * len(self.config.policies) * self.config.samples_per_prompt

    def __str__(self) -> str:
        config, texts = self.config, len(self)
        product = len(config.policies), len(self.prompts), config.samples_per_prompt
        parts = " x ".join(map(counted, product, ("policy", "prompt", "sample")))
        tokens = counted(texts * config.max_new_tokens, "new token")
        return f"{parts} = {counted(texts, 'text')}, at most {tokens}, into {config.folder}"


def _refuse_repeated(found: PromptRows) -> None:
    """Raise `PromptError` where two rows make one prompt: the prompt is the unit of what a task says."""
    first: dict[str, int] = {}
    for number, prompt in enumerate(found.prompts, start=1):
        text = prompt if isinstance(prompt, str) else json.dumps(prompt, sort_keys=True)
        if text in first:
            raise PromptError(
                f"rows {first[text]} and {number} of {found.source} make the same prompt {text[:60]!r}: raise samples_per_prompt instead"
            )
        first[text] = number


def sample_seed(experiment_seed: int, prompt_id: int, sample_id: int, policy: str | None) -> int:
    """The seed of one sample: 53 bits (exact in every JSON reader) of a hash of what identifies the sample.

    Without a policy it is the seed that all policies share (`coupled`).

    Example:
        >>> sample_seed(0, 0, 0, "T=1.0") == sample_seed(0, 0, 0, "T=1.0") != sample_seed(0, 0, 1, "T=1.0")
        True
    """
    identity = f"{experiment_seed}/{prompt_id}/{sample_id}/{policy or ''}".encode()
    return int.from_bytes(hashlib.blake2b(identity, digest_size=8).digest(), "big") >> 11
