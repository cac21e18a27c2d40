"""Draw with vLLM in this process: the same rows in, the same form of finished rows out, other draws.

vLLM draws from a seed of its own for each request, so texts agree with those of `generate` in distribution, not token
for token (greedy ones do). `log_prob` is that of the untempered model, as everywhere. vLLM chooses its model runner, V1 or V2, by
itself; on V2 the noise of a draw is that of (seed, position, token), so requests of equal seeds share it whatever their
temperature, and `coupled: true` is possible.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from temp_processors.config.experiment import ExperimentConfig
from temp_processors.config.sections import model_spec
from temp_processors.engines.engine import Decoded, DecodeRow, DrawOptions, ModelError, ignore, model_path
from temp_processors.engines.requests import Checkpoint, OnVllm, as_row, requests_of
from temp_processors.serving.rows import KEY, of_text

PROCESSOR = "temp_processors.vllm:TemperaturePolicyLogitsProcessor"
ENGINE_FIELDS = ("tensor_parallel_size", "pipeline_parallel_size", "dtype", "enforce_eager")
OPTIONAL_FIELDS = ("gpu_memory_utilization", "max_model_len", "max_num_seqs", "distributed_executor_backend")


@dataclass(frozen=True)
class VllmEngine(OnVllm):
    """A model inside vLLM.

    Args:
        checkpoint: Its settings and tokenizer.
        llm: vLLM's `LLM` with this package's processor.
    """

    llm: Any

    @classmethod
    def load(cls, config: ExperimentConfig) -> VllmEngine:
        """Start vLLM, which takes a minute: mistakes in the policies are told before.

        Raises:
            ModelError: No such model, vLLM is not installed, or it cannot couple the draws of policies as the configuration wants.
            ConfigError, PolicyError: As `requests_of`.
        """
        checkpoint = Checkpoint.read(model_spec(config.model))
        requests_of(config, checkpoint.tokenizer)
        llm = start(config)
        if config.coupled and not llm.llm_engine.vllm_config.use_v2_model_runner:
            raise ModelError(
                "coupled: vLLM runs its Model Runner V1 here, which promises no noise that policies share; V2 does (a GPU with "
                "Triton), and so does `engine: transformers`"
            )
        return cls(checkpoint, llm)

    def draw(self, rows: Sequence[DecodeRow], policies: Sequence[Any], options: DrawOptions) -> Iterator[Decoded]:
        """Continue every row; `on_tokens` is called after every step of vLLM."""
        return decode_with_vllm(
            self.llm,
            rows,
            policies,
            max_new_tokens=options.max_new_tokens,
            eos_token_ids=self.checkpoint.eos_token_ids,
            on_tokens=options.on_tokens,
        )

    @property
    def independent_rows(self) -> bool:
        """False: what vLLM computes together moves last bits."""
        return False

    def describe(self) -> dict[str, Any]:
        """The configuration of the model: its weights are inside vLLM."""
        return self.checkpoint.describe("vllm")


def start(config: ExperimentConfig) -> Any:
    """vLLM's `LLM` on the model of the configuration, with this package's processor.

    Raises:
        ModelError: vLLM is not installed.
    """
    try:
        from vllm import LLM
    except ImportError as error:
        raise ModelError(
            f"engine: vllm cannot be imported ({error}); it needs an environment of its own: scripts/setup_vllm.sh makes one"
        ) from error
    spec, given = model_spec(config.model), config.engine_options
    options = {name: getattr(given, name) for name in ENGINE_FIELDS} | spec.tokenizer_options
    options |= {name: value for name in OPTIONAL_FIELDS if (value := getattr(given, name)) is not None}
    return LLM(model=model_path(spec.name), logits_processors=[PROCESSOR], seed=config.seed, **options)


def decode_with_vllm(
    llm: Any,
    rows: Sequence[DecodeRow],
    requests: Sequence[Any],
    *,
    max_new_tokens: int,
    eos_token_ids: Sequence[int],
    on_tokens: Callable[[int], None] = ignore,
) -> Iterator[Decoded]:
    """Continue every row with its policy; `requests[row.policy]` describes it (None: the model's own distribution)."""
    engine = llm.llm_engine
    drawn: dict[str, int] = {}  # tokens so far of every row that is under way
    for index, row in enumerate(rows):
        params = sampling_params(of_text(requests[row.policy], row.seed), row.seed, max_new_tokens, eos_token_ids)
        engine.add_request(str(index), {"prompt_token_ids": list(row.prompt_ids)}, params)
        drawn[str(index)] = 0
    try:
        while drawn:
            outputs = engine.step()
            on_tokens(_count_new(outputs, drawn))
            for output in outputs:
                if output.finished:
                    del drawn[output.request_id]
                    text = output.outputs[0]
                    log_prob = float(text.cumulative_logprob)
                    yield as_row(int(output.request_id), text.token_ids, text.finish_reason, log_prob)
    finally:
        if drawn:
            engine.abort_request(sorted(drawn))


def _count_new(outputs: Sequence[Any], drawn: dict[str, int]) -> int:
    """Tokens of these outputs beyond those in `drawn`, which is brought up to date."""
    new = 0
    for output in outputs:
        tokens = len(output.outputs[0].token_ids)
        new += tokens - drawn[output.request_id]
        drawn[output.request_id] = tokens
    return new


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
