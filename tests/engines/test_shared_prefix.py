"""Rows that share their prompt's keys and values draw what rows with copies of them draw."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from transformers import (
    AutoModelForCausalLM,
    GPT2Config,
    LlamaConfig,
    MistralConfig,
    PreTrainedModel,
    Qwen2Config,
    T5Config,
    T5ForConditionalGeneration,
)

from temp_processors import FOX_PATH, FixedTemperatureLogitsWarper
from temp_processors.engines.decoding import shared_prefix
from temp_processors.engines.decoding.decode import decode
from temp_processors.engines.decoding.prefill import prefill
from temp_processors.engines.decoding.shared_prefix import (
    FEWEST_ROWS,
    NAME,
    SharedPrefixLayer,
    sharing_view,
    view_of,
)
from temp_processors.engines.engine import DecodeRow

VOCABULARY = 97
SHAPE = {"hidden_size": 48, "intermediate_size": 64, "num_hidden_layers": 2, "num_attention_heads": 6}
PROMPTS = [tuple(range(5, 5 + length)) for length in (80, 73, 80)]
CONFIGS = {
    "llama": LlamaConfig(vocab_size=VOCABULARY, **SHAPE),
    "grouped queries": LlamaConfig(vocab_size=VOCABULARY, num_key_value_heads=2, **SHAPE),
    "qwen2": Qwen2Config(vocab_size=VOCABULARY, num_key_value_heads=3, **SHAPE),
    "gpt2": GPT2Config(vocab_size=VOCABULARY, n_embd=48, n_layer=2, n_head=3, n_positions=128),
}


def random_model(config: Any) -> PreTrainedModel:
    """Weights larger than usual, so that the distributions have a shape, in float64, so that rounding cannot decide."""
    torch.manual_seed(0)
    model = AutoModelForCausalLM.from_config(config).eval().double()
    with torch.no_grad():
        for weight in model.parameters():
            if weight.ndim > 1:
                weight.mul_(4.0)
    return model


def rows_of(prompts: list[tuple[int, ...]], each: int) -> list[DecodeRow]:
    return [DecodeRow(prompt, policy % 2, 7 * policy) for prompt in prompts for policy in range(each)]


def drawn(model: Any, rows: list[DecodeRow]) -> list[tuple[Any, ...]]:
    policies = [lambda _: FixedTemperatureLogitsWarper(0.8), lambda _: FixedTemperatureLogitsWarper(1.6)]
    found = decode(model, rows, policies, max_new_tokens=24, eos_token_ids=[1, 2, 3, 4], pad_token_id=0)
    return sorted((done.row, tuple(done.token_ids), done.finish_reason, round(done.log_prob, 6)) for done in found)


@pytest.mark.parametrize("prompts", [PROMPTS[:1], PROMPTS[:2]], ids=["one prompt", "two, one of them padded"])
@pytest.mark.parametrize("config", CONFIGS.values(), ids=CONFIGS)
def test_shared_or_copied_the_rows_are_the_same(
    config: Any, prompts: list[tuple[int, ...]], monkeypatch: pytest.MonkeyPatch
) -> None:
    model, rows = random_model(config), rows_of(prompts, 64)
    attended: list[int] = []
    plain = SharedPrefixLayer.attend

    def counted(layer: SharedPrefixLayer, query: Any, *rest: Any) -> Any:
        attended.append(len(query))
        return plain(layer, query, *rest)

    monkeypatch.setattr(SharedPrefixLayer, "attend", counted)
    shared = drawn(model, rows)
    assert len(rows) in attended
    assert min(attended) < len(rows), "rows that ended have left"
    attended.clear()
    monkeypatch.setattr(shared_prefix, "WORTH_SHARING", 10**9)
    assert drawn(model, rows) == shared
    assert not attended
    assert model.config._attn_implementation == "sdpa"


def test_the_shipped_model_shares() -> None:
    model = AutoModelForCausalLM.from_pretrained(FOX_PATH).eval()
    start = prefill(model, PROMPTS[:1], max_new_tokens=4, pad_token_id=0)
    assert sharing_view(model, start, torch.zeros(64, dtype=torch.long)) is not None


def test_few_rows_or_short_prompts_are_not_worth_it() -> None:
    model = random_model(CONFIGS["llama"])
    start = prefill(model, PROMPTS, max_new_tokens=4, pad_token_id=0)
    assert sharing_view(model, start, torch.arange(3).repeat(FEWEST_ROWS - 1)) is None
    short = prefill(model, [(5, 6)], max_new_tokens=4, pad_token_id=0)
    assert sharing_view(model, short, torch.zeros(64, dtype=torch.long)) is None


SLIDING = MistralConfig(vocab_size=VOCABULARY, num_key_value_heads=2, sliding_window=16, **SHAPE)


def test_a_sliding_window_is_not_shared() -> None:
    model = random_model(SLIDING)
    start = prefill(model, PROMPTS[:1], max_new_tokens=4, pad_token_id=0)
    assert sharing_view(model, start, torch.zeros(64, dtype=torch.long)) is None


def test_an_encoder_decoder_is_not_shared() -> None:
    torch.manual_seed(0)
    sizes = {"d_model": 32, "d_kv": 8, "d_ff": 48, "num_layers": 2, "num_heads": 4}
    model = T5ForConditionalGeneration(T5Config(vocab_size=VOCABULARY, decoder_start_token_id=0, **sizes)).eval()
    start = prefill(model, PROMPTS[:1], max_new_tokens=4, pad_token_id=0)
    assert sharing_view(model, start, torch.zeros(5000, dtype=torch.long)) is None


def test_a_model_that_bends_its_attention_is_found_out() -> None:
    """Here by a mask that hides the first ten tokens: shared attention would not look at it."""
    model = random_model(CONFIGS["llama"])
    for layer in model.model.layers:
        layer.self_attn.register_forward_pre_hook(hide_ten, with_kwargs=True)
    start = prefill(model, PROMPTS[:1], max_new_tokens=4, pad_token_id=0)
    assert sharing_view(model, start, torch.zeros(64, dtype=torch.long)) is None


def hide_ten(module: Any, args: Any, kwargs: dict[str, Any]) -> tuple[Any, dict[str, Any]]:
    """A hook before a layer's attention."""
    width = module.config.max_position_embeddings
    past = kwargs["past_key_values"]
    seen = past.get_seq_length(module.layer_idx) + kwargs["hidden_states"].shape[1]
    mask = torch.zeros(1, 1, 1, min(seen, width), dtype=torch.double)
    mask[..., :10] = -1e9
    return args, {**kwargs, "attention_mask": mask}


def test_outside_of_a_shared_batch_the_attention_is_sdpa() -> None:
    model = random_model(CONFIGS["llama"])
    ids = torch.tensor([PROMPTS[0]])
    with torch.inference_mode():
        view = view_of(model)
        assert view.config._attn_implementation == NAME
        assert torch.equal(view(ids).logits, model(ids).logits)
    assert all(one is other for one, other in zip(view.parameters(), model.parameters(), strict=True))
