"""Log-probabilities under a policy from inside a model's own forward, where wrappers for parallel training see them."""

from __future__ import annotations

import copy
import functools
from types import MethodType
from typing import Any, NamedTuple

from torch import Tensor

from temp_processors.policies.base import PolicyLogitsWarper
from temp_processors.trace.log_probs import policy_log_probs

NEVER = -1e4
"""Stands for ln 0 in a loss: its exponential is 0 in every dtype, and unlike -inf it gives no nan when it is multiplied by 0."""


class TokenScores(NamedTuple):
    """Of every new token, (batch, new tokens) each: under the policy, and the temperature (nan where it has no single one)."""

    log_probs: Tensor
    entropy: Tensor
    temperature: Tensor


def add_policy_scoring(model: Any) -> None:
    """Teach a model's forward `model(input_ids, attention_mask, temperature_policy=..., prompt_length=...) -> TokenScores`.

    Wrappers for parallel training (DDP, FSDP) and adapters hand the call on and see the loss that comes of it, as with
    any forward; without `temperature_policy` it is the forward that it was. A second call changes nothing.

    Args:
        model: A decoder-only transformers model, not yet wrapped; of an adapter its base model.
    """
    plain = model.forward
    if hasattr(plain, "scores_policies"):
        return

    @functools.wraps(type(model).forward)  # `generate` reads the arguments of a model off its signature
    def forward(self: Any, *args: Any, temperature_policy: PolicyLogitsWarper | None = None, **kwargs: Any) -> Any:
        if temperature_policy is None:
            return plain(*args, **kwargs)
        return score_tokens(self, policy=temperature_policy, **kwargs)

    forward.scores_policies = True  # type: ignore[attr-defined]
    model.forward = MethodType(forward, model)


def score_tokens(
    model: Any,
    input_ids: Tensor,
    attention_mask: Tensor,
    policy: PolicyLogitsWarper,
    prompt_length: int,
    entropy_gradient: bool = False,
) -> TokenScores:
    """Log-probability, entropy and temperature of the new tokens under a policy, differentiable, for a loss.

    Args:
        model: A decoder-only transformers model.
        input_ids: (batch, length): prompts padded on the left to `prompt_length`, new tokens padded on the right.
        attention_mask: (batch, length), 0 for padding.
        policy: Its own prompt length is replaced.
        prompt_length: Width of the prompts.
        entropy_gradient: Whether the entropy is part of the loss.

    Returns:
        Zeros in place of padding. The log-probability of a token that the policy rules out is `NEVER`, without gradient.
    """
    seen = attention_mask[:, prompt_length:] != 0
    found = policy_log_probs(
        _bare(model), input_ids, policy, prompt_length, attention_mask, also=("temperature", "entropy_after")
    )
    assert found.temperature is not None  # asked for
    assert found.entropy_after is not None
    log_probs = found.log_prob_after.masked_fill(found.log_prob_after < NEVER, NEVER)
    entropy = found.entropy_after if entropy_gradient else found.entropy_after.detach()
    values = (log_probs, entropy, found.temperature.detach())
    return TokenScores(*(value.masked_fill(~seen, 0.0) for value in values))


def _bare(model: Any) -> Any:
    """The model with the forward of its class: what others have put on the object is being run already."""
    bare = copy.copy(model)
    bare.__dict__.pop("forward", None)
    return bare
