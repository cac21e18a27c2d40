"""What a trainer of TRL may not be asked for beside a policy: everything that would draw from another distribution, or drop the policy."""

from __future__ import annotations

from collections.abc import Mapping
from importlib.metadata import entry_points
from typing import Any

from transformers import GenerationConfig

from temp_processors.audit.neutral import SAMPLING_FIELDS, values_on
from temp_processors.policies.base import PolicyLogitsWarper
from temp_processors.serving.rows import KEY, policy_of_request

FIELDS = ("temperature", "top_p", "top_k", "min_p", "repetition_penalty")
"""Sampling fields of `GRPOConfig` and `RLOOConfig`."""

OTHER_DRAWS: Mapping[str, tuple[Any, ...]] = {
    "do_sample": (True,),
    "num_beams": (1,),
    "num_return_sequences": (1,),
    "custom_generate": (),
    "logits_processor": (),
    "assistant_model": (),
    "penalty_alpha": (),
    "frequency_penalty": (0,),
    "presence_penalty": (0,),
    "logit_bias": (),
    "min_tokens": (0,),
    "allowed_token_ids": (),
    "bad_words": (),
}
"""Names in `generation_kwargs`, of transformers and vLLM, that draw otherwise, and their values that do not."""


def check_arguments(args: Any, policy: Any) -> None:
    """Refuse sampling settings beside a policy, before a model is loaded.

    Args:
        args: The trainer's configuration, or None for its default.
        policy: The `temperature_policy` of the trainer.

    Raises:
        ValueError: names every setting, its value, and what to write in its place.
    """
    if args is None:
        return
    given = dict(args.generation_kwargs or {})
    if KEY in given or KEY in dict(given.get("extra_args") or {}):
        raise ValueError(
            f"generation_kwargs: {KEY!r} would be dropped there: pass temperature_policy=... to the trainer"
        )
    acting = [
        f"args.{name}={value!r}" for name, value in values_on({name: getattr(args, name) for name in FIELDS}).items()
    ]
    acting += [f"generation_kwargs[{name!r}]={value!r}" for name, value in values_on(given).items()]
    acting += [
        f"generation_kwargs[{name!r}]={given[name]!r}"
        for name, off in OTHER_DRAWS.items()
        if given.get(name) is not None and given[name] not in off
    ]
    if acting:
        raise ValueError(
            f"{', '.join(acting)}: would act beside `temperature_policy`, and the log-probabilities would not know of it; "
            'write it into the policy, such as {"kind": "chain", "steps": [{"kind": "fixed", "temperature": 0.6}, '
            '{"kind": "top_p", "top_p": 0.95}]}'
        )
    if args.use_vllm:
        _check_vllm(args, policy)


def _check_vllm(args: Any, policy: Any) -> None:
    if isinstance(policy, PolicyLogitsWarper):
        raise ValueError(
            f"`temperature_policy` ({type(policy).__name__}) has to be data for vLLM, such as "
            '{"kind": "dynamic", "temperature": 1.0, "range": 0.5}: it travels with every request'
        )
    if policy is not None:
        policy_of_request(policy)
    if args.vllm_mode == "colocate" and not _registered():
        raise ValueError(
            "vllm_mode='colocate' builds its engine without this package's processor, which would drop the policy: install the "
            "distribution of scripts/temp_processors_vllm, which registers it with vLLM, or use vllm_mode='server' with "
            "--logits-processors temp_processors.vllm:TemperaturePolicyLogitsProcessor"
        )


def _registered() -> bool:
    """Whether an entry point hands this package's processor to every engine of vLLM in this process."""
    return any(entry.value.startswith("temp_processors.") for entry in entry_points(group="vllm.logits_processors"))


def check_trainer(trainer: Any) -> None:
    """Refuse what a trainer is made for beside a policy: images, tools, experts' losses, and what a checkpoint forbids or forces."""
    if trainer._is_vlm:
        raise ValueError("`processing_class` is that of a model with images: `temperature_policy` takes text alone")
    if getattr(trainer, "tools", None) or getattr(trainer, "environment_factories", None):
        raise ValueError(
            "`tools` and `environment_factory` make several turns of a completion, and the step that a policy counts "
            "would begin anew in each: `temperature_policy` takes one turn"
        )
    if trainer.aux_loss_enabled:
        raise ValueError(
            f"router_aux_loss_coef is {trainer.router_aux_loss_coef:g}: the loss of the experts is not computed beside "
            "`temperature_policy`; set args.router_aux_loss_coef=0.0"
        )
    config = trainer.model.generation_config
    kept = {name: value for name, value in values_on(config).items() if name not in neutral()}
    if kept:
        named = ", ".join(f"{name}={value!r}" for name, value in kept.items())
        raise ValueError(
            f"model.generation_config: {named} would act beside `temperature_policy`; set it to None before training"
        )


def check_policy(policy: PolicyLogitsWarper, beta: float) -> None:
    """Refuse a policy that no loss can hold to: rows told apart by their place, a divergence that is infinite."""
    if policy.per_row:
        raise ValueError(
            f"`temperature_policy` ({type(policy).__name__}) gives every row of a batch its own temperature, but a trainer shuffles "
            "and splits its batches"
        )
    if beta != 0.0 and not policy.only_scales:
        raise ValueError(
            f"beta={beta:g} with a `temperature_policy` that rules tokens out ({type(policy).__name__}): the divergence from a "
            "reference that gives such a token probability 0 is infinite; set beta=0.0, or take a policy that only divides"
        )


def neutral() -> dict[str, Any]:
    """Fields of `GenerationConfig` that are switched off by a value; where None does it, the checkpoint's would take its place."""
    found: dict[str, Any] = {}
    for name, field in SAMPLING_FIELDS.items():
        values = [value for value in field.off if value is not None]
        if values and (field.off[0] is not None or field.effect == "truncation"):
            found[name] = values[0]
    return found


def neutral_config(generation_kwargs: Mapping[str, Any]) -> tuple[dict[str, Any], GenerationConfig]:
    """The trainer's `generation_kwargs` and `generation_config` with nothing in them that acts on the scores."""
    kwargs = {**generation_kwargs, **neutral()}
    return kwargs, GenerationConfig(**kwargs, disable_compile=True)
