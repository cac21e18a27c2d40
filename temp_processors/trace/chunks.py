"""Finished texts laid out for a policy, and what it makes of a few of their tokens at once."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from dataclasses import dataclass
from functools import partial
from typing import Any

import torch
from torch import Tensor
from torch.autograd.function import FunctionCtx, once_differentiable
from torch.utils.checkpoint import checkpoint

from temp_processors.policies.base import PolicyLogitsWarper
from temp_processors.policies.distribution import at_temperature, may_overflow, working_dtype
from temp_processors.policies.fast_entropy import entropy
from temp_processors.policies.positions import NO_TOKEN
from temp_processors.trace.inputs import Head
from temp_processors.trace.turns import Turns, find_turns, turns_within

CHUNK = {"cpu": 1 << 24}
"""Scores in a chunk, by type of device, unless its tokens are given. 64 MiB in float32 are 110 tokens of a vocabulary of 151,936. Blocks of
less than 32 MiB would be a little faster on the CPU, but glibc carves small tensors out of them, and memory grows with every chunk."""
LARGE_CHUNK = 1 << 25
"""Elsewhere: few large products keep an accelerator busy."""


@dataclass(frozen=True)
class Batch:
    """Texts of which the last `steps` tokens are looked at.

    Args:
        hidden: (batch, steps, hidden); `hidden[:, s]` predicts `tokens[:, s]`.
        head: (batch, n, hidden) -> (batch, n, vocab).
        text: (batch, length - 1), what stands before the last token, padding as `NO_TOKEN`.
        tokens: (batch, steps).
        policy: With the prompt length of these texts, unless there are `turns`.
        turns: Where prompt lengths differ from token to token, or some tokens were not drawn.
    """

    hidden: Tensor
    head: Head
    text: Tensor
    tokens: Tensor
    policy: PolicyLogitsWarper
    turns: Turns | None

    def chunks(self, tokens: int | None) -> Iterator[tuple[int, Tensor]]:
        """The first step of every chunk, and its hidden states; `tokens` over all rows, at least one step of each."""
        rows, steps = self.tokens.shape
        size = max(1, (self._usual() if tokens is None else tokens) // max(1, rows))
        yield from zip(range(0, steps, size), torch.split(self.hidden, size, dim=1), strict=True)

    def _usual(self) -> int:
        with torch.no_grad():
            vocabulary = self.head(self.hidden[:1, :1]).shape[-1]
        return CHUNK.get(self.hidden.device.type, LARGE_CHUNK) // vocabulary

    def known_temperature(self) -> Tensor | None:
        """The temperature of every token, (batch, steps), where it can be known without the scores and is one to divide by."""
        if self.turns is not None or not (self.policy.only_scales and self.policy.ignores_scores):
            return None
        no_scores = self.hidden[..., :1].detach()  # their shape and dtype are all that is looked at
        temperature = self.policy.temperature(self.text, no_scores)[..., 0].expand(self.tokens.shape)
        if temperature.requires_grad or temperature.numel() == 0:
            return None
        return temperature if float(temperature.amin()) >= may_overflow(temperature.dtype) else None

    def measured(self, begin: int, hidden: Tensor, wanted: Collection[str], stop: bool) -> dict[str, Tensor]:
        """What is `wanted` of the tokens of a chunk, (batch, n) each; in the backward pass it is computed again.

        Args:
            begin, hidden: From `chunks`.
            wanted: Fields of `TokenLogProbs`; the first is always there.
            stop: Whether the temperature counts as a constant.
        """
        find = partial(self._measured, begin, wanted=wanted, stop=stop)
        if not torch.is_grad_enabled():
            return find(hidden)
        again: dict[str, Tensor] = checkpoint(find, hidden, use_reentrant=False, preserve_rng_state=False)
        return again

    def _measured(self, begin: int, hidden: Tensor, *, wanted: Collection[str], stop: bool) -> dict[str, Tensor]:
        end = begin + hidden.shape[1]
        if self.turns is None:
            return measure(self.policy, *self.shown(begin, hidden), wanted, stop)
        drawn = self.turns.drawn[:, begin:end]
        # What padding made of the states is shown to nothing: nan would come back in the gradient.
        shown = self.shown(begin, hidden.masked_fill(~drawn[..., None], 0.0))
        result: dict[str, Tensor] = {}
        for prompt_length, here in turns_within(self.turns, begin, end):
            found = measure(self.policy.with_prompt_length(prompt_length), *shown, wanted, stop)
            here = here & drawn
            result = {name: torch.where(here, value, result.get(name, 0.0)) for name, value in found.items()}
        return result

    def shown(self, begin: int, hidden: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """What a policy is called with, ids and scores, and the tokens that follow."""
        scores = self.head(hidden)
        end = begin + hidden.shape[1]
        width = self.text.shape[1] - self.tokens.shape[1] + end
        return self.text[:, :width], scores.to(working_dtype(scores)), self.tokens[:, begin:end]


def measure(
    policy: PolicyLogitsWarper, text: Tensor, scores: Tensor, tokens: Tensor, wanted: Collection[str], stop: bool
) -> dict[str, Tensor]:
    """The `wanted` fields of `TokenLogProbs` for scores (batch, n, vocab) and tokens (batch, n)."""
    processed = at_constant_temperature(policy, text, scores) if stop else policy(text, scores)
    found = {"log_prob_after": token_log_probs(processed, tokens)}
    if "temperature" in wanted:
        temperature = policy.temperature(text, scores.detach() if stop else scores)
        found["temperature"] = temperature.expand(*scores.shape[:-1], 1)[..., 0]
    if "entropy" in wanted:
        found["entropy"] = entropy(scores)[..., 0]
    if "entropy_after" in wanted:
        found["entropy_after"] = entropy(processed)[..., 0]
    if "log_prob" in wanted:
        found["log_prob"] = token_log_probs(scores, tokens)
    return found


def at_constant_temperature(policy: PolicyLogitsWarper, text: Tensor, scores: Tensor) -> Tensor:
    """What the policy makes of the scores, its temperature a constant for the gradient.

    Where it has none (nan), which is where it bends the scores or only cuts, all of it is differentiated.
    """
    with torch.no_grad():
        temperature = policy.temperature(text, scores)
    if policy.only_scales:
        return at_temperature(scores, temperature, policy.coldest)
    processed = policy(text, scores)
    bent = torch.isnan(temperature)
    scaled = at_temperature(scores, temperature.masked_fill(bent, 1.0))
    return torch.where(bent, processed, scaled.masked_fill(torch.isneginf(processed), -torch.inf))


def token_log_probs(scores: Tensor, tokens: Tensor) -> Tensor:
    """ln softmax(scores) at the tokens: (..., vocab) and (...) -> (...); -inf, with gradient 0, where the score is -inf."""
    found: Tensor = _TokenLogProbs.apply(scores, tokens[..., None])  # type: ignore[no-untyped-call]
    return found[..., 0]


class _TokenLogProbs(torch.autograd.Function):
    """One tensor of the size of the scores forward and one backward, where gather and log_softmax need three."""

    @staticmethod
    def forward(ctx: FunctionCtx, scores: Tensor, tokens: Tensor) -> Tensor:
        every = torch.log_softmax(scores, dim=-1)
        found = every.gather(-1, tokens)
        ctx.save_for_backward(every, tokens, found)
        return found

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor, None]:
        every, tokens, found = ctx.saved_tensors
        gradient = gradient.masked_fill(torch.isneginf(found), 0.0)
        back = every.exp().mul_(-gradient)
        return back.scatter_add_(-1, tokens, gradient), None


def batch_of(
    hidden: Tensor,
    head: Tensor | Head,
    input_ids: Tensor,
    policy: PolicyLogitsWarper,
    prompt_length: int | Tensor,
    attention_mask: Tensor | None,
    completion_mask: Tensor | None,
) -> Batch:
    """The arguments of `log_probs_from_hidden` as a [`Batch`]."""
    steps, length = hidden.shape[1], input_ids.shape[1]
    first = length - steps
    tokens = input_ids[:, first:]
    project = partial(torch.nn.functional.linear, weight=head) if isinstance(head, Tensor) else head
    drawn = _drawn(tokens, prompt_length, first, completion_mask)
    turns = None if drawn is None else find_turns(drawn, prompt_length, first)
    if drawn is not None:
        tokens = tokens.masked_fill(~drawn, 0)  # no id where a trainer has put -100
    text = as_text(input_ids, attention_mask)[:, :-1]
    return Batch(hidden, project, text, tokens, policy.with_prompt_length(prompt_length), turns)


def _drawn(tokens: Tensor, prompt_length: int | Tensor, first: int, completion_mask: Tensor | None) -> Tensor | None:
    """Which tokens the policy drew, boolean (batch, steps); None if it drew all, and the prompts have one length."""
    if completion_mask is None and not isinstance(prompt_length, Tensor) and prompt_length <= first:
        return None
    columns = torch.arange(first, first + tokens.shape[1], device=tokens.device)
    drawn = columns >= torch.as_tensor(prompt_length, device=tokens.device).view(-1, 1)
    drawn = drawn.expand(tokens.shape)
    return drawn if completion_mask is None else drawn & completion_mask[:, -tokens.shape[1] :].to(drawn)


def as_text(input_ids: Tensor, attention_mask: Tensor | None) -> Tensor:
    """`input_ids` as policies see them in a batch: padding is no token."""
    if attention_mask is None:
        return input_ids
    text = input_ids.clone()
    text[:, : attention_mask.shape[-1]].masked_fill_(attention_mask == 0, NO_TOKEN)
    return text
