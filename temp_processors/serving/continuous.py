"""Policies under continuous batching (`model.generate_batch`), which takes no logits processors.

`generate_batch` drops a `logits_processor` argument without a word and builds its stack from the generation config
alone. One entry of that config makes its own processor: `watermarking_config`, whose `construct_processor` is asked
for it. `with_policy` uses that door, so the policy runs last, after the built-in temperature and truncation.
"""

from __future__ import annotations

import copy
from typing import Any

from transformers import GenerationConfig
from transformers.generation.configuration_utils import BaseWatermarkingConfig

from temp_processors.policies.base import PolicyLogitsWarper


class PolicyCarrier(BaseWatermarkingConfig):
    """Hands a policy to `generate_batch` where it asks for a watermark."""

    def __init__(self, policy: PolicyLogitsWarper) -> None:
        self.policy = policy

    def validate(self) -> None:
        """Nothing to check: the policy was checked when it was built."""

    def to_dict(self) -> dict[str, Any]:
        return {"policy": type(self.policy).__name__}

    def construct_processor(self, vocab_size: int, device: Any) -> PolicyLogitsWarper:
        return self.policy


def with_policy(generation_config: GenerationConfig, policy: PolicyLogitsWarper) -> GenerationConfig:
    """A copy of the configuration for `generate_batch` that applies the policy, after everything else.

    Args:
        generation_config: As for `generate_batch`; set `top_k=0` and `temperature=1.0` in it, or they act first.
        policy: One that looks at the scores alone: continuous batching shows a processor each row's last token only.

    Raises:
        TypeError: if one of them is something else.
        ValueError: if the policy needs the text or the position of the row in the batch
            (`supports_continuous_batching` is False), or the configuration has a watermark.

    Example:
        >>> from temp_processors import FixedTemperatureLogitsWarper
        >>> config = with_policy(GenerationConfig(do_sample=True, top_k=0), FixedTemperatureLogitsWarper(0.5))
        >>> config.watermarking_config.policy.value
        0.5
    """
    if not isinstance(generation_config, GenerationConfig):
        raise TypeError(
            f"`generation_config` has to be a GenerationConfig, but is of type {type(generation_config).__name__}"
        )
    if not isinstance(policy, PolicyLogitsWarper):
        raise TypeError(f"`policy` has to be a policy, but is of type {type(policy).__name__}")
    if not policy.supports_continuous_batching:
        raise ValueError(
            f"{type(policy).__name__} needs the whole text or the row's place in the batch, and continuous batching "
            "shows a processor the last token of each row only: use generate()"
        )
    if generation_config.watermarking_config is not None:
        raise ValueError("`generation_config` has a watermark, whose place the policy would take")
    config = copy.deepcopy(generation_config)
    config.watermarking_config = PolicyCarrier(policy)
    return config
