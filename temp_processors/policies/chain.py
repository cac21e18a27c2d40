"""Policies one after the other: temper and then cut, cut and then temper, in any order."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from typing import ClassVar

import torch
from torch import Tensor

from temp_processors.policies.base import PolicyLogitsWarper, no_temperature
from temp_processors.policies.checks import checked
from temp_processors.policies.cuts import CutLogitsWarper
from temp_processors.policies.distribution import working_dtype
from temp_processors.policies.in_turn import cut_in_turn


class ChainLogitsWarper(PolicyLogitsWarper):
    r"""
    [`PolicyLogitsWarper`] that applies several policies in the order in which they are written.

    Each step sees what the one before it left, as in a list of processors: `fixed`, then `top_k`, then `top_p` is
    `generate`'s own order (a hot temperature lets more tokens in), cuts before the temperature are the order of llama.cpp.
    The temperature of a chain is the product of those of its steps, each at the scores that the step sees; cuts
    take no part in it. It is nan where a step bends the scores, and where all of them cut.

    Args:
        steps (`Sequence[PolicyLogitsWarper]`): At least one; of every kind, `xtc` as the last.
        prompt_length (*optional*): If given, handed on to the steps; one per row if a tensor.

    Example:

    ```python
    >>> import torch
    >>> from temp_processors import ChainLogitsWarper, FixedTemperatureLogitsWarper
    >>> from temp_processors.policies.cuts import TopPCutLogitsWarper

    >>> fixed, top_p = FixedTemperatureLogitsWarper(0.5), TopPCutLogitsWarper(0.8)
    >>> scores = torch.tensor([[3.0, 2.0, 1.0]])
    >>> ChainLogitsWarper([fixed, top_p])(torch.tensor([[1]]), scores)  # as generate does
    tensor([[6., -inf, -inf]])
    >>> ChainLogitsWarper([top_p, fixed])(torch.tensor([[1]]), scores)  # as llama.cpp does
    tensor([[6., 4., -inf]])

    ```
    """

    example: ClassVar = {
        "steps": [
            {"kind": "fixed", "temperature": 0.6},
            {"kind": "top_k", "top_k": 20},
            {"kind": "top_p", "top_p": 0.95},
        ]
    }
    supports_continuous_batching = True  # if those inside do

    @checked
    def __init__(self, steps: Sequence[PolicyLogitsWarper], *, prompt_length: int | Tensor | None = None) -> None:
        super().__init__()
        self.links = tuple(steps)
        if not self.links:
            raise ValueError("`steps` has to hold at least one policy, but is empty")
        for place, step in enumerate(self.links[:-1]):
            if step.comes_last:
                raise ValueError(
                    f"`steps[{place}]` ({type(step).__name__}) has to be the last step: what follows it belongs into its `then`"
                )
        self.comes_last = self.links[-1].comes_last
        self.supports_continuous_batching = all(step.supports_continuous_batching for step in self.links)
        self.per_row = any(step.per_row for step in self.links)
        self.only_scales = all(step.only_scales for step in self.links)
        self.only_cuts = all(step.only_cuts for step in self.links)
        self.keeps_best = all(step.keeps_best for step in self.links)
        if prompt_length is not None:
            self._hand_on(prompt_length)

    def with_prompt_length(self, prompt_length: int | Tensor) -> ChainLogitsWarper:
        other = super().with_prompt_length(prompt_length)
        other._hand_on(prompt_length)
        return other

    def _hand_on(self, prompt_length: int | Tensor) -> None:
        self.links = tuple(step.with_prompt_length(prompt_length) for step in self.links)

    def temperature(self, input_ids: Tensor, scores: Tensor) -> Tensor:
        if self.only_cuts:
            return no_temperature(scores)
        biggest = torch.finfo(working_dtype(scores)).max
        last = max(place for place, step in enumerate(self.links) if not step.only_cuts)
        value = torch.ones_like(scores[..., :1], dtype=working_dtype(scores))
        for place, step in enumerate(self.links[: last + 1]):
            if not step.only_cuts:
                value = (value * step.temperature(input_ids, scores)).clamp(max=biggest)  # not inf, as in a product
            if place < last:
                scores = step(input_ids, scores)
        return value

    def process(self, input_ids: Tensor, scores: Tensor) -> Tensor:
        for cuts, steps in itertools.groupby(self.links, key=_is_cut):
            if cuts:
                scores = cut_in_turn([step for step in steps if isinstance(step, CutLogitsWarper)], input_ids, scores)
            else:
                for step in steps:
                    scores = step(input_ids, scores)
        return scores


def _is_cut(step: PolicyLogitsWarper) -> bool:
    return isinstance(step, CutLogitsWarper)
