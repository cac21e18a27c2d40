"""`GRPOTrainer` and `RLOOTrainer` of TRL under any temperature policy: rollouts and log-probabilities alike.

```py
from trl import GRPOConfig
from temp_processors.integrations.trl import PolicyGRPOTrainer

policy = {"kind": "dynamic", "temperature": 1.0, "range": 0.5}
trainer = PolicyGRPOTrainer(model, reward, GRPOConfig("out"), dataset, temperature_policy=policy)
trainer.train()
```

TRL's own trainers divide every score by one number, so that under a policy that moves their importance ratios are not 1 even before
the first update. Here each batch of rollouts has one policy, and old, new and reference log-probabilities of its tokens are those
under that policy, until the next batch is drawn: a policy that changes between steps changes no ratio.
"""

from __future__ import annotations

import inspect
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import torch
from torch import Tensor
from trl import GRPOTrainer, RLOOTrainer

from temp_processors.integrations.control import TemperatureControl, controlled
from temp_processors.integrations.rollout import RecordedPolicy, Rollout, as_rollout, left_padded
from temp_processors.integrations.scoring import TokenScores, add_policy_scoring
from temp_processors.integrations.trl_checks import check_arguments, check_policy, check_trainer, neutral_config
from temp_processors.policies.base import PolicyLogitsWarper
from temp_processors.policies.kinds import build_policy
from temp_processors.policies.phase import PhaseLogitsWarper
from temp_processors.serving.continuous import with_policy
from temp_processors.serving.rows import KEY
from temp_processors.trace.table import TokenTrace


class PolicyTraining:
    """What makes a trainer of TRL draw and judge under a policy; stands before the trainer among the bases of a class.

    Logged beside the trainer's metrics, as means over the new tokens of a batch: `policy/temperature`,
    `policy/entropy_before`, `policy/entropy`, and with a phase policy `policy/phase/inside` and `policy/phase/outside`. The
    trainer's own `entropy` is that under the policy.

    Args:
        args, kwargs: Those of the trainer. The controls among its `callbacks` multiply the temperature of the policy.
        temperature_policy: A policy, or one as data, `{"kind": ...}`; with vLLM as data, tags as token ids. It may be left
            out where a `TemperatureControl` is among the callbacks, whose temperature is then the policy.

    Attributes:
        last_rollout: The texts that were drawn last, with log-probability and temperature of every token; None with vLLM
            and continuous batching, which tell no temperatures.

    Raises:
        ValueError: for what would draw from another distribution than the policy's or drop it (`trl_checks.py`), for a
            policy whose rows differ by their place in the batch, and for `beta` with a policy that rules tokens out.
    """

    def __init__(self, *args: Any, temperature_policy: Any = None, **kwargs: Any) -> None:
        given = inspect.signature(super().__init__).bind_partial(*args, **kwargs).arguments
        check_arguments(given.get("args"), temperature_policy)
        self.temperature_policy: PolicyLogitsWarper | Mapping[str, Any] | None = temperature_policy
        self.last_rollout: Rollout | None = None
        self._policies: dict[str, PolicyLogitsWarper] = {}
        self._scores: TokenScores | None = None
        super().__init__(*args, **kwargs)
        trainer: Any = self
        check_trainer(trainer)
        check_policy(self._new_policy(), trainer.beta)
        for model in (trainer.model, trainer.ref_model):
            if model is not None:
                add_policy_scoring(model.get_base_model() if hasattr(model, "get_base_model") else model)
        if not trainer.use_vllm:
            self.generation_kwargs, self.generation_config = neutral_config(trainer.generation_kwargs)

    def _mode(self: Any) -> str:
        return "train" if self.model.training else "eval"

    def _source(self: Any) -> Any:
        """The policy as it was given, under the controls as they stand."""
        controls = [one for one in self.callback_handler.callbacks if isinstance(one, TemperatureControl)]
        if self.temperature_policy is None and not controls:
            raise ValueError(
                "`temperature_policy` is missing: give a policy, or a TemperatureControl among `callbacks`"
            )
        names = [type(control).__name__ for control in controls]
        if len(set(names)) < len(names):
            raise ValueError(
                f"`callbacks` has two controls of one class, whose states a checkpoint cannot tell apart: {names}"
            )
        return controlled(self.temperature_policy, controls)

    def _new_policy(self: Any) -> PolicyLogitsWarper:
        source = self._source()
        return source if isinstance(source, PolicyLogitsWarper) else build_policy(source, tokenizer=self._tokenizer)

    def _generate_and_score_completions(self: Any, inputs: Any) -> Any:
        """Draw and score a batch under the policy as it stands now, which holds for this batch from here on."""
        self._policies[self._mode()] = self._new_policy()
        self.last_rollout = None
        output = super()._generate_and_score_completions(inputs)  # type: ignore[misc]
        if "tool_mask" in output:
            raise ValueError("`rollout_func` returned `env_mask`: `temperature_policy` takes completions of one turn")
        return output

    def _generate_single_turn(self: Any, prompt_ids: Any, *args: Any, **kwargs: Any) -> Any:
        draw = super()._generate_single_turn  # type: ignore[misc]
        if self.use_vllm:
            given = self.args.generation_kwargs or {}
            carried = {**(given.get("extra_args") or {}), KEY: self._source()}
            self.vllm_generation.generation_kwargs = {**given, "extra_args": carried}
            return draw(prompt_ids, *args, **kwargs)
        policy, plain = self._policies[self._mode()], self.generation_config
        pad = self._tokenizer.pad_token_id
        tokens, mask = left_padded(prompt_ids, pad, self.accelerator.device, self.pad_to_multiple_of or 1)
        carrier = RecordedPolicy(policy, mask)
        try:
            if self.use_transformers_continuous_batching:
                self.generation_config = with_policy(plain, policy)
                return draw(prompt_ids, *args, **kwargs)
            plain.watermarking_config = carrier
            drawn = draw(prompt_ids, *args, **kwargs)
        finally:
            self.generation_config = plain
            plain.watermarking_config = None
        completion_ids = drawn[0] if isinstance(drawn, tuple) else drawn
        new, _ = left_padded([list(reversed(ids)) for ids in completion_ids], pad, self.accelerator.device)
        sequences = torch.cat([tokens, new.flip(-1)], dim=-1)
        trace = carrier.trace.finish(sequences, self.eos_token_ids)
        self.last_rollout = as_rollout(prompt_ids, trace)
        self._log_trace(trace, inside(carrier.policy, sequences, trace))
        return (completion_ids, self.last_rollout.logprobs) if isinstance(drawn, tuple) else completion_ids

    def _get_per_token_logps_and_entropies(
        self: Any,
        model: Any,
        input_ids: Tensor,
        attention_mask: Tensor,
        logits_to_keep: int,
        batch_size: int | None = None,
        compute_entropy: bool = False,
        compute_aux_loss: bool = False,
        **images: Any,
    ) -> tuple[Tensor, Tensor | None, None]:
        """As the trainer's, under the policy of the batch: log-probabilities, entropies, no loss of experts."""
        policy, width = self._policies[self._mode()], input_ids.shape[-1] - logits_to_keep
        parts: list[TokenScores] = []
        size = batch_size or len(input_ids)
        for ids, mask in zip(torch.split(input_ids, size), torch.split(attention_mask, size), strict=True):
            with self.accelerator.autocast():
                parts.append(
                    model(
                        input_ids=ids,
                        attention_mask=mask,
                        temperature_policy=policy,
                        prompt_length=width,
                        entropy_gradient=getattr(self, "_entropy_bonus_enabled", False),
                    )
                )
        self._scores = TokenScores(*map(torch.cat, zip(*parts, strict=True)))
        return self._scores.log_probs, self._scores.entropy if compute_entropy else None, None

    def _compute_loss(self: Any, model: Any, inputs: Any) -> Tensor:
        loss: Tensor = super()._compute_loss(model, inputs)  # type: ignore[misc]
        if self.last_rollout is None:  # an engine that tells no temperatures: what the loss has seen
            mask = inputs["completion_mask"].bool()
            self._log_means(mask, {"temperature": self._scores.temperature, "entropy": self._scores.entropy})
        self._scores = None
        return loss

    def _log_trace(self, trace: TokenTrace, phase: Tensor | None) -> None:
        values = {
            "temperature": trace.temperature,
            "entropy_before": trace.entropy,
            "entropy": trace.entropy_after,
        }
        if phase is not None:
            values |= {"phase/inside": phase.float(), "phase/outside": 1.0 - phase.float()}
        self._log_means(trace.mask, values)

    def _log_means(self: Any, mask: Tensor, values: Mapping[str, Tensor]) -> None:
        """Put means over tokens, those of all processes, among the trainer's metrics; tell the controls the entropy."""
        mode = self._mode()
        for name, value in values.items():
            kept = value.detach()[mask]
            kept = kept[~kept.isnan()].double()
            total, count = self.accelerator.reduce(torch.stack([kept.sum(), kept.new_tensor(len(kept))])).tolist()
            if count:
                self._metrics[mode][f"policy/{name}"].append(total / count)
            if count and name == "entropy" and mode == "train":
                for control in self.callback_handler.callbacks:
                    if isinstance(control, TemperatureControl):
                        control.see(total / count, count)


