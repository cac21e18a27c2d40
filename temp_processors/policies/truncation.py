"""Truncation that takes part in the policy: a nucleus that shrinks within a sentence, and temperature put last."""

from __future__ import annotations

from typing import ClassVar

from torch import Tensor

from temp_processors.policies.base import PolicyLogitsWarper, no_temperature
from temp_processors.policies.checks import AnyTokenIds, AtLeastOne, Share, Unit, as_ids, checked
from temp_processors.policies.cuts import CutLogitsWarper, MinPCutLogitsWarper, TopKCutLogitsWarper, TopPCutLogitsWarper
from temp_processors.policies.distribution import working_dtype
from temp_processors.policies.in_turn import cut_in_turn
from temp_processors.policies.nucleus import nucleus
from temp_processors.policies.positions import steps_since


class TopPDecayLogitsWarper(PolicyLogitsWarper):
    r"""
    [`PolicyLogitsWarper`] for the factual nucleus: keep the top p_t = max(minimum, top_p decay^t) of the probability.

    t counts the new tokens since the sentence began, 0 for its first: since the last new token in `reset_ids`, or since
    the prompt. Tokens outside the nucleus go to -inf, the others keep their scores; the most likely token always
    stays. The nucleus is that of transformers' `TopPLogitsWarper`; of equally likely tokens it takes the last ones.

    Args:
        top_p (`float`, *optional*, defaults to 0.9): p of the first token of a sentence, in (0, 1].
        decay (`float`, *optional*, defaults to 0.9): lambda, in (0, 1].
        minimum (`float`, *optional*, defaults to 0.3): omega, in [0, 1].
        reset_ids (token ids, *optional*): Tokens that end a sentence.
        prompt_length (`int` or `torch.LongTensor` of shape `(batch,)`, *optional*, defaults to 0):
            Width of the prompt in tokens, padding included.

    Source: Lee et al. 2022, arXiv 2206.04624 (whose t starts at 1 for the same p).

    Example:

    ```python
    >>> import torch
    >>> from temp_processors import TopPDecayLogitsWarper

    >>> nucleus = TopPDecayLogitsWarper(top_p=0.9, decay=0.5, reset_ids=[6], prompt_length=1)
    >>> nucleus.top_p(torch.tensor([[5, 1, 2], [5, 1, 6]]), torch.zeros(2, 9))
    tensor([[0.3000],
            [0.9000]])

    ```
    """

    supports_continuous_batching = False
    only_scales = False
    only_cuts = True

    @checked
    def __init__(
        self,
        top_p: Share = 0.9,
        decay: Share = 0.9,
        minimum: Unit = 0.3,
        reset_ids: AnyTokenIds = (),
        *,
        prompt_length: int | Tensor = 0,
    ) -> None:
        super().__init__(prompt_length=prompt_length)
        self.start, self.decay, self.minimum = top_p, decay, minimum
        self.reset_ids = as_ids(reset_ids)

    def top_p(self, input_ids: Tensor, scores: Tensor) -> Tensor:
        """The share kept at each step: broadcastable to (batch, 1), or to (batch, steps, 1) for 3-D scores."""
        step = self.steps(input_ids, scores)
        if self.reset_ids:
            step = steps_since(input_ids, scores, self.prompt_length, self.reset_ids)
        return (self.start * self.decay ** step.to(working_dtype(scores))).clamp(min=self.minimum)

    def temperature(self, input_ids: Tensor, scores: Tensor) -> Tensor:
        """nan: no single temperature does this."""
        return no_temperature(scores)

    def process(self, input_ids: Tensor, scores: Tensor) -> Tensor:
        rest = 1.0 - self.top_p(input_ids, scores)
        return nucleus(scores.to(working_dtype(scores)), rest, stable=True).to(scores.dtype)


class TruncateThenTemperLogitsWarper(PolicyLogitsWarper):
    r"""
    [`PolicyLogitsWarper`] that truncates the raw scores and applies the temperature policy last.

    The order of llama.cpp and mlx-lm. `generate` does it the other way round: there top-p and min-p see the tempered
    distribution, so that a high temperature lets more tokens in. Truncation is transformers' own: top-k, then top-p,
    then min-p. Call `generate` with `top_k=0` and without `top_p` and `min_p`, or they are applied again.

    Args:
        policy (`PolicyLogitsWarper`): What to do with the tokens that remain; it sees the others at -inf.
        top_k (`int`, *optional*): >= 1.
        top_p (`float`, *optional*): In (0, 1].
        min_p (`float`, *optional*): In [0, 1], relative to the most likely token.
        prompt_length (*optional*): If given, handed on to the policy.

    Example:

    ```python
    >>> import torch
    >>> from temp_processors import FixedTemperatureLogitsWarper, TruncateThenTemperLogitsWarper

    >>> last = TruncateThenTemperLogitsWarper(FixedTemperatureLogitsWarper(0.5), top_p=0.8)
    >>> last(torch.tensor([[1]]), torch.tensor([[3.0, 2.0, 1.0]]))
    tensor([[6., 4., -inf]])

    ```
    """

    example: ClassVar = {"top_p": 0.9}
    supports_continuous_batching = True  # if the policy does
    only_scales = False

    @checked
    def __init__(
        self,
        policy: PolicyLogitsWarper,
        *,
        top_k: AtLeastOne | None = None,
        top_p: Share | None = None,
        min_p: Unit | None = None,
        prompt_length: int | Tensor | None = None,
    ) -> None:
        super().__init__()
        if top_k is None and top_p is None and min_p is None:
            raise ValueError("`top_k`, `top_p` or `min_p` has to be given: without any, use the policy itself")
        self.policy = policy if prompt_length is None else policy.with_prompt_length(prompt_length)
        self.supports_continuous_batching = policy.supports_continuous_batching
        self.keeps_best, self.comes_last = policy.keeps_best, policy.comes_last
        self.cuts: list[CutLogitsWarper] = []
        if top_k is not None:
            self.cuts.append(TopKCutLogitsWarper(top_k))
        if top_p is not None:
            self.cuts.append(TopPCutLogitsWarper(top_p))
        if min_p is not None:
            self.cuts.append(MinPCutLogitsWarper(min_p))

    def with_prompt_length(self, prompt_length: int | Tensor) -> TruncateThenTemperLogitsWarper:
        other = super().with_prompt_length(prompt_length)
        other.policy = self.policy.with_prompt_length(prompt_length)
        return other

    def truncated(self, input_ids: Tensor, scores: Tensor) -> Tensor:
        """The scores with every truncated token at -inf; a new tensor."""
        return cut_in_turn(self.cuts, input_ids, scores)

    def temperature(self, input_ids: Tensor, scores: Tensor) -> Tensor:
        """That of the policy on the tokens that remain."""
        return self.policy.temperature(input_ids, self.truncated(input_ids, scores))

    def process(self, input_ids: Tensor, scores: Tensor) -> Tensor:
        return self.policy(input_ids, self.truncated(input_ids, scores))
