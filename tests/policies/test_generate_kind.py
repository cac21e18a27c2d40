"""`kind: generate` against `model.generate(do_sample=True, ...)`: the same tokens under the same draw."""

from __future__ import annotations

import random
from typing import Any

import pytest
import torch
from transformers import GenerationConfig

from temp_processors import GenerateLogitsWarper, build_policy, plain_sampling_kwargs
from temp_processors.audit.neutral import SAMPLING_FIELDS
from temp_processors.policies.kinds import KINDS
from tests.models import VOCABULARY, tiny_llama

PROMPT = torch.tensor([[5, 6, 7, 5, 6, 7], [0, 0, 9, 6, 9, 6], [0, 0, 0, 0, 0, 8], [11, 7, 11, 7, 11, 7]])
MASK = (PROMPT != 0).long()
PENALTY = {"kind": "generate", "repetition_penalty": 1.4, "no_repeat_ngram_size": 2, "suppress_tokens": [4, 5]}


def random_settings(count: int) -> list[dict[str, Any]]:
    """Each field is in with a chance of about a third, with a value over its range, ends among them."""
    dice = random.Random(11)
    fields: dict[str, Any] = {
        "temperature": lambda: round(dice.uniform(0.2, 2.5), 3),
        "top_h": lambda: round(dice.uniform(0.2, 1.0), 3),
        "top_k": lambda: dice.choice([0, 1, 3, 20, 500]),
        "top_p": lambda: dice.choice([1.0, 0.0, round(dice.uniform(0.1, 1.0), 3)]),
        "min_p": lambda: dice.choice([0.0, round(dice.uniform(0.0, 0.3), 3)]),
        "typical_p": lambda: dice.choice([1.0, round(dice.uniform(0.1, 0.99), 3)]),
        "epsilon_cutoff": lambda: dice.choice([0.0, 3e-4, 0.05]),
        "eta_cutoff": lambda: dice.choice([0.0, 3e-4, 0.05]),
        "repetition_penalty": lambda: dice.choice([1.0, 1.05, 1.3, 0.8]),
        "no_repeat_ngram_size": lambda: dice.choice([0, 2, 3]),
        "suppress_tokens": lambda: dice.sample(range(1, VOCABULARY), 3),
    }
    return [{name: make() for name, make in fields.items() if dice.random() < 0.35} for _ in range(count)]


@pytest.mark.parametrize("count", [30, pytest.param(200, marks=pytest.mark.slow)])
def test_the_tokens_of_generate(count: int) -> None:
    """Rows with padding on the left among them; no setting is left out."""
    model = tiny_llama()
    shared = {"attention_mask": MASK, "max_new_tokens": 8, "do_sample": True, "pad_token_id": 0}
    texts = set()
    for seed, setting in enumerate(random_settings(count)):
        torch.manual_seed(seed)
        theirs = model.generate(PROMPT, **shared, **setting)
        torch.manual_seed(seed)
        policy = build_policy({"kind": "generate", "pad_ids": [0], **setting}, prompt_length=PROMPT.shape[1])
        ours = model.generate(PROMPT, logits_processor=[policy], **{**plain_sampling_kwargs(), **shared})
        assert torch.equal(ours, theirs), setting
        texts.add(tuple(ours.flatten().tolist()))
    assert len(texts) > count * 0.8


def test_the_defaults_are_those_of_the_library() -> None:
    """What is left out means the same as in a call of `generate`, on a checkpoint that says nothing."""
    library = GenerationConfig()._get_default_generation_params()
    for name, info in KINDS["generate"].model_fields.items():
        if name in SAMPLING_FIELDS:
            off = SAMPLING_FIELDS[name].off
            theirs = library.get(name, off[0])
            assert info.default == theirs or (theirs in off and (info.default in off or info.default == ()))


def test_a_row_beside_a_longer_one_is_that_row_alone() -> None:
    """Padding as -1 (the engine lays rows out so) or as a pad token; one step and several."""
    scores = torch.randn(4, 3, VOCABULARY, generator=torch.Generator().manual_seed(1)) * 3
    for pad in (-1, 0):
        policy = build_policy({**PENALTY, "pad_ids": [0]})
        ids = PROMPT.masked_fill(PROMPT == 0, pad)
        together, deep = policy(ids, scores[:, 0]), policy(ids, scores)
        for row in range(4):
            alone = PROMPT[row, MASK[row].argmax() :][None]
            torch.testing.assert_close(together[row], policy(alone, scores[row : row + 1, 0])[0])
            for step in range(3):
                torch.testing.assert_close(
                    deep[row : row + 1, step], policy(ids[row : row + 1, : 4 + step], scores[row : row + 1, step])
                )


def test_penalties_take_the_contract_as_far_as_they_go() -> None:
    policy = build_policy(PENALTY)
    assert (policy.supports_continuous_batching, policy.only_scales, policy.keeps_best) == (False, False, False)
    assert GenerateLogitsWarper(0.6, top_k=3).supports_continuous_batching
    scores = torch.randn(4, VOCABULARY)
    scores[1, :9], scores[2, 3] = -torch.inf, torch.nan
    before = scores.clone()
    result = policy(PROMPT, scores)
    assert torch.equal(scores.nan_to_num(), before.nan_to_num())
    assert torch.isneginf(result[1, :9]).all()
    assert torch.isnan(result[2]).any()
    assert not torch.isnan(result[[0, 1, 3]]).any()
    assert torch.isnan(policy.temperature(PROMPT, scores)).all()


@pytest.mark.parametrize(
    ("field", "message"),
    [
        ({"temperature": 0}, "temperature: has to be a number > 0, but is 0"),
        ({"top_p": 1.2}, r"top_p: has to be a number in \[0, 1\], but is 1.2"),
        ({"top_k": None}, "top_k: has to be a whole number, .* but is None"),
        ({"repetition_penality": 1.1}, "did you mean 'repetition_penalty'"),
        ({"min_new_tokens": 3}, "min_new_tokens: not a field of 'generate'"),
    ],
)
def test_refused(field: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        build_policy({"kind": "generate", **field})
