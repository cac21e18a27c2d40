"""What the engines on vLLM share: the settings of a checkpoint whose weights are elsewhere, and policies as requests carry them."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from torch import Tensor
from transformers import AutoConfig, AutoTokenizer

from temp_processors.config.experiment import ExperimentConfig
from temp_processors.config.sections import ModelSpec
from temp_processors.engines.engine import Decoded, InTurn, ModelError, ends_of, loading, model_path
from temp_processors.engines.reading import generation_config_in
from temp_processors.policies.base import PolicyLogitsWarper
from temp_processors.policies.tags import resolve_tag
from temp_processors.serving.rows import of_text, policy_of_request
from temp_processors.trace.table import TokenTrace


@dataclass(frozen=True)
class Checkpoint:
    """What an experiment asks of a model whose weights are elsewhere.

    Args:
        tokenizer: Its tokenizer.
        model_config: transformers' configuration of the model.
        generation_config: Its sampling values and end-of-sequence ids.
    """

    tokenizer: Any
    model_config: Any
    generation_config: Any

    @classmethod
    def read(cls, spec: ModelSpec) -> Checkpoint:
        """Read all of it from a folder or the Hub.

        Raises:
            ModelError: There is none.
        """
        name, options = model_path(spec.name), spec.tokenizer_options
        with loading(spec):
            tokenizer = AutoTokenizer.from_pretrained(name, **options)
            model_config = AutoConfig.from_pretrained(name, **options)
            generation_config = generation_config_in(name, model_config, revision=spec.revision)
        return cls(tokenizer, model_config, generation_config)

    @property
    def eos_token_ids(self) -> list[int]:
        """Ids that end a text."""
        return ends_of(self.generation_config, self.tokenizer)

    def describe(self, engine: str) -> dict[str, Any]:
        """What tells one model from another where the weights cannot be read: `config.json`, and who runs it."""
        text = self.model_config.to_json_string(use_diff=False)
        return {"engine": engine, "digest": hashlib.blake2b(text.encode(), digest_size=16).hexdigest()}


def requests_of(config: ExperimentConfig, tokenizer: Any) -> list[dict[str, Any]]:
    """The policies as requests carry them, tags as token ids.

    Raises:
        ConfigError: A tag or token id that does not go with the tokenizer.
        PolicyError: A policy that no request can have.
    """
    config.check_tokenizer(tokenizer)
    requests = [
        as_request(named.policy.model_dump(mode="json", exclude_none=True), tokenizer) for named in config.policies
    ]
    for request in requests:
        policy_of_request(of_text(request, 0))
    return requests


def as_request(value: Any, tokenizer: Any) -> Any:
    """Plain data of a policy with the tags that were given as text resolved, at any depth."""
    if isinstance(value, list):
        return [as_request(item, tokenizer) for item in value]
    if not isinstance(value, dict):
        return value
    rest = {name: as_request(item, tokenizer) for name, item in value.items()}
    if rest.get("kind") == "phase":
        for name in {"open", "close"} & set(rest):
            rest[f"{name}_ids"] = list(resolve_tag(tokenizer, name, rest.pop(name)))
    return rest


def as_row(row: int, tokens: Sequence[int], finish_reason: str, log_prob: float) -> Decoded:
    """vLLM's answer as a finished row: without the token that ended it, whose probability counts."""
    if finish_reason == "stop":
        return Decoded(row, list(tokens[:-1]), "stop", log_prob)
    return Decoded(row, list(tokens), "length", log_prob)


@dataclass(frozen=True)
class OnVllm(InTurn):
    """What both engines on vLLM answer alike; `load`, `draw` and `describe` are each one's own.

    Args:
        checkpoint: The model's settings and tokenizer.
    """

    checkpoint: Checkpoint

    @property
    def tokenizer(self) -> Any:
        """The checkpoint's tokenizer."""
        return self.checkpoint.tokenizer

    @property
    def model_config(self) -> Any:
        """The checkpoint's model configuration."""
        return self.checkpoint.model_config

    @property
    def generation_config(self) -> Any:
        """The checkpoint's generation configuration."""
        return self.checkpoint.generation_config

    def prepare(self, config: ExperimentConfig) -> list[dict[str, Any]]:
        """The policies as requests carry them.

        Raises:
            ConfigError, PolicyError: As `requests_of`.
        """
        return requests_of(config, self.tokenizer)

    def sampler_stack(self, config: ExperimentConfig, policies: Sequence[Any]) -> dict[str, Any]:
        """For every policy what vLLM applies to its requests: the policy alone, then vLLM's own draw."""
        names = ("TemperaturePolicyLogitsProcessor", "vLLM's sampler")
        stack = [{"name": name, "parameters": {}, "origin": "experiment"} for name in names]
        applied = {"mode": "sample", "stack": stack, "effective_temperature": "by the policy", "findings": []}
        return {named.name: applied for named in config.policies}

    def why_not_traced(self) -> str | None:
        """The reason: vLLM holds the weights and gives no scores of finished texts."""
        return "the weights are inside vLLM"

    def trace(self, ids: Tensor, policy: PolicyLogitsWarper, prompt_length: int, *, top_k: int) -> TokenTrace:
        """Refused: there are no scores to trace.

        Raises:
            ModelError: Always.
        """
        raise ModelError(f"engine: {self.why_not_traced()}")
