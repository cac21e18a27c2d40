"""Rollouts under a policy with what a trainer has to know of every token: log-probability and temperature at the draw."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any, NamedTuple

import torch
from torch import Tensor
from transformers import GenerationConfig

from temp_processors.audit.audit import plain_sampling_kwargs
from temp_processors.policies.base import PolicyLogitsWarper
from temp_processors.policies.positions import NO_TOKEN
from temp_processors.serving.continuous import PolicyCarrier
from temp_processors.trace.recorder import TemperatureTrace
from temp_processors.trace.table import TokenTrace


class Rollout(NamedTuple):
    """Texts and what is known of every token, as plain lists: one list per text, one entry per new token.

    Args:
        prompt_ids: Tokens of the prompts, without padding.
        completion_ids: The new tokens, up to the first end of sequence, included.
        logprobs: Natural-log probability with which each token was drawn, under the policy.
        temperatures: What the scores were divided by before each draw; None where the policy has no single temperature.
        entropies: Entropy of the distribution that each token was drawn from, in nats.
        entropies_before: The same before the policy acted.
    """

    prompt_ids: list[list[int]]
    completion_ids: list[list[int]]
    logprobs: list[list[float]]
    temperatures: list[list[float | None]]
    entropies: list[list[float]]
    entropies_before: list[list[float]]


class PaddedPromptLogitsWarper(PolicyLogitsWarper):
    """A policy for a batch of prompts that are padded on the left: where padding stands it sees no token.

    So a pad token that is also the end of a line or of a thought is taken for neither, and `generate` and
    `policy_log_probs` show a policy the same text.

    Args:
        policy: Its own prompt length is replaced by the width of the mask.
        prompt_mask: (batch, width of the prompts), 0 for padding.

    Example:
        >>> from temp_processors import FixedTemperatureLogitsWarper as Fixed, PhaseLogitsWarper
        >>> phase = PhaseLogitsWarper(open_ids=[0], close_ids=[8], inside=Fixed(2.0), outside=Fixed(1.0))
        >>> padded = PaddedPromptLogitsWarper(phase, torch.tensor([[0, 1], [1, 1]]))
        >>> padded.temperature(torch.tensor([[0, 5], [0, 5]]), torch.zeros(2, 9)).tolist()
        [[1.0], [2.0]]
    """

    def __init__(self, policy: PolicyLogitsWarper, prompt_mask: Tensor) -> None:
        width = prompt_mask.shape[-1]
        super().__init__(prompt_length=width)
        self.policy = policy.with_prompt_length(width)
        self.padding = prompt_mask == 0

    def temperature(self, input_ids: Tensor, scores: Tensor) -> Tensor:
        return self.policy.temperature(self.text(input_ids), scores)

    def process(self, input_ids: Tensor, scores: Tensor) -> Tensor:
        return self.policy(self.text(input_ids), scores)

    def text(self, input_ids: Tensor) -> Tensor:
        """(batch, length) with the padding of the prompts as `NO_TOKEN`."""
        text = input_ids.clone()
        text[:, : self.padding.shape[-1]].masked_fill_(self.padding.to(text.device), NO_TOKEN)
        return text


class RecordedPolicy(PolicyCarrier):
    """Takes a policy into `generate` through its generation configuration, and remembers what the policy did.

    For programs that call `generate` themselves and pass no processors on. `generate` copies its configuration; all copies
    share this object.
    """

    def __init__(self, policy: PolicyLogitsWarper, prompt_mask: Tensor) -> None:
        super().__init__(PaddedPromptLogitsWarper(policy, prompt_mask))
        self.trace = TemperatureTrace(self.policy)

    def __deepcopy__(self, memo: dict[int, Any]) -> RecordedPolicy:
        return self

    def construct_processor(self, vocab_size: int, device: Any) -> Any:
        return self.trace


def rollout(
    model: Any,
    prompt_ids: Sequence[Sequence[int]],
    policy: PolicyLogitsWarper,
    *,
    max_new_tokens: int,
    eos_token_ids: Sequence[int] | None = None,
    pad_token_id: int | None = None,
) -> Rollout:
    """Draw one text for each prompt with `model.generate` under a policy, for a trainer that wants tokens with their temperatures.

    Everything else that `generate` may apply is switched off, the checkpoint's sampling settings too. The draw is from
    torch's global generator. The numbers are those of the draw itself, not of a second pass.

    Args:
        model: A decoder-only transformers model.
        prompt_ids: Tokens of the prompts, of any lengths of at least 1; they are padded on the left.
        policy: Its own prompt length is replaced.
        max_new_tokens: Most tokens of a text.
        eos_token_ids: Tokens that end a text (default: the model's).
        pad_token_id: Filler (default: the model's, or else the first end token, or 0).

    Raises:
        ValueError: for an empty prompt, or none.

    Example:
        >>> from transformers import LlamaConfig, LlamaForCausalLM
        >>> from temp_processors import ScheduledTemperatureLogitsWarper
        >>> config = LlamaConfig(vocab_size=32, hidden_size=8, num_hidden_layers=1, num_attention_heads=1, eos_token_id=None)
        >>> cooling = ScheduledTemperatureLogitsWarper("linear", start=1.5, end=0.5, steps=2)
        >>> drawn = rollout(LlamaForCausalLM(config), [[1, 5], [7]], cooling, max_new_tokens=3)
        >>> drawn.temperatures
        [[1.5, 1.0, 0.5], [1.5, 1.0, 0.5]]
    """
    if not prompt_ids or not all(len(ids) for ids in prompt_ids):
        raise ValueError("`prompt_ids` has to hold at least one prompt, and every prompt at least one token")
    ends = _ends(model.generation_config.eos_token_id) if eos_token_ids is None else list(eos_token_ids)
    pads = (pad_token_id, model.generation_config.pad_token_id, *ends, 0)
    pad = next(token for token in pads if token is not None)
    tokens, mask = left_padded(prompt_ids, pad, model.device)
    trace = TemperatureTrace(PaddedPromptLogitsWarper(policy, mask))
    config = GenerationConfig(max_new_tokens=max_new_tokens, eos_token_id=ends or None, pad_token_id=pad)
    with torch.no_grad():
        sequences = model.generate(
            input_ids=tokens,
            attention_mask=mask,
            generation_config=config,
            logits_processor=[trace],
            **plain_sampling_kwargs(),
        )
    return as_rollout(prompt_ids, trace.finish(sequences, ends))


def left_padded(
    prompt_ids: Sequence[Sequence[int]], pad: int, device: Any = None, multiple_of: int = 1
) -> tuple[Tensor, Tensor]:
    """Tokens and mask, (batch, longest prompt) each; the width is rounded up to a multiple."""
    width = -(-max(map(len, prompt_ids)) // multiple_of) * multiple_of
    rows = [[pad] * (width - len(ids)) + list(ids) for ids in prompt_ids]
    masks = [[0] * (width - len(ids)) + [1] * len(ids) for ids in prompt_ids]
    return torch.tensor(rows, device=device), torch.tensor(masks, device=device)


def as_rollout(prompt_ids: Sequence[Sequence[int]], trace: TokenTrace) -> Rollout:
    """What a trace holds of each text up to its end, as lists.

    Args:
        prompt_ids: The prompts, one for each row of the trace.
        trace: As `TemperatureTrace.finish` and `trace_tokens` return it.
    """
    kept = [mask.nonzero()[:, 0] for mask in trace.mask.cpu()]

    def lists(values: Tensor) -> list[list[Any]]:
        return [row[places].tolist() for row, places in zip(values.cpu(), kept, strict=True)]

    temperatures = [[None if math.isnan(value) else value for value in row] for row in lists(trace.temperature)]
    return Rollout(
        [list(ids) for ids in prompt_ids],
        lists(trace.token_ids),
        lists(trace.log_prob_after),
        temperatures,
        lists(trace.entropy_after),
        lists(trace.entropy),
    )


def _ends(value: int | list[int] | None) -> list[int]:
    return [] if value is None else [value] if isinstance(value, int) else list(value)
