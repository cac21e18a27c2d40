"""What a policy does to finished texts: its trace, in one forward pass."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import torch
from torch import Tensor

from temp_processors.distribution import entropy, log_probs
from temp_processors.policies.base import PolicyLogitsWarper
from temp_processors.policies.checks import check_whole
from temp_processors.trace.chunks import batch_of
from temp_processors.trace.heads import new_token_states
from temp_processors.trace.inputs import check_texts
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
    check_texts(input_ids, policy, prompt_length, attention_mask)
    check_whole("top_k", top_k)
    with torch.no_grad():
        found = new_token_states(model, input_ids, prompt_length, attention_mask)
        batch = batch_of(found.states, found.head, input_ids, policy, prompt_length, attention_mask, None)
        parts = [_traced(batch.policy, *batch.shown(*chunk), top_k) for chunk in batch.chunks(None)]
    columns: list[Any] = [None if part[0] is None else torch.cat(part, dim=1) for part in zip(*parts, strict=True)]
    return as_trace(batch.tokens, eos_token_ids, Measured(*columns[:-2]), *columns[-2:])


def _traced(policy: PolicyLogitsWarper, text: Tensor, scores: Tensor, tokens: Tensor, top_k: int) -> tuple[Any, ...]:
    """The fields of [`Measured`] for a chunk, and the log-probabilities of its tokens before and after."""
    processed = policy(text, scores)
    return *measure(policy, text, scores, processed, top_k), chosen(scores, tokens), chosen(processed, tokens)


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


def as_trace(tokens: Tensor, ends: Sequence[int], seen: Measured, before: Tensor, after: Tensor) -> TokenTrace:
    """The trace of texts from what was measured at each step and the log-probabilities of their tokens."""
    return TokenTrace(tokens, until_end(tokens, ends), *seen[:3], before, after, *seen[3:])
