"""Rollouts as lists: what each token was drawn with."""

from __future__ import annotations

from typing import Any

import pytest
import torch

from temp_processors.integrations.rollout import as_rollout, left_padded, rollout
from temp_processors.policies.kinds import build_policy
from temp_processors.trace.recompute import trace_tokens
from tests.models import tiny_llama

PROMPTS = [[5, 6, 7], [8], [9, 10]]


@pytest.mark.parametrize(
    "policy",
    [
        {"kind": "scheduled", "shape": "linear", "start": 1.5, "end": 0.5, "steps": 4},
        {"kind": "edt", "temperature": 1.0, "theta": 1.0},
        {"kind": "top_p", "top_p": 0.7},
    ],
    ids=lambda policy: policy["kind"],
)
def test_numbers_are_those_of_the_finished_texts(policy: dict[str, Any]) -> None:
    torch.manual_seed(0)
    model = tiny_llama(eos_token_id=3)
    model.generation_config.update(top_k=2, temperature=0.3)  # a checkpoint's own settings do not act
    drawn = rollout(model, PROMPTS, build_policy(policy), max_new_tokens=9)
    assert drawn.prompt_ids == PROMPTS
    for prompt, new, *values in zip(*drawn, strict=True):
        text = torch.tensor([prompt + new])
        again = as_rollout([prompt], trace_tokens(model, text, build_policy(policy), len(prompt)))
        for mine, theirs in zip(values, again[2:], strict=True):
            assert len(mine) == len(new)
            assert mine == pytest.approx(theirs[0], abs=1e-4) or None in mine
    assert (drawn.temperatures[0][0] is None) == (policy["kind"] == "top_p")


def test_texts_end_at_their_end_token() -> None:
    torch.manual_seed(0)
    drawn = rollout(
        tiny_llama(),
        [[5]] * 8,
        build_policy({"kind": "fixed", "temperature": 3.0}),
        max_new_tokens=40,
        eos_token_ids=range(3, 20),
    )
    ends = [ids[-1] in range(3, 20) for ids in drawn.completion_ids]
    assert any(ends)
    assert not any(token in range(3, 20) for ids in drawn.completion_ids for token in ids[:-1])


def test_left_padded() -> None:
    tokens, mask = left_padded([[1, 2, 3], [4]], pad=0, multiple_of=4)
    assert tokens.tolist() == [[0, 1, 2, 3], [0, 0, 0, 4]]
    assert mask.tolist() == [[0, 1, 1, 1], [0, 0, 0, 1]]


@pytest.mark.parametrize("prompts", [[], [[1], []]])
def test_empty_prompts_are_refused(prompts: list[list[int]]) -> None:
    with pytest.raises(ValueError, match="at least one prompt"):
        rollout(tiny_llama(), prompts, build_policy({"kind": "fixed", "temperature": 1.0}), max_new_tokens=1)
