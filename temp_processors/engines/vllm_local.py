"""Draw continuations with vLLM in this process: the same rows in, the same finished rows out, other draws.

vLLM draws from a seed of its own for each request, so texts agree with those of `generate` in distribution, not token
for token (greedy ones do). `log_prob` is that of the untempered model, as everywhere.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from transformers import AutoConfig, AutoTokenizer, GenerationConfig

from temp_processors.config.experiment import ExperimentConfig
from temp_processors.config.sections import model_spec
from temp_processors.engines.decoding.decode import Decoded, DecodeRow
from temp_processors.engines.local import LoadedModel, ModelError, loading, model_path
from temp_processors.policies.tags import resolve_tag
from temp_processors.serving.rows import KEY, policy_of_request

PROCESSOR = "temp_processors.vllm:TemperaturePolicyLogitsProcessor"
ENGINE_FIELDS = ("tensor_parallel_size", "pipeline_parallel_size", "dtype", "enforce_eager")
OPTIONAL_FIELDS = ("gpu_memory_utilization", "max_model_len", "max_num_seqs")


class Checkpoint:
    """What an experiment asks of a model that lives in an engine: its `config` and `generation_config`."""

    def __init__(self, name: str, **options: Any) -> None:
        self.config = AutoConfig.from_pretrained(name, **options)
        try:
            self.generation_config = GenerationConfig.from_pretrained(name)
        except OSError:  # a checkpoint without one has no sampling values of its own
            self.generation_config = GenerationConfig.from_model_config(self.config)

    def describe(self, engine: str) -> dict[str, Any]:
        """What tells one model from another where the weights cannot be read: `config.json`, and who runs it."""
        text = self.config.to_json_string(use_diff=False)
        return {"engine": engine, "digest": hashlib.blake2b(text.encode(), digest_size=16).hexdigest()}


def requests_of(config: ExperimentConfig, tokenizer: Any) -> list[dict[str, Any]]:
    """The policies as requests carry them, tags as token ids.

    Raises:
        ConfigError: A tag or token id that does not go with the tokenizer.
        PolicyError: A policy that no request can have.
    """
    config.check_tokenizer(tokenizer)
    found = [
        as_request(named.policy.model_dump(mode="json", exclude_none=True), tokenizer) for named in config.policies
    ]
    for request in found:
        policy_of_request(request)
    return found


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


@dataclass(frozen=True)
class VllmModel(LoadedModel):
    """A model inside vLLM, ready to draw the rows of one experiment."""

    llm: Any
    requests: list[dict[str, Any]]

    @classmethod
    def load(cls, config: ExperimentConfig) -> VllmModel:
        """Start the engine. Raises `ModelError` where vLLM is not installed."""
        spec = model_spec(config.model)
        name = model_path(spec.name)
        with loading(spec):
            tokenizer = AutoTokenizer.from_pretrained(name, **spec.tokenizer_options)
            checkpoint = Checkpoint(name, **spec.tokenizer_options)
        requests = requests_of(config, tokenizer)
        return cls(checkpoint, tokenizer, start(name, config), requests)

    def describe(self) -> dict[str, Any]:
        """The configuration of the model: its weights are inside vLLM."""
        return dict(self.model.describe("vllm"))

    def decode(self, rows: Sequence[DecodeRow], policies: Sequence[Any], *, max_new_tokens: int) -> Iterator[Decoded]:
        """Continue every row; rows are handed over as they finish."""
        return decode_with_vllm(
            self.llm, rows, self.requests, max_new_tokens=max_new_tokens, eos_token_ids=self.eos_token_ids
        )


def start(name: str, config: ExperimentConfig) -> Any:
    """vLLM's `LLM` on the model in `name`, with this package's processor."""
    os.environ.setdefault("VLLM_USE_V2_MODEL_RUNNER", "0")  # the other runner has another processor interface
    try:
        from vllm import LLM
    except ImportError as error:
        raise ModelError(
            f"engine: vllm cannot be imported ({error}); it needs an environment of its own: scripts/setup_vllm.sh makes one"
        ) from error
    options = {field: getattr(config.engine_options, field) for field in ENGINE_FIELDS}
    options.update(model_spec(config.model).tokenizer_options)
    for field in OPTIONAL_FIELDS:
        value = getattr(config.engine_options, field)
        if value is not None:
            options[field] = value
    return LLM(model=name, logits_processors=[PROCESSOR], seed=config.seed, **options)


def decode_with_vllm(
    llm: Any, rows: Sequence[DecodeRow], requests: Sequence[Any], *, max_new_tokens: int, eos_token_ids: Sequence[int]
) -> Iterator[Decoded]:
    """Continue every row with its policy; `requests[row.policy]` describes it (None: the model's own distribution)."""
    engine = llm.llm_engine
    waiting = set()
    for index, row in enumerate(rows):
        params = sampling_params(requests[row.policy], row.seed, max_new_tokens, eos_token_ids)
        engine.add_request(str(index), {"prompt_token_ids": list(row.prompt_ids)}, params)
        waiting.add(str(index))
    try:
        while waiting:
            for output in engine.step():
                if output.finished:
                    waiting.discard(output.request_id)
                    yield finished(int(output.request_id), output.outputs[0])
    finally:
        if waiting:
            engine.abort_request(sorted(waiting))


def sampling_params(request: Any, seed: int, max_new_tokens: int, eos_token_ids: Sequence[int]) -> Any:
    """vLLM's `SamplingParams` under which the policy acts alone: no truncation, no penalty, temperature 1."""
    from vllm import SamplingParams

    return SamplingParams(
        temperature=1.0,
        seed=seed,
        max_tokens=max_new_tokens,
        stop_token_ids=list(eos_token_ids),
        logprobs=0,
        detokenize=False,
        extra_args=None if request is None else {KEY: request},
    )


def finished(row: int, output: Any) -> Decoded:
    """One of vLLM's outputs as a finished row: without the token that ended it, whose probability counts."""
    tokens = list(output.token_ids)
    log_prob = float(output.cumulative_logprob)
    if output.finish_reason == "stop":
        return Decoded(row, tokens[:-1], "stop", log_prob)
    return Decoded(row, tokens, "length", log_prob)