class PolicyGRPOTrainer(PolicyTraining, GRPOTrainer):
    """[`trl.GRPOTrainer`] under `temperature_policy`; see [`PolicyTraining`]."""


class PolicyRLOOTrainer(PolicyTraining, RLOOTrainer):
    """[`trl.RLOOTrainer`] under `temperature_policy`; see [`PolicyTraining`]."""


def policy_rollout(prompts: Sequence[Any], trainer: Any) -> dict[str, Any]:
    """A `rollout_func` for [`PolicyGRPOTrainer`]: its own rollouts, whose temperatures and entropies reward functions are given too.

    A `rollout_func` of your own draws under the policy in the same way: call this for the prompts that you have made, and
    add your fields.

    Args:
        prompts: As TRL passes them on.
        trainer: The trainer.

    Returns:
        The fields of [`Rollout`], one entry per prompt.
    """
    prompt_ids, images, fields = trainer._tokenize_prompts(prompts)
    trainer._generate_single_turn(prompt_ids, images, fields, trainer.num_generations)
    return dict(trainer.last_rollout._asdict())


def inside(policy: PolicyLogitsWarper, sequences: Tensor, trace: TokenTrace) -> Tensor | None:
    """Which new tokens a phase policy in it drew inside of its tags, (batch, steps); None where there is none."""
    phase = next((part for part in parts_of(policy) if isinstance(part, PhaseLogitsWarper)), None)
    if phase is None:
        return None
    steps = trace.token_ids.shape[-1]
    text = getattr(policy, "text", lambda ids: ids)(sequences[:, :-1])
    return phase.is_inside(text, torch.zeros(*trace.token_ids.shape, 1, device=text.device)).expand(-1, steps, 1)[
        ..., 0
    ]


def parts_of(policy: PolicyLogitsWarper) -> Iterator[PolicyLogitsWarper]:
    """A policy and those that it is made of, outer ones first."""
    yield policy
    for value in vars(policy).values():
        for part in value if isinstance(value, tuple) else (value,):
            if isinstance(part, PolicyLogitsWarper):
                yield from parts_of(part)
