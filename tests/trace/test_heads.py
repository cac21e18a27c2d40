"""The head that is cut off from a model gives the model's own scores, whatever stands between hidden states and scores."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import torch
import transformers
from torch import Tensor, nn

from temp_processors.policies.adaptive import DynamicTemperatureLogitsWarper
from temp_processors.trace.log_probs import policy_log_probs
from tests.models import VOCABULARY, tiny_llama, tiny_t5

peft = pytest.importorskip("peft", reason="peft is not installed, as in the environment of vLLM")
pytestmark = pytest.mark.filterwarnings("ignore:`is_gradient_checkpointing` is deprecated:FutureWarning")  # by peft
TEXT = torch.tensor([[3, 5, 9, 7, 7, 3, 2], [4, 8, 6, 2, 4, 9, 11]])
POLICY = DynamicTemperatureLogitsWarper(0.8, 0.5)
SMALL = {"vocab_size": VOCABULARY, "hidden_size": 16, "num_hidden_layers": 1, "num_attention_heads": 2}
WIDE = {**SMALL, "intermediate_size": 32, "head_dim": 8, "num_key_value_heads": 1}
ENDS = {"bos_token_id": 1, "eos_token_id": 1, "pad_token_id": 0}


def built(name: str, **fields: Any) -> Any:
    """A random causal model, loud enough that its distributions are far from uniform."""
    torch.manual_seed(0)
    config = transformers.AutoConfig.for_model(name, **{**ENDS, **fields})
    model = transformers.AutoModelForCausalLM.from_config(config).eval()
    with torch.no_grad():
        for weight in model.parameters():
            weight.normal_(std=0.4)
    return model


def with_lora(target: str, **more: Any) -> Any:
    config = peft.LoraConfig(target_modules=[target], init_lora_weights=False, task_type="CAUSAL_LM", **more)
    return peft.get_peft_model(tiny_llama(), config)


def with_prompt_tuning() -> Any:
    return peft.get_peft_model(
        tiny_llama(), peft.PromptTuningConfig(task_type="CAUSAL_LM", num_virtual_tokens=3)
    ).eval()


MODELS: dict[str, Callable[[], Any]] = {
    "tied": lambda: tiny_llama(tie_word_embeddings=True),
    "gemma2": lambda: built("gemma2", **WIDE, final_logit_softcapping=2.0),
    "cohere": lambda: built("cohere", **WIDE, logit_scale=0.3),
    "granite": lambda: built("granite", **WIDE, logits_scaling=3.0),
    "gpt2": lambda: built("gpt2", vocab_size=VOCABULARY, n_embd=16, n_layer=1, n_head=2),
    "gptj": lambda: built("gptj", vocab_size=VOCABULARY, n_embd=16, n_layer=1, n_head=2, rotary_dim=4),  # a bias
    "lora on the head": lambda: with_lora("lm_head"),
    "saved head": lambda: with_lora("q_proj", modules_to_save=["lm_head"]),
    "prompt tuning": with_prompt_tuning,
    "gemma3": lambda: built("gemma3_text", **WIDE, final_logit_softcapping=3.0),
    "falcon_h1": lambda: built(
        "falcon_h1", **WIDE, lm_head_multiplier=0.4, mamba_d_ssm=32, mamba_n_heads=4, mamba_d_state=8
    ),
    "opt": lambda: built("opt", **SMALL, ffn_dim=32, word_embed_proj_dim=8),
    "bloom": lambda: built("bloom", vocab_size=VOCABULARY, hidden_size=16, n_layer=1, n_head=2),
    "mamba": lambda: built("mamba", vocab_size=VOCABULARY, hidden_size=16, num_hidden_layers=1),
    "recurrent_gemma": lambda: built(
        "recurrent_gemma", **{**WIDE, "num_hidden_layers": 3}, lru_width=16, logits_soft_cap=2.0
    ),
    "bert": lambda: built("bert", **SMALL, intermediate_size=32, is_decoder=True),
    "modernbert": lambda: built("modernbert-decoder", **SMALL, intermediate_size=32, cls_token_id=1, sep_token_id=1),
    "mixtral": lambda: built("mixtral", **WIDE, num_local_experts=2, output_router_logits=True),
    "qwen3": lambda: built("qwen3", **WIDE),
    "phi": lambda: built("phi", **SMALL, intermediate_size=32),
    "olmo2": lambda: built("olmo2", **SMALL, intermediate_size=32),
}


def straightforward(logits: Tensor, text: Tensor, first: int) -> Tensor:
    scores = logits[:, first - 1 : -1].float()
    return POLICY(text[:, :-1], scores).log_softmax(dim=-1).gather(-1, text[:, first:, None])[..., 0]


def check(model: Any) -> None:
    logits = model(TEXT).logits[:, -TEXT.shape[1] :]
    expected = straightforward(logits, TEXT, 3)
    found = policy_log_probs(model, TEXT, POLICY, 3, chunk_size=2)
    torch.testing.assert_close(found, expected, atol=1e-5, rtol=1e-5)
    names, weights = zip(*[(n, p) for n, p in model.named_parameters() if p.requires_grad], strict=True)
    for name, one, other in zip(
        names,
        torch.autograd.grad(found.square().sum(), weights, allow_unused=True),
        torch.autograd.grad(expected.square().sum(), weights, allow_unused=True),
        strict=True,
    ):
        if other is not None:
            assert one is not None, name
            torch.testing.assert_close(one, other, atol=1e-3 * float(other.abs().max()) + 1e-4, rtol=1e-3, msg=name)


@pytest.mark.parametrize("name", MODELS)
def test_the_scores_are_those_of_the_model(name: str) -> None:
    check(MODELS[name]())


def tiny_bart() -> Any:
    torch.manual_seed(0)
    names = ("encoder_ffn_dim", "decoder_ffn_dim", "d_model")
    counts = dict.fromkeys(("encoder_layers", "decoder_layers"), 1) | dict.fromkeys(
        ("encoder_attention_heads", "decoder_attention_heads"), 2
    )
    config = transformers.BartConfig(vocab_size=VOCABULARY, **dict.fromkeys(names, 16), **counts, init_std=0.5)
    model = transformers.BartForConditionalGeneration(config).eval()
    model.final_logits_bias.normal_()
    return model


@pytest.mark.parametrize("make", [tiny_t5, lambda: tiny_t5(tie_word_embeddings=False), tiny_bart])
def test_encoder_decoders(make: Callable[[], Any]) -> None:
    model = make()
    answer = torch.cat([torch.zeros(2, 1, dtype=torch.long), TEXT[:, :4]], dim=1)
    source = {"input_ids": TEXT, "attention_mask": torch.tensor([[1] * 7, [1] * 5 + [0] * 2])}
    expected = straightforward(model(**source, decoder_input_ids=answer).logits, answer, 1)
    found = policy_log_probs(model, answer, POLICY, 1, model_inputs=source, chunk_size=2)
    torch.testing.assert_close(found, expected, atol=1e-5, rtol=1e-5)
    with pytest.raises(ValueError, match="needs the source text too"):
        policy_log_probs(model, answer, POLICY, 1)


def test_a_wrapped_model_is_found_inside() -> None:
    class Wrapper(nn.Module):
        def __init__(self, module: nn.Module) -> None:
            super().__init__()
            self.module = module

        def forward(self, **inputs: Any) -> Any:
            return self.module(**inputs)

    model = tiny_llama()
    found = policy_log_probs(Wrapper(model), TEXT, POLICY, 3)
    torch.testing.assert_close(found, policy_log_probs(model, TEXT, POLICY, 3))


class Restless(transformers.LlamaForCausalLM):
    """Scores that are made of more than hidden states."""

    def forward(self, input_ids: Tensor, **more: Any) -> Any:
        output = super().forward(input_ids, **more)
        output.logits = output.logits + input_ids.sum()
        return output


def test_scores_of_more_than_hidden_states_are_refused_with_the_way_out() -> None:
    model = tiny_llama()
    model.__class__ = Restless
    with pytest.raises(
        ValueError, match=r"Restless are not made of its last hidden states alone: .* torch.nn.Identity"
    ):
        policy_log_probs(model, TEXT, POLICY, 3)


def test_other_models_are_refused_with_the_way_out() -> None:
    for model in (nn.Linear(2, 2), tiny_llama().model, "gpt2"):
        with pytest.raises(
            ValueError, match=r"has to be a language model of transformers, .* log_probs_from_hidden\(\)"
        ):
            policy_log_probs(model, TEXT, POLICY, 3)
