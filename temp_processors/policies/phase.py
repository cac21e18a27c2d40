"""One policy inside a pair of tags and another outside, such as a thinking phase and its answer."""

from __future__ import annotations

from typing import ClassVar

import torch
from torch import Tensor

from temp_processors.policies.base import PolicyLogitsWarper
from temp_processors.policies.checks import as_ids, checked
from temp_processors.policies.few import Few
from temp_processors.policies.positions import at_the_end, ends_tag, last_before
from temp_processors.policies.tags import Tag


class PhaseLogitsWarper(PolicyLogitsWarper):
    r"""
    [`PolicyLogitsWarper`] with one policy inside a pair of tags (`<think>` ... `</think>`) and another outside.

    A row is inside when the last opening tag in its `input_ids`, prompt included, stands after the last closing tag.
    A tag is a token id or a sequence of them; the token after the complete opening tag is the first inside, the closing
    tag itself is still drawn inside. Rows go in and out on their own, as often as they like.

    Args:
        open_ids (token ids): The opening tag, as the sequence of ids that it is made of.
        close_ids (token ids): The closing tag, other than the opening one.
        inside (`PolicyLogitsWarper`): The policy between the tags.
        outside (`PolicyLogitsWarper`): The policy elsewhere.
        prompt_length (*optional*): If given, handed on to both policies; the tags are found without it.

    Example:

    ```python
    >>> import torch
    >>> from temp_processors import FixedTemperatureLogitsWarper as Fixed
    >>> from temp_processors import PhaseLogitsWarper

    >>> phase = PhaseLogitsWarper(open_ids=[7], close_ids=[8], inside=Fixed(1.0), outside=Fixed(0.5))
    >>> phase.temperature(torch.tensor([[1, 7, 2], [7, 2, 8]]), torch.zeros(2, 9))
    tensor([[1.0000],
            [0.5000]])

    ```
    """

    example: ClassVar = {"open": "<think>", "close": "</think>", "inside": {"kind": "fixed", "temperature": 0.6}}
    supports_continuous_batching = False

    @checked
    def __init__(
        self,
        open_ids: Tag,
        close_ids: Tag,
        inside: PolicyLogitsWarper,
        outside: PolicyLogitsWarper,
        *,
        prompt_length: int | Tensor | None = None,
    ) -> None:
        super().__init__()
        self.open_ids, self.close_ids = as_ids(open_ids), as_ids(close_ids)
        if self.open_ids == self.close_ids:
            raise ValueError(f"`close_ids` has to differ from `open_ids`, but both are {list(self.open_ids)}")
        self.inside, self.outside = inside, outside
        self.only_scales = inside.only_scales and outside.only_scales
        self.ignores_scores = inside.ignores_scores and outside.ignores_scores
        self.only_cuts = inside.only_cuts and outside.only_cuts
        self.keeps_best = inside.keeps_best and outside.keeps_best
        self.comes_last = inside.comes_last or outside.comes_last
        self.coldest = min(inside.coldest, outside.coldest)
        self._every_row = inside.per_row or outside.per_row  # their number of rows is checked from the first call on
        if prompt_length is not None:
            self._hand_on(prompt_length)

    def with_prompt_length(self, prompt_length: int | Tensor) -> PhaseLogitsWarper:
        other = super().with_prompt_length(prompt_length)
        other._hand_on(prompt_length)
        return other

    def _hand_on(self, prompt_length: int | Tensor) -> None:
        self.inside = self.inside.with_prompt_length(prompt_length)
        self.outside = self.outside.with_prompt_length(prompt_length)

    def is_inside(self, input_ids: Tensor, scores: Tensor) -> Tensor:
        """Which rows are between the tags: a boolean (batch, 1), or (batch, steps, 1) for 3-D scores."""
        inside = self._few_inside(input_ids, scores)
        return inside if isinstance(inside, Tensor) else torch.from_numpy(inside)

    def _few_inside(self, input_ids: Tensor, scores: Tensor) -> Few:
        tokens = at_the_end(input_ids, scores)
        opened, closed = (
            last_before(ends_tag(tokens, ids), input_ids, scores) for ids in (self.open_ids, self.close_ids)
        )
        return opened > closed

    def _policies(self, input_ids: Tensor, scores: Tensor) -> tuple[Tensor | None, list[PolicyLogitsWarper]]:
        """The one policy that all rows are under, where that is known at no cost, or which are inside, and both policies."""
        inside = self._few_inside(input_ids, scores)
        if isinstance(inside, Tensor):
            return inside, [self.inside, self.outside]
        if not self._every_row and inside.size and inside.min() == inside.max():
            return None, [self.inside if inside[0, 0] else self.outside]
        return torch.from_numpy(inside), [self.inside, self.outside]

    def temperature(self, input_ids: Tensor, scores: Tensor) -> Tensor:
        """That of the policy each row is under; nan where that has no single one."""
        inside, policies = self._policies(input_ids, scores)
        values = [policy.temperature(input_ids, scores) for policy in policies]
        return values[0] if inside is None else torch.where(inside, values[0], values[1])

    def process(self, input_ids: Tensor, scores: Tensor) -> Tensor:
        if self.only_scales:
            return super().process(input_ids, scores)
        inside, policies = self._policies(input_ids, scores)
        results = [policy(input_ids, scores) for policy in policies]
        return results[0] if inside is None else torch.where(inside, results[0], results[1])
