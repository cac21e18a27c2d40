"""Whole trainings with TRL under a policy: what its options do to the ratios, what is logged, what is refused."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

from temp_processors.integrations.control import EntropyController, TemperatureSchedule
from temp_processors.integrations.trl import PolicyGRPOTrainer, PolicyRLOOTrainer, policy_rollout
from temp_processors.policies.fixed import FixedTemperatureLogitsWarper
from tests.integrations.trainers import trainer_of

SCHEDULE = {"kind": "scheduled", "shape": "linear", "start": 1.5, "end": 0.5, "steps": 8}
DYNAMIC = {"kind": "dynamic", "temperature": 1.0, "range": 0.5}
CUT = {"kind": "chain", "steps": [{"kind": "fixed", "temperature": 0.8}, {"kind": "top_p", "top_p": 0.9}]}
PHASE = {
    "kind": "phase",
    "open_ids": [262],
    "close_ids": [16],
    "inside": {"kind": "fixed", "temperature": 1.5},
    "outside": {"kind": "fixed", "temperature": 0.5},
}


class Watched(PolicyGRPOTrainer):
    """Keeps, for every pass of the loss, how far the tokens' log-probabilities are from those of the draw."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        self.distances: list[float] = []
        super().__init__(*args, **kwargs)

    def _compute_loss(self, model: Any, inputs: Any) -> Tensor:
        with torch.no_grad():
            tokens = torch.cat([inputs["prompt_ids"], inputs["completion_ids"]], dim=1)
            mask = torch.cat([inputs["prompt_mask"], inputs["completion_mask"]], dim=1)
            new, _, _ = self._get_per_token_logps_and_entropies(model, tokens, mask, inputs["completion_ids"].shape[1])
            gaps = (new - inputs["sampling_per_token_logps"])[inputs["completion_mask"].bool()].abs()
            old = inputs.get("old_per_token_logps", new)
            assert bool(((old - new)[~inputs["completion_mask"].bool()] == 0.0).all())
            self.distances.append(float(gaps.max()) if len(gaps) else 0.0)
        return super()._compute_loss(model, inputs)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("policy", "changes"),
    [
        (DYNAMIC, {"loss_type": "grpo"}),
        (DYNAMIC, {"loss_type": "dr_grpo", "beta": 0.1}),
        (SCHEDULE, {"loss_type": "cispo", "num_iterations": 2}),
        (CUT, {"loss_type": "vespo", "num_iterations": 2, "max_steps": 4}),
        (CUT, {"loss_type": "sapo", "num_iterations": 2, "mask_truncated_completions": True}),
        (SCHEDULE, {"loss_type": "bnpo", "gradient_accumulation_steps": 2, "per_device_train_batch_size": 4}),
        (PHASE, {"loss_type": "luspo", "importance_sampling_level": "sequence", "top_entropy_quantile": 0.5}),
        (DYNAMIC, {"entropy_coef": 0.1, "off_policy_mask_threshold": 0.5, "steps_per_generation": 2, "max_steps": 4}),
    ],
    ids=lambda value: value["kind"] if "kind" in value else "-".join(map(str, value.values())),
)
def test_the_options_of_the_loss(policy: Any, changes: dict[str, Any], tmp_path: Path) -> None:
    trainer = trainer_of(Watched, tmp_path, policy, **changes)
    trainer.train()
    assert trainer.distances[0] < 1e-4
    assert all(torch.isfinite(weight).all() for weight in trainer.model.parameters())
    logs = [row for row in trainer.state.log_history if "loss" in row]
    assert len(logs) == trainer.args.max_steps
    for row in logs:
        assert abs(row["loss"]) < 1e3
        assert 0.0 < row.get("policy/temperature", 1.0) <= 1.5  # where a batch was drawn


