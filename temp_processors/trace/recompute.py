"""What a policy does to finished texts: its trace, and the log-probabilities under it, in one forward pass."""

from __future__ import annotations

import inspect
from collections.abc import Sequence
from typing import Any, NamedTuple

import torch
from torch import Tensor

from temp_processors.distribution import entropy, log_probs, working_dtype
from temp_processors.policies.base import PolicyLogitsWarper
from temp_processors.policies.positions import NO_TOKEN
from temp_processors.trace.table import TokenTrace, until_end
from temp_processors.trace.tail import tail_values


class Measured(NamedTuple):
    """One step, (batch,), or several, (batch, steps); the last three have one more dimension, or are None."""

    temperature: Tensor
    entropy: Tensor
    entropy_after: Tensor
    top_ids: Tensor | None
    top_logits: Tensor | None
    tail: Tensor | None


def policy_log_probs(
    model: Any,
    input_ids: Tensor,
    policy: PolicyLogitsWarper,
    prompt_length: int,
    attention_mask: Tensor | None = None,
) -> Tensor:
    """Log-probability of every new token under the policy, in one forward pass over whole sequences.

    What reinforcement learning needs of a text drawn at a temperature that is not constant. Differentiable with
    respect to the model; the gradient also flows through a temperature that depends on the scores.

    Args:
        model: A decoder-only transformers model; call `eval()` first if dropout should be off.
        input_ids: (batch, length), prompt and new tokens, prompts padded on the left to `prompt_length`.
        policy: The policy; its own prompt length is replaced.
        prompt_length: Width of the prompt, at least 1.
        attention_mask: (batch, prompt_length) or (batch, length), 0 for padding; default: nothing is padding.

    Returns:
        (batch, length - prompt_length) natural logarithms, -inf where the policy rules the token out. Tokens after the
        end of a text have values too: mask them.

    Raises:
        ValueError: if `prompt_length` leaves no new token, or the model is an encoder-decoder.

    Example:
        >>> from transformers import LlamaConfig, LlamaForCausalLM
        >>> from temp_processors import FixedTemperatureLogitsWarper
        >>> config = LlamaConfig(vocab_size=32, hidden_size=8, num_hidden_layers=1, num_attention_heads=1)
        >>> text = torch.tensor([[1, 5, 9, 3]])
        >>> policy_log_probs(LlamaForCausalLM(config), text, FixedTemperatureLogitsWarper(0.5), prompt_length=2).shape
        torch.Size([1, 2])
    """
    scores = _scores(model, input_ids, prompt_length, attention_mask)
    processed = policy.with_prompt_length(prompt_length)(_text(input_ids, attention_mask)[:, :-1], scores)
    return chosen(processed, input_ids[:, prompt_length:])


def trace_tokens(
    model: Any,
    input_ids: Tensor,
    policy: PolicyLogitsWarper,
    prompt_length: int,
    attention_mask: Tensor | None = None,
    top_k: int = 0,
    eos_token_ids: Sequence[int] = (),
) -> TokenTrace:
    """The trace that a policy leaves on finished texts, in one forward pass; nothing is drawn, no gradient is kept.

    Args:
        model, input_ids, policy, prompt_length, attention_mask: As for `policy_log_probs`.
        top_k: How many of the most probable tokens to keep per step, with the weight of the rest; 0 keeps none.
        eos_token_ids: Tokens that end a text; steps after the first are masked.
    """
    with torch.no_grad():
        scores = _scores(model, input_ids, prompt_length, attention_mask)
        tokens, policy = input_ids[:, prompt_length:], policy.with_prompt_length(prompt_length)
        text = _text(input_ids, attention_mask)[:, :-1]
        processed = policy(text, scores)
        seen = measure(policy, text, scores, processed, top_k)
        before, after = chosen(scores, tokens), chosen(processed, tokens)
    return as_trace(tokens, eos_token_ids, seen, before, after)


def measure(policy: Any, input_ids: Tensor, scores: Tensor, processed: Tensor, top_k: int) -> Measured:
    """What is known of a step before its token is chosen; scores (batch, vocab) or (batch, steps, vocab)."""
    temperature = policy.temperature(input_ids, scores).expand(*scores.shape[:-1], 1)
    shape = temperature[..., 0], entropy(scores)[..., 0], entropy(processed)[..., 0]
    if top_k == 0:
        return Measured(*shape, None, None, None)
    top = scores.topk(min(top_k, scores.shape[-1]), dim=-1)
    return Measured(*shape, top.indices, top.values, tail_values(scores, top.indices))


def chosen(scores: Tensor, tokens: Tensor) -> Tensor:
    """Log-probability of the tokens: (..., vocab) and (...) -> (...)."""
    return log_probs(scores).gather(-1, tokens[..., None])[..., 0]


def _text(input_ids: Tensor, attention_mask: Tensor | None) -> Tensor:
    """`input_ids` as policies see them in a batch: padding is no token."""
    if attention_mask is None:
        return input_ids
    text = input_ids.clone()
    text[:, : attention_mask.shape[-1]].masked_fill_(attention_mask == 0, NO_TOKEN)
    return text


def _scores(model: Any, input_ids: Tensor, prompt_length: int, attention_mask: Tensor | None) -> Tensor:
    """The model's scores for the new tokens, as `generate` would pass them on: (batch, new tokens, vocab)."""
    new = input_ids.shape[-1] - prompt_length
    if prompt_length < 1 or new < 1:
        raise ValueError(f"`prompt_length` has to be in [1, {input_ids.shape[-1] - 1}] but is {prompt_length}")
    if model.config.is_encoder_decoder:
        raise ValueError(
            "an encoder-decoder model needs the source text too: record with TemperatureTrace in generate()"
        )
    known = inspect.signature(model.forward).parameters
    arguments: dict[str, Any] = {"logits_to_keep": new} if "logits_to_keep" in known else {}
    if attention_mask is not None:
        mask = torch.nn.functional.pad(attention_mask, (0, input_ids.shape[-1] - attention_mask.shape[-1]), value=1)
        arguments["attention_mask"] = mask[:, :-1]
        if "position_ids" in known:
            arguments["position_ids"] = (mask[:, :-1].long().cumsum(dim=-1) - 1).clamp(min=0)
    logits = model(input_ids=input_ids[:, :-1], use_cache=False, **arguments).logits[:, -new:]
    scores: Tensor = logits.to(working_dtype(logits))
    return scores


def as_trace(tokens: Tensor, ends: Sequence[int], seen: Measured, before: Tensor, after: Tensor) -> TokenTrace:
    """The trace of texts from what was measured at each step and the log-probabilities of their tokens."""
    return TokenTrace(tokens, until_end(tokens, ends), *seen[:3], before, after, *seen[3:])
