"""Log-probabilities at known temperatures, a few entries of the vocabulary at a time, are those of the whole computation."""

from __future__ import annotations

import pytest
import torch
from transformers import Gemma2Config, Gemma2ForCausalLM

from temp_processors.trace import one_pass
from temp_processors.trace.heads import new_token_states
from tests.models import tiny_llama


@pytest.mark.parametrize(("block", "rows"), [(1, 1), (12, 2), (12, 5), (1 << 20, 1024)])
def test_blocks_do_not_show(block: int, rows: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(one_pass, "BLOCK", {"cpu": block})
    monkeypatch.setattr(one_pass, "TOKENS", rows)
    generator = torch.Generator().manual_seed(0)
    hidden, head = (torch.randn(n, 4, generator=generator, dtype=torch.float64).requires_grad_() for n in (5, 23))
    tokens, temperature = torch.tensor([0, 22, 11, 3, 3]), torch.tensor([[0.1], [1.0], [0.5], [2.0], [30.0]]).double()
    expected = (hidden @ head.T / temperature).log_softmax(dim=-1).gather(-1, tokens[:, None])[:, 0]
    found = one_pass.log_probs_at(hidden, head, tokens, temperature)
    torch.testing.assert_close(found, expected, rtol=1e-12, atol=1e-12)
    weights = torch.linspace(-1.0, 2.0, 5, dtype=torch.float64)
    for one, other in zip(
        *(torch.autograd.grad((value * weights).sum(), (hidden, head)) for value in (found, expected)), strict=True
    ):
        torch.testing.assert_close(one, other, rtol=1e-12, atol=1e-12)


def test_half_precision_is_added_up_in_float32() -> None:
    hidden, head = torch.randn(3, 8).bfloat16().requires_grad_(), torch.randn(40, 8).bfloat16().requires_grad_()
    found = one_pass.log_probs_at(hidden, head, torch.tensor([1, 2, 3]), torch.full((3, 1), 0.5))
    expected = ((hidden @ head.T).float() / 0.5).log_softmax(dim=-1)[torch.arange(3), torch.tensor([1, 2, 3])]
    torch.testing.assert_close(found, expected, rtol=1e-5, atol=1e-5)
    assert [part.dtype for part in torch.autograd.grad(found.sum(), (hidden, head))] == [torch.bfloat16] * 2


def test_only_a_head_that_is_a_product_and_nothing_else_is_taken_for_its_weight() -> None:
    text, plain = torch.tensor([[1, 2, 3, 4]]), tiny_llama()
    assert new_token_states(plain, text, 1).weight is plain.lm_head.weight
    size = {"hidden_size": 8, "intermediate_size": 8, "num_hidden_layers": 1, "head_dim": 4}
    capped = Gemma2ForCausalLM(
        Gemma2Config(**size, vocab_size=32, num_attention_heads=2, num_key_value_heads=1, final_logit_softcapping=0.1)
    )
    assert new_token_states(capped.eval(), text, 1).weight is None
