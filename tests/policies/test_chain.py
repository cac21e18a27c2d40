"""Chains: each step on what the one before it left, as a list of processors, as `generate` orders its own, and in YAML."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import pytest
import torch
from transformers import LogitsProcessorList

from temp_processors import ChainLogitsWarper, FixedTemperatureLogitsWarper, audit, build_policy, plain_sampling_kwargs
from temp_processors.config import ConfigError, load_config
from tests.models import tiny_llama
from tests.policies.test_cuts import ROWS

IDS = torch.tensor([[3, 4, 5, 6]])
FIXED = {"kind": "fixed", "temperature": 0.6}
CARD = {"kind": "chain", "steps": [FIXED, {"kind": "top_k", "top_k": 20}, {"kind": "top_p", "top_p": 0.95}]}
STEPS: list[list[dict[str, Any]]] = [
    CARD["steps"],
    CARD["steps"][::-1],
    [{"kind": "min_p", "min_p": 0.05}, {"kind": "edt", "temperature": 1.2, "theta": 0.3}, {"kind": "typical_p", "typical_p": 0.9}],
    [{"kind": "quadratic", "factor": 0.3}, {"kind": "scheduled", "shape": "linear", "start": 1.5, "end": 0.5, "steps": 4}, {"kind": "ees"}],
    [{"kind": "top_n_sigma"}, {"kind": "chain", "steps": [FIXED, {"kind": "p_less"}]}, {"kind": "min_k"}],
]  # fmt: skip


@pytest.mark.parametrize("steps", STEPS, ids=["-".join(step["kind"] for step in steps) for steps in STEPS])
def test_a_chain_is_the_list_of_its_steps(steps: list[dict[str, Any]]) -> None:
    chain = build_policy({"kind": "chain", "steps": steps}, prompt_length=2)
    alone = LogitsProcessorList([build_policy(step, prompt_length=2) for step in steps])
    assert torch.equal(chain(IDS, ROWS), alone(IDS, ROWS))


@pytest.mark.parametrize("policy", [FIXED, {"kind": "dynamic", "temperature": 1.0, "range": 0.5}])
def test_truncate_then_temper_is_a_chain(policy: dict[str, Any]) -> None:
    cuts: list[dict[str, Any]] = [
        {"kind": "top_k", "top_k": 20},
        {"kind": "top_p", "top_p": 0.9},
        {"kind": "min_p", "min_p": 0.02},
    ]
    last = build_policy({"kind": "truncate_then_temper", "policy": policy, "top_k": 20, "top_p": 0.9, "min_p": 0.02})
    chain = build_policy({"kind": "chain", "steps": [*cuts, policy]})
    assert torch.equal(chain(IDS, ROWS), last(IDS, ROWS))
    assert torch.equal(chain.temperature(IDS, ROWS), last.temperature(IDS, ROWS).expand(len(ROWS), 1))


def test_the_setting_of_a_model_card_draws_what_generate_draws() -> None:
    model, prompt = tiny_llama(), torch.tensor([[5, 6, 7, 8]] * 8)
    shared = {"max_new_tokens": 12, "do_sample": True}
    torch.manual_seed(3)
    theirs = model.generate(prompt, **shared, temperature=0.6, top_k=20, top_p=0.95)
    torch.manual_seed(3)
    chain = build_policy(CARD, prompt_length=4)
    ours = model.generate(prompt, logits_processor=[chain], **{**plain_sampling_kwargs(), **shared})
    assert torch.equal(ours, theirs)


def test_the_temperature_is_the_product_of_those_that_the_steps_see() -> None:
    """Probabilities 8/15 ... 1/15 fall to 4/5, 1/5 at T = 1/2 with the first two kept; then T = H / ln 2."""
    dynamic = {"kind": "dynamic", "temperature": 0.5, "range": 0.5}
    chain = build_policy(
        {"kind": "chain", "steps": [{"kind": "fixed", "temperature": 0.5}, {"kind": "top_k", "top_k": 2}, dynamic]}
    )
    scores = torch.tensor([[8.0, 4.0, 2.0, 1.0]], dtype=torch.float64).log()
    spread = -(0.8 * math.log(0.8) + 0.2 * math.log(0.2)) / math.log(2)
    assert chain.temperature(IDS, scores).item() == pytest.approx(0.5 * spread)


def test_what_the_steps_are_is_what_the_chain_is() -> None:
    fixed = FixedTemperatureLogitsWarper(0.5)
    cut = build_policy({"kind": "typical_p", "typical_p": 0.9})
    rows = build_policy({"kind": "rows", "policies": [FIXED, FIXED]})
    assert ChainLogitsWarper([fixed, fixed]).only_scales
    mixed = ChainLogitsWarper([fixed, cut])
    assert (mixed.only_scales, mixed.only_cuts, mixed.keeps_best) == (False, False, False)
    assert ChainLogitsWarper([cut]).only_cuts
    assert ChainLogitsWarper([fixed, rows]).per_row
    assert not ChainLogitsWarper([fixed, rows]).supports_continuous_batching
    with pytest.raises(ValueError, match="`steps` has to hold at least one policy, but is empty"):
        ChainLogitsWarper([])
    with pytest.raises(ValueError, match="has no temperature to multiply"):
        build_policy({"kind": "product", "policies": [CARD]})


def test_beams_with_steps_that_scale_and_cut() -> None:
    """The texts of a beam search whose list of processors is the steps; `audit` says that it was made for sampling."""
    model, prompt = tiny_llama(), torch.tensor([[5, 6, 7, 8], [9, 6, 7, 8]])
    more = {**plain_sampling_kwargs(), "do_sample": False, "num_beams": 3, "max_new_tokens": 8}
    chain = build_policy(CARD, prompt_length=4)
    alone = [build_policy(step, prompt_length=4) for step in CARD["steps"]]
    expected = model.generate(prompt, logits_processor=alone, **more)
    assert torch.equal(model.generate(prompt, logits_processor=[chain], **more), expected)
    codes = [finding.code for finding in audit(model, None, [chain], input_ids=prompt, **more).findings]
    assert codes == ["policy-under-beams"]


def test_a_mistake_in_a_step_is_told_with_its_line(tmp_path: Path) -> None:
    file = tmp_path / "card.yaml"
    text = "name: c\nprompts: [a]\npolicies:\n- name: card\n  kind: chain\n  steps:\n  - {kind: fixed, temperature: 0.6}\n  - kind: top_k\n"
    file.write_text(text + "    top_k: 20\n", encoding="utf-8")
    (named,) = load_config(file).policies
    assert named.policy.kind == "chain"
    for more, message in (
        ("    top_k: 0\n", "card.yaml:9: policies.0.steps.1.top_k: has to be a whole number, a number >= 1, but is 0"),
        ("    k: 3\n", "card.yaml:9: policies.0.steps.1.k: not a field of 'top_k'"),
    ):
        file.write_text(text + more, encoding="utf-8")
        with pytest.raises(ConfigError) as caught:
            load_config(file)
        assert message in str(caught.value)
    with pytest.raises(ConfigError, match=r"policies\.0\.steps"):
        load_config(file, ["policies.0={name: c, kind: chain, steps: []}"])
