"""Continuous batching: `generate_batch` with the policies that can, and a named refusal of those that cannot."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from transformers import ContinuousBatchingConfig, GenerationConfig, LlamaForCausalLM, WatermarkingConfig

from temp_processors import (
    DynamicTemperatureLogitsWarper,
    EDTLogitsWarper,
    EntropyTargetLogitsWarper,
    FixedTemperatureLogitsWarper,
    PhaseLogitsWarper,
    PolicyLogitsWarper,
    ProductLogitsWarper,
    QuadraticLogitsWarper,
    ScheduledTemperatureLogitsWarper,
)
from temp_processors.serving.continuous import with_policy
from temp_processors.trace.log_probs import policy_log_probs
from tests.models import tiny_llama

PROMPTS = [[1, 5, 9], [1, 8], [1, 3, 7, 2]]
FIXED, DYNAMIC = FixedTemperatureLogitsWarper(0.5), DynamicTemperatureLogitsWarper(0.8, 0.5)


@pytest.fixture(scope="module")
def model() -> LlamaForCausalLM:
    return tiny_llama()


def batched(model: Any, policy: PolicyLogitsWarper | None, **arguments: Any) -> list[Any]:
    """The results of `generate_batch`, in the order of the prompts; a small cache, so that a call takes a second."""
    config = GenerationConfig(do_sample=True, top_k=0, max_new_tokens=6, eos_token_id=-1)
    if policy is not None:
        config = with_policy(config, policy)
    sizes = {"num_blocks": 8, "page_size": 32, "max_batch_tokens": 32, "max_memory_percent": 0.1}
    batching = ContinuousBatchingConfig(**sizes, use_async_batching=False, return_logprobs=True, seed=0)
    out = model.generate_batch(
        PROMPTS, generation_config=config, continuous_batching_config=batching, warmup=False, **arguments
    )
    return [out[name] for name in sorted(out)]


@pytest.mark.parametrize(
    "policy",
    [
        FIXED,
        DYNAMIC,
        EDTLogitsWarper(1.0, 0.3),
        EntropyTargetLogitsWarper(1.0, 0.01, 100.0),
        QuadraticLogitsWarper(0.3),
    ],
    ids=lambda policy: type(policy).__name__,
)
def test_tokens_are_drawn_under_the_policy(model: Any, policy: PolicyLogitsWarper) -> None:
    for prompt, result in zip(PROMPTS, batched(model, policy), strict=True):
        text = torch.tensor([prompt + result.generated_tokens])
        expected = policy_log_probs(model, text, policy, len(prompt))[0].detach()
        torch.testing.assert_close(torch.tensor(result.logprobs), expected, atol=1e-4, rtol=0)


def test_temperature_zero_is_greedy_decoding(model: Any) -> None:
    for prompt, result in zip(PROMPTS, batched(model, FixedTemperatureLogitsWarper(0)), strict=True):
        greedy = model.generate(torch.tensor([prompt]), max_new_tokens=6, do_sample=False, pad_token_id=0)
        assert prompt + result.generated_tokens == greedy[0].tolist()


@pytest.mark.parametrize(
    "policy",
    [
        FixedTemperatureLogitsWarper([0.5, 1.0]),
        ScheduledTemperatureLogitsWarper("linear", 1.5, 0.5, 4),
        PhaseLogitsWarper([1], [2], FIXED, DYNAMIC),
        ProductLogitsWarper([DYNAMIC, ScheduledTemperatureLogitsWarper("linear", 1.5, 0.5, 4)]),
    ],
    ids=lambda policy: type(policy).__name__,
)
def test_policies_that_need_the_text_are_refused(policy: PolicyLogitsWarper) -> None:
    with pytest.raises(ValueError, match=rf"{type(policy).__name__} needs the whole text .*: use generate\(\)"):
        with_policy(GenerationConfig(), policy)


def test_a_watermark_is_not_overwritten() -> None:
    with pytest.raises(ValueError, match="has a watermark"):
        with_policy(GenerationConfig(watermarking_config=WatermarkingConfig()), FIXED)


def test_a_processor_in_the_call_is_dropped_without_a_word(model: Any) -> None:
    """The reason for `with_policy`: what transformers does with `logits_processor` here, so that a change shows."""
    plain = [result.generated_tokens for result in batched(model, None)]
    ignored = [r.generated_tokens for r in batched(model, None, logits_processor=[FixedTemperatureLogitsWarper(0)])]
    assert plain == ignored
