"""Tokens drawn through generate() follow softmax(l / T), by chi-square against the model's own logits."""

from __future__ import annotations

import math

import pytest
import torch
from transformers import AutoModelForCausalLM, PreTrainedModel

from temp_processors import (
    DynamicTemperatureLogitsWarper,
    EDTLogitsWarper,
    FixedTemperatureLogitsWarper,
    PolicyLogitsWarper,
    SeededSampling,
)
from tests.models import tiny_llama
from tests.paths import SHARED

POLICIES = {
    "fixed": FixedTemperatureLogitsWarper(0.7),
    "hot": FixedTemperatureLogitsWarper(1.6),
    "dynamic": DynamicTemperatureLogitsWarper(1.0, 0.5),
    "edt": EDTLogitsWarper(1.2, 0.3),
}
DRAWS = 4000


def from_shared() -> PreTrainedModel:
    folder = SHARED / "models" / "stories260k"
    if not folder.is_dir():
        pytest.skip("the checkpoint is not beside this checkout")
    return AutoModelForCausalLM.from_pretrained(folder)


def from_package() -> PreTrainedModel:
    fox = pytest.importorskip("temp_processors.fox")
    return AutoModelForCausalLM.from_pretrained(fox.FOX_PATH)


@pytest.fixture(scope="module", params=[tiny_llama, from_shared, from_package], ids=["tiny", "stories260k", "fox"])
def model(request: pytest.FixtureRequest) -> PreTrainedModel:
    return request.param().eval()


def deviation(counts: torch.Tensor, probs: torch.Tensor) -> float:
    """Chi-square in standard deviations (Wilson-Hilferty); entries expected below 5 times are one entry together."""
    expected = probs * counts.sum()
    rare = expected < 5
    observed = torch.cat([counts[~rare], counts[rare].sum()[None]])
    wanted = torch.cat([expected[~rare], expected[rare].sum()[None]])
    observed, wanted = observed[wanted > 1e-9], wanted[wanted > 1e-9]
    freedom = len(wanted) - 1
    statistic = ((observed - wanted).square() / wanted).sum().item()
    return ((statistic / freedom) ** (1 / 3) - (1 - 2 / (9 * freedom))) / math.sqrt(2 / (9 * freedom))


@pytest.mark.parametrize("drawing", ["multinomial", "seeded"])
@pytest.mark.parametrize("name", POLICIES)
def test_drawn_tokens_follow_the_policy(model: PreTrainedModel, name: str, drawing: str) -> None:
    policy: PolicyLogitsWarper = POLICIES[name]
    prompt = torch.tensor([[5, 9, 13]])
    with torch.inference_mode():
        logits = model(prompt).logits[:, -1].double()
    probs = (logits / policy.temperature(prompt, logits)).softmax(-1)[0]
    processors = [policy, SeededSampling(range(DRAWS), prompt_length=3)][: 2 if drawing == "seeded" else 1]
    torch.manual_seed(7)
    drawn = model.generate(
        prompt.expand(DRAWS, -1),
        attention_mask=torch.ones(DRAWS, 3, dtype=torch.long),
        logits_processor=processors,
        do_sample=drawing == "multinomial",
        max_new_tokens=1,
        top_k=0,
        top_p=1.0,
        temperature=1.0,
        pad_token_id=0,
    )
    counts = torch.bincount(drawn[:, -1], minlength=len(probs)).double()
    assert abs(deviation(counts, probs)) < 4.5