@pytest.mark.slow
def test_adapters_and_their_reference(tmp_path: Path) -> None:
    """The reference of an adapter is the model without it, under the same policy: at first the divergence is 0."""
    from peft import LoraConfig

    extra = {"peft_config": LoraConfig(r=2, target_modules=["q_proj"])}
    trainer = trainer_of(Watched, tmp_path, SCHEDULE, extra=extra, beta=0.1, learning_rate=0.1)
    trainer.train()
    assert trainer.distances[0] < 1e-4
    first, second = (row["kl"] for row in trainer.state.log_history if "kl" in row)
    assert first == pytest.approx(0.0, abs=1e-6)
    assert second > 0.0


@pytest.mark.parametrize("kind", [PolicyGRPOTrainer, pytest.param(PolicyRLOOTrainer, marks=pytest.mark.slow)])
def test_what_is_logged(kind: Any, tmp_path: Path) -> None:
    trainer = trainer_of(kind, tmp_path, PHASE, max_steps=1, beta=0.05)
    trainer.train()
    row = trainer.state.log_history[0]
    assert row["kl"] == pytest.approx(0.0, abs=1e-6)
    inside, outside = row["policy/phase/inside"], row["policy/phase/outside"]
    assert inside + outside == pytest.approx(1.0)
    assert 0.0 < inside < 1.0
    assert row["policy/temperature"] == pytest.approx(1.5 * inside + 0.5 * outside)
    assert row["policy/entropy"] == pytest.approx(row["entropy"], abs=1e-4)
    assert row["policy/entropy_before"] != row["policy/entropy"]


def test_a_temperature_that_moves_between_steps_moves_no_ratio(tmp_path: Path) -> None:
    """Weights that stand still, and two updates for each batch: the second is judged at the temperature of the draw."""
    cooling = TemperatureSchedule("linear", start=1.5, end=0.5, steps=4)
    trainer = trainer_of(
        Watched, tmp_path, DYNAMIC, extra={"callbacks": [cooling]}, num_iterations=2, max_steps=4, learning_rate=0.0
    )
    trainer.train()
    assert max(trainer.distances) < 1e-4
    assert len(trainer.distances) == 4
    assert cooling.temperature == 0.75
    logged = [row["policy/temperature"] for row in trainer.state.log_history if "policy/temperature" in row]
    assert logged[1] < logged[0]


@pytest.mark.slow
def test_a_controller_steers_and_is_in_checkpoints(tmp_path: Path) -> None:
    controller = EntropyController(target=3.0)
    extra = {"callbacks": [controller]}
    settings = {"save_strategy": "steps", "save_steps": 2, "max_steps": 2, "save_only_model": False}
    trainer = trainer_of(PolicyGRPOTrainer, tmp_path, None, extra=extra, **settings)
    trainer.train()
    assert controller.temperature > 1.0  # fox has less entropy than 3 nats
    assert controller.vocabulary == 1024
    logs = [row for row in trainer.state.log_history if "policy/temperature" in row]
    assert logs[0]["policy/temperature"] == 1.0
    assert 1.0 < logs[1]["policy/temperature"] < controller.temperature
    again = EntropyController(target=3.0)
    settings["max_steps"] = 3
    resumed = trainer_of(PolicyGRPOTrainer, tmp_path, None, extra={"callbacks": [again]}, **settings)
    resumed.train(resume_from_checkpoint=str(tmp_path / "checkpoint-2"))
    log = [row for row in resumed.state.log_history if "policy/temperature" in row][-1]
    assert log["policy/temperature"] == pytest.approx(controller.temperature)


