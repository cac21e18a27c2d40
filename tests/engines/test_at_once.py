"""Decodes of one model at once, taken turns with or in threads: the texts of each alone, and the model as it was."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
import torch

from temp_processors.engines.decoding.decode import decode
from temp_processors.engines.decoding.shared_prefix import SharedPrefixLayer
from temp_processors.engines.engine import DecodeRow
from temp_processors.policies.fixed import FixedTemperatureLogitsWarper
from tests.models import tiny_llama

POLICIES = [lambda _: FixedTemperatureLogitsWarper(0.8), lambda _: FixedTemperatureLogitsWarper(1.6)]


@pytest.fixture(scope="module")
def model() -> Any:
    """In float64, so that rounding decides nothing."""
    return tiny_llama().double()


def begun(model: Any, number: int, tokens: int = 8) -> Any:
    """Decode `number`: 32 rows that share a prompt of 80 tokens of their own."""
    prompt = tuple(5 + (number + place) % 60 for place in range(80))
    rows = [DecodeRow(prompt, seed % 2, 100 * number + seed) for seed in range(32)]
    return decode(model, rows, POLICIES, max_new_tokens=tokens, eos_token_ids=[90, 91, 92, 93], pad_token_id=0)


def state_of(model: Any) -> dict[str, Any]:
    """Everything that a user of a model can find changed: configurations, attention, hooks and attributes of its modules."""
    return {
        "config": model.config.to_dict(),
        "generation": model.generation_config.to_dict(),
        "attention": model.config._attn_implementation,
        "modules": [
            (name, sorted(vars(part)), getattr(getattr(part, "config", None), "_attn_implementation", None))
            for name, part in model.named_modules()
        ],
        "weights": [id(weight) for weight in (*model.parameters(), *model.buffers())],
    }


def test_two_decodes_taken_turns_with(model: Any) -> None:
    alone = [sorted(begun(model, number)) for number in (0, 1)]
    before = state_of(model)
    first, second = begun(model, 0), begun(model, 1)
    mixed = [[next(first)], [next(second)]]
    assert state_of(model) == before
    mixed[0] += list(first)
    mixed[1] += list(second)
    assert [sorted(texts) for texts in mixed] == alone
    assert state_of(model) == before


def test_a_decode_that_is_left_changes_nothing(model: Any) -> None:
    before, texts = state_of(model), begun(model, 0)
    next(texts)
    inside = model(torch.tensor([[5, 6, 7]])).logits
    texts.close()
    assert state_of(model) == before
    assert torch.equal(model(torch.tensor([[5, 6, 7]])).logits, inside)


@pytest.mark.parametrize("decodes", [5, pytest.param(50, marks=pytest.mark.slow)])
def test_four_threads(model: Any, decodes: int, monkeypatch: pytest.MonkeyPatch) -> None:
    shared: list[int] = []
    attend = SharedPrefixLayer.attend

    def counted(layer: SharedPrefixLayer, query: Any, *rest: Any) -> Any:
        shared.append(len(query))
        return attend(layer, query, *rest)

    monkeypatch.setattr(SharedPrefixLayer, "attend", counted)
    before, numbers = state_of(model), range(4 * decodes)
    alone = [sorted(begun(model, number, 4)) for number in numbers]
    with ThreadPoolExecutor(4) as pool:
        at_once = list(pool.map(lambda number: sorted(begun(model, number, 4)), numbers))
    assert at_once == alone
    assert len(shared) >= 2 * len(numbers)
    assert state_of(model) == before
