"""Policies in mlx-lm itself, on a small random Llama; in the environment of `scripts/setup_engine.sh mlx`."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch

from temp_processors import build_policy
from temp_processors.integrations.mlx import processor, sampling
from temp_processors.serving.rows import PolicyError

pytestmark = pytest.mark.mlx
mx = pytest.importorskip("mlx.core")
pytest.importorskip("mlx_lm")

DYNAMIC = {"kind": "dynamic", "temperature": 1.0, "range": 0.9}
COOLING = {"kind": "scheduled", "shape": "linear", "start": 1.5, "end": 0.5, "steps": 4}
CHAIN = {"kind": "chain", "steps": [{"kind": "top_k", "top_k": 20}, {"kind": "edt", "temperature": 1.0, "theta": 0.5}]}


@pytest.fixture(scope="module")
def model() -> Any:
    from mlx_lm.models.llama import Model, ModelArgs

    mx.random.seed(0)
    settings = ModelArgs(
        model_type="llama", hidden_size=32, num_hidden_layers=2, intermediate_size=64, num_attention_heads=4, num_key_value_heads=2,
        rms_norm_eps=1e-5, vocab_size=64, rope_theta=10000.0, tie_word_embeddings=True,
    )  # fmt: skip
    return Model(settings)


def drawn(model: Any, prompt: list[int], seed: int = 0, **arguments: Any) -> list[int]:
    from mlx_lm.generate import generate_step

    mx.random.seed(seed)
    return [int(token) for token, _ in generate_step(mx.array(prompt), model, max_tokens=8, **arguments)]


@pytest.mark.parametrize("policy", [DYNAMIC, COOLING, CHAIN], ids=lambda policy: policy["kind"])
@pytest.mark.parametrize("dtype", ["float32", "float16", "bfloat16"])
def test_scores_are_those_of_the_policy_in_one_text_after_another(
    policy: dict[str, Any], dtype: str, model: Any
) -> None:
    apply, seen = processor(policy), []

    def spy(tokens: Any, logits: Any) -> Any:
        logits = logits.astype(getattr(mx, dtype))
        out = apply(tokens, logits)
        assert out.dtype == logits.dtype
        seen.append((np.array(tokens), np.array(logits.astype(mx.float32)), np.array(out.astype(mx.float32))))
        return out

    for prompt in ([5, 6, 7], [8, 9, 10, 11, 12], [5, 6, 7]):
        seen.clear()
        drawn(model, prompt, **{**sampling(policy), "logits_processors": [spy]})
        built = build_policy(policy, prompt_length=len(prompt))
        assert [len(tokens) for tokens, _, _ in seen][:8] == list(range(len(prompt), len(prompt) + 8))
        for tokens, scores, out in seen:
            rows = torch.from_numpy(tokens.astype(np.int64))[None]
            wanted = built(rows, torch.from_numpy(scores)).numpy()
            np.testing.assert_allclose(out, wanted, rtol=1e-6 if dtype == "float32" else 1e-2)


def test_scores_are_read_where_mlx_holds_them() -> None:
    logits = mx.random.normal((1, 64))
    mx.eval(logits)
    one, other = (np.array(logits, copy=False) for _ in range(2))
    assert np.shares_memory(one, other)


def test_the_policy_acts_alone_and_mlx_draws(model: Any) -> None:
    from mlx_lm.sample_utils import make_sampler

    for temperature in (1.0, 0.5):
        own = drawn(model, [5, 6, 7], sampler=make_sampler(temp=temperature))
        assert drawn(model, [5, 6, 7], **sampling({"kind": "fixed", "temperature": temperature})) == own
    constant = [drawn(model, [5, 6, 7], seed, **sampling({"kind": "fixed", "temperature": 1.0})) for seed in range(4)]
    dynamic = [drawn(model, [5, 6, 7], seed, **sampling(DYNAMIC)) for seed in range(4)]
    assert constant != dynamic
    assert dynamic == [drawn(model, [5, 6, 7], seed, **sampling(DYNAMIC)) for seed in range(4)]


def test_a_bad_policy() -> None:
    with pytest.raises(PolicyError, match="temperature"):
        processor({"kind": "fixed", "temperature": -1.0})
