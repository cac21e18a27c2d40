"""A policy that counts steps from another token than the prompt's end is found."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from transformers import LogitsProcessor, WhisperConfig, WhisperForConditionalGeneration

from temp_processors import (
    AnnealedTemperatureLogitsWarper,
    BlockStartLogitsWarper,
    ChainLogitsWarper,
    DynamicTemperatureLogitsWarper,
    FixedTemperatureLogitsWarper,
    PhaseLogitsWarper,
    PolicyLogitsWarper,
    ProductLogitsWarper,
    RowsLogitsWarper,
    ScheduledTemperatureLogitsWarper,
    SeededSampling,
    TemperatureTrace,
    TopPDecayLogitsWarper,
    TruncateThenTemperLogitsWarper,
    audit,
    plain_sampling_kwargs,
)
from temp_processors.custom_generate import generate_with_policy
from tests.models import tiny_llama, tiny_t5

COSINE = ScheduledTemperatureLogitsWarper("cosine", start=1.5, end=0.3, steps=16)
FIXED = FixedTemperatureLogitsWarper(0.5)
PROMPT = torch.full((2, 20), 7)


class Cooling(PolicyLogitsWarper):
    """A policy of a user."""

    def temperature(self, input_ids: torch.Tensor, scores: torch.Tensor) -> torch.Tensor:
        return 1.0 / (1.0 + self.steps(input_ids, scores))


COUNTING: dict[str, Any] = {
    "cosine": COSINE,
    "annealed": AnnealedTemperatureLogitsWarper(decay=30),
    "top_p_decay": TopPDecayLogitsWarper(),
    "product": ProductLogitsWarper([FIXED, COSINE]),
    "phase": PhaseLogitsWarper(open_ids=[1], close_ids=[2], inside=FIXED, outside=COSINE),
    "truncated": TruncateThenTemperLogitsWarper(COSINE, top_k=5),
    "chain": ChainLogitsWarper([FIXED, COSINE]),
    "rows": RowsLogitsWarper([COSINE, FIXED]),
    "own": Cooling(),
    "traced": TemperatureTrace(COSINE),
}
OTHERS: dict[str, Any] = {
    "fixed": FIXED,
    "per row": FixedTemperatureLogitsWarper([0.5, 1.0]),
    "dynamic": DynamicTemperatureLogitsWarper(1.0, 0.5),
    "constant": ScheduledTemperatureLogitsWarper("constant", 0.8),
    "block start": BlockStartLogitsWarper(newline_ids=1, indent_ids=2),
    "another's": LogitsProcessor(),
}


def lines(policy: Any, **call: Any) -> list[str]:
    found = audit(tiny_llama(), None, [policy], **{**plain_sampling_kwargs(), **call})
    return [finding.message for finding in found.findings if finding.code == "prompt-length"]


@pytest.mark.parametrize("policy", COUNTING.values(), ids=COUNTING)
def test_a_forgotten_prompt_length_is_found(policy: Any) -> None:
    (line,) = lines(policy, input_ids=PROMPT)
    assert line.startswith(f"{type(policy).__name__} counts steps from another token than the prompt's end")
    assert line.endswith("before the first new token there are 20; pass prompt_length=20")
    if isinstance(policy, PolicyLogitsWarper):
        assert lines(policy.with_prompt_length(20), input_ids=PROMPT) == []
        assert lines(policy.with_prompt_length(torch.tensor([20, 20])), input_ids=PROMPT) == []
        assert len(lines(policy.with_prompt_length(19), input_ids=PROMPT)) == 1
        assert len(lines(policy.with_prompt_length(21), input_ids=PROMPT)) == 1


@pytest.mark.parametrize("policy", OTHERS.values(), ids=OTHERS)
def test_policies_that_count_nothing_need_none(policy: Any) -> None:
    assert lines(policy, input_ids=PROMPT) == []


def test_without_an_input_a_policy_that_was_told_nothing_is_found() -> None:
    (line,) = lines(COSINE)
    assert line == (
        "ScheduledTemperatureLogitsWarper counts steps from token 0, right for inputs_embeds alone; "
        "pass prompt_length=inputs['input_ids'].shape[-1]"
    )
    assert lines(COSINE.with_prompt_length(20)) == []


def test_with_inputs_embeds_the_prompt_has_no_tokens() -> None:
    embeds = torch.zeros(1, 4, 16)
    assert lines(COSINE, inputs_embeds=embeds) == []
    (line,) = lines(COSINE.with_prompt_length(torch.tensor([5])), inputs_embeds=embeds)
    assert line.endswith("there are 0; pass prompt_length=0")


def test_samples_and_beams_multiply_the_rows() -> None:
    assert lines(COSINE.with_prompt_length(torch.full((6,), 20)), input_ids=PROMPT, num_return_sequences=3) == []
    assert len(lines(COSINE, input_ids=PROMPT, num_beams=2)) == 1


def test_an_encoder_decoder_begins_with_its_start_token() -> None:
    model = tiny_t5()
    for length, codes in ((0, ("prompt-length",)), (1, ()), (3, ("prompt-length",))):
        policy = COSINE.with_prompt_length(length)
        assert audit(model, None, [policy], input_ids=torch.full((1, 3), 7), **plain_sampling_kwargs()).codes == codes


@pytest.fixture(scope="module")
def whisper() -> Any:
    sizes: dict[str, Any] = {"vocab_size": 99, "d_model": 16, "num_mel_bins": 8, "max_source_positions": 30}
    layers = dict.fromkeys(("encoder_layers", "decoder_layers"), 1)
    heads = dict.fromkeys(("encoder_attention_heads", "decoder_attention_heads"), 2)
    tokens = {"pad_token_id": 0, "bos_token_id": 1, "eos_token_id": 2, "decoder_start_token_id": 3}
    model = WhisperForConditionalGeneration(
        WhisperConfig(**sizes, **layers, **heads, **tokens, max_target_positions=60)
    ).eval()
    settings = {"is_multilingual": True, "lang_to_id": {"<|en|>": 90}, "task_to_id": {"transcribe": 91}}
    for name, value in {**settings, "no_timestamps_token_id": 92, "suppress_tokens": None}.items():
        setattr(model.generation_config, name, value)
    return model


SPEECH: dict[str, Any] = {"input_features": torch.zeros(1, 8, 60), "language": "en", "task": "transcribe"}


def test_the_decoder_of_whisper_begins_with_four_tokens(whisper: Any) -> None:
    def found(policy: Any) -> list[str]:
        result = audit(whisper, None, [policy], **SPEECH, **plain_sampling_kwargs())
        return [finding.message for finding in result.findings if finding.code == "prompt-length"]

    assert found(COSINE.with_prompt_length(4)) == []
    (line,) = found(COSINE.with_prompt_length(1))
    assert line.endswith("there are 4; pass prompt_length=4")


def test_the_recipe_counts_the_decoder_prompt_of_whisper(whisper: Any) -> None:
    lengths: list[int] = []

    class Heard(LogitsProcessor):  # type: ignore[misc]
        def __call__(self, input_ids: torch.Tensor, scores: torch.Tensor) -> torch.Tensor:
            lengths.append(input_ids.shape[-1])
            return scores

    cooling = {"kind": "scheduled", "shape": "piecewise", "points": [[0, 0], [1, 1]]}
    texts = [
        generate_with_policy(whisper, cooling, seeds=seed, logits_processor=[Heard()], max_new_tokens=3, **SPEECH)
        for seed in range(4)
    ]
    assert min(lengths) == 4
    assert len({int(text[0, 0]) for text in texts}) == 1, "step 0 is greedy"
    assert len({tuple(text[0].tolist()) for text in texts}) > 1


def test_seeded_sampling_is_no_policy() -> None:
    assert lines(SeededSampling([1, 2]), input_ids=PROMPT, do_sample=False) == []
