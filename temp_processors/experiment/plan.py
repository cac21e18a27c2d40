"""What to run: policies x prompts x samples, in an order and with seeds that depend on the configuration alone."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import NamedTuple

from temp_processors.config.experiment import ExperimentConfig
from temp_processors.config.prompts import Prompt, PromptSource
from temp_processors.config.yaml_lines import ConfigError, Problem


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

    @cached_property
    def prompts(self) -> Sequence[Prompt]:
        """Every prompt, read once from where the configuration says."""
        source = self.config.prompts
        if not isinstance(source, PromptSource):
            return source
        prompts = source.read()
        try:
            self.config.refuse_too_many(len(prompts))
        except ValueError as error:
            raise ConfigError([Problem("the configuration", None, ("samples_per_prompt",), str(error))]) from error
        return prompts

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
        config = self.config
        return (
            f"{len(config.policies)} policies x {len(self.prompts)} prompts x {config.samples_per_prompt} samples"
            f" = {len(self):,} texts, at most {len(self) * config.max_new_tokens:,} new tokens, into {config.folder}"
        )


def sample_seed(experiment_seed: int, prompt_id: int, sample_id: int, policy: str | None) -> int:
    """The seed of one sample: 53 bits (exact in every JSON reader) of a hash of what identifies the sample.

    Without a policy it is the seed that all policies share (`coupled`).

    Example:
        >>> sample_seed(0, 0, 0, "T=1.0") == sample_seed(0, 0, 0, "T=1.0") != sample_seed(0, 0, 1, "T=1.0")
        True
    """
    identity = f"{experiment_seed}/{prompt_id}/{sample_id}/{policy or ''}".encode()
    return int.from_bytes(hashlib.blake2b(identity, digest_size=8).digest(), "big") >> 11
