"""Policies in llama-cpp-python itself, on the GGUF file of SmolLM2; in the environment of `scripts/setup_engine.sh llama_cpp`."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch

from temp_processors import build_policy
from temp_processors.config.sections import ModelSpec
from temp_processors.engines.sources import find_model
from temp_processors.integrations.llama_cpp import ALONE, processor, sampling
from temp_processors.serving.rows import PolicyError
from tests.policies.peer_formulas import OWN, compare

pytestmark = pytest.mark.llama_cpp
llama_cpp = pytest.importorskip("llama_cpp")

DYNAMIC = {"kind": "dynamic", "temperature": 1.0, "range": 0.9}
COOLING = {"kind": "scheduled", "shape": "linear", "start": 1.5, "end": 0.5, "steps": 4}
CHAIN = {"kind": "chain", "steps": [{"kind": "top_k", "top_k": 20}, {"kind": "edt", "temperature": 1.0, "theta": 0.5}]}
FOX = "The quick brown fox"


@pytest.fixture(scope="module")
def llm() -> Any:
    found = find_model(ModelSpec(name="smollm2"))
    return llama_cpp.Llama(f"{found.name}/{found.gguf_file}", n_ctx=256, n_threads=1, verbose=False)


def text(llm: Any, prompt: str, seed: int = 1, **arguments: Any) -> str:
    return str(llm(prompt, max_tokens=10, seed=seed, **arguments)["choices"][0]["text"])


def spied(apply: Callable[[Any, Any], Any], seen: list[tuple[Any, ...]]) -> Any:
    def spy(ids: Any, scores: Any) -> Any:
        before = scores.copy()
        out = apply(ids, scores)
        assert np.array_equal(scores, before)  # in the table of the library nothing changes before it says so
        seen.append((ids.copy(), before, out.copy()))
        return out

    return llama_cpp.LogitsProcessorList([spy])


@pytest.mark.parametrize("policy", [DYNAMIC, COOLING, CHAIN], ids=lambda policy: policy["kind"])
def test_scores_are_those_of_the_policy_in_one_text_after_another(policy: dict[str, Any], llm: Any) -> None:
    """One processor over texts of prompts of different lengths: schedules begin anew with each."""
    apply = processor(policy)
    for prompt in (FOX, f"{FOX} jumps over the lazy", FOX):
        seen: list[tuple[Any, ...]] = []
        text(llm, prompt, **{**ALONE, "logits_processor": spied(apply, seen)})
        width = len(llm.tokenize(prompt.encode()))
        assert [len(ids) for ids, _, _ in seen] == list(range(width, width + len(seen)))
        built = build_policy(policy, prompt_length=width)
        for ids, scores, out in seen:
            rows = torch.from_numpy(ids.astype(np.int64))[None]
            np.testing.assert_array_equal(out, built(rows, torch.from_numpy(scores)[None])[0].numpy())


def test_the_policy_acts_alone_and_the_library_draws(llm: Any) -> None:
    """A fixed temperature is the library's own; another policy draws other texts; a seed draws one text."""
    for temperature in (1.0, 0.5):
        own = text(llm, FOX, **{**ALONE, "temperature": temperature})
        assert text(llm, FOX, **sampling({"kind": "fixed", "temperature": temperature})) == own
    constant = [text(llm, FOX, seed, **sampling({"kind": "fixed", "temperature": 1.0})) for seed in range(4)]
    dynamic = [text(llm, FOX, seed, **sampling(DYNAMIC)) for seed in range(4)]
    assert constant != dynamic
    assert dynamic == [text(llm, FOX, seed, **sampling(DYNAMIC)) for seed in range(4)]
    assert len(set(dynamic)) == 4
    greedy = text(llm, FOX, **{**ALONE, "temperature": 0.0})
    assert text(llm, FOX, **sampling({"kind": "fixed", "temperature": 0.0})) == greedy


def test_a_chat(llm: Any) -> None:
    messages = [{"role": "user", "content": "Name a fox."}]
    answers = [
        llm.create_chat_completion(messages, max_tokens=8, seed=1, **sampling(policy))["choices"][0]["message"][
            "content"
        ]
        for policy in ({"kind": "fixed", "temperature": 0.0}, {"kind": "fixed", "temperature": 5.0})
    ]
    assert answers[0] != answers[1]


def test_a_bad_policy_is_told_before_the_library_could_lose_it() -> None:
    with pytest.raises(PolicyError, match="temperature"):
        processor({"kind": "fixed", "temperature": -1.0})
    with pytest.raises(PolicyError, match="`seeds` have to be given"):
        processor({"kind": "monte_carlo", "low": 0.5, "high": 1.0})
    assert processor({"kind": "monte_carlo", "low": 0.5, "high": 1.0}, seed=1)


def test_samplers_that_the_benchmark_times_are_ours() -> None:
    assert compare(list(OWN), "llama.cpp") == 8