@pytest.mark.slow
def test_reward_functions_see_the_temperatures(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TRL_EXPERIMENTAL_SILENCE", "1")
    seen: list[Any] = []
    trainer = trainer_of(Watched, tmp_path, SCHEDULE, extra={"rollout_func": policy_rollout}, max_steps=1)
    trainer.reward_funcs = [
        lambda completions, temperatures, **_: seen.extend(temperatures) or [0.0] * len(completions)
    ]
    trainer.train()
    assert seen[0][:3] == [1.5, 1.375, 1.25]
    assert trainer.distances[0] < 1e-4


@pytest.mark.slow
def test_evaluation_between_steps(tmp_path: Path) -> None:
    trainer = trainer_of(PolicyGRPOTrainer, tmp_path, DYNAMIC)
    trainer.train()
    result = trainer.evaluate(trainer.train_dataset.select(range(2)))
    assert 0.5 <= result["eval_policy/temperature"] <= 1.5


REFUSED: list[tuple[Any, dict[str, Any], str]] = [
    (DYNAMIC, {"temperature": 0.7}, "args.temperature=0.7: would act beside `temperature_policy`"),
    (DYNAMIC, {"top_p": 0.9, "top_k": 5}, "args.top_k=5, args.top_p=0.9: would act"),
    (DYNAMIC, {"generation_kwargs": {"temperature_policy": {}}}, "'temperature_policy' would be dropped there"),
    (DYNAMIC, {"generation_kwargs": {"extra_args": {"temperature_policy": {}}}}, "would be dropped there"),
    (DYNAMIC, {"generation_kwargs": {"do_sample": False}}, r"generation_kwargs\['do_sample'\]=False"),
    (DYNAMIC, {"generation_kwargs": {"no_repeat_ngram_size": 2}}, r"generation_kwargs\['no_repeat_ngram_size'\]=2"),
    (DYNAMIC, {"generation_kwargs": {"custom_generate": "x"}}, r"generation_kwargs\['custom_generate'\]='x'"),
    (CUT, {"beta": 0.1}, "beta=0.1 with a `temperature_policy` that rules tokens out"),
    (FixedTemperatureLogitsWarper([0.5, 1.0]), {}, "gives every row of a batch its own temperature"),
    (None, {}, "`temperature_policy` is missing"),
    ({"kind": "fixd"}, {}, "fixd"),
    (FixedTemperatureLogitsWarper(0.5), {"use_vllm": True}, "has to be data for vLLM"),
    ({"kind": "fixed"}, {"use_vllm": True}, "temperature"),
    (DYNAMIC, {"use_vllm": True}, "builds its engine without this package's processor"),
]


@pytest.mark.parametrize(("policy", "changes", "message"), REFUSED)
def test_refused(policy: Any, changes: dict[str, Any], message: str, tmp_path: Path) -> None:
    if changes.get("use_vllm"):
        changes = {**changes, "vllm_mode": "colocate"}
    with pytest.raises(ValueError, match=message):
        trainer_of(PolicyGRPOTrainer, tmp_path, policy, **changes)


def test_what_a_checkpoint_forces_is_refused_and_what_it_samples_with_is_off(tmp_path: Path) -> None:
    from tests.integrations.trainers import drawn, fox

    model, tokenizer = fox()
    model.generation_config.update(top_k=1, temperature=0.2, min_p=0.9, typical_p=0.5, do_sample=True)
    trainer = trainer_of(PolicyGRPOTrainer, tmp_path, {"kind": "fixed", "temperature": 2.0}, (model, tokenizer))
    drawn(trainer)
    assert len({tuple(ids) for ids in trainer.last_rollout.completion_ids[:4]}) == 4
    model.generation_config.update(top_h=1.0, bad_words_ids=[[5]])
    with pytest.raises(ValueError, match=r"model.generation_config: top_h=1.0, bad_words_ids=\[\[5\]\] would act"):
        trainer_of(PolicyGRPOTrainer, tmp_path, DYNAMIC, (model, tokenizer))


def test_two_controls_of_one_class_are_refused(tmp_path: Path) -> None:
    two = [TemperatureSchedule("constant", 1.0), TemperatureSchedule("constant", 2.0)]
    with pytest.raises(ValueError, match="two controls of one class"):
        trainer_of(PolicyGRPOTrainer, tmp_path, DYNAMIC, extra={"callbacks": two})
