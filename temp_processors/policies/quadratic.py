"""Policies that bend the scores instead of dividing them."""

from __future__ import annotations

from typing import ClassVar

import torch
from torch import Tensor

from temp_processors.policies.base import PolicyLogitsWarper, no_temperature
from temp_processors.policies.blocks import BLOCK
from temp_processors.policies.checks import Curve, Positive, checked
from temp_processors.policies.distribution import top_score, without_sync


class QuadraticLogitsWarper(PolicyLogitsWarper):
    r"""
    [`PolicyLogitsWarper`] for quadratic smoothing: l' = max - k f d^2 + s f d^3 with d = l - max.

    k = (3 - curve) / 2 and s = (curve - 1) / 2, `curve` 1 is the plain parabola. Tokens near the maximum come closer
    to it, far ones fall away. The maximum keeps its score, row by row. The formula of text-generation-webui at
    temperature 1; koboldcpp divides d by the temperature first, exllamav2 divides f.

    Args:
        factor (`float`): f, > 0. A difference of 1 / f from the maximum is left as it is (at curve 1).
        curve (`float`, *optional*, defaults to 1): In [1, 3].
        prompt_length: Not used; every policy takes it.

    Source: kalomaze's smooth sampling, as in text-generation-webui.

    Example:

    ```python
    >>> import torch
    >>> from temp_processors import QuadraticLogitsWarper

    >>> QuadraticLogitsWarper(factor=1.0)(torch.tensor([[1]]), torch.tensor([[2.0, 1.5, 1.0, 0.0]]))
    tensor([[ 2.0000,  1.7500,  1.0000, -2.0000]])

    ```
    """

    example: ClassVar = {"factor": 0.3}
    supports_continuous_batching = True
    only_scales = False

    @checked
    def __init__(self, factor: Positive, curve: Curve = 1.0, *, prompt_length: int | Tensor = 0) -> None:
        super().__init__(prompt_length=prompt_length)
        self.factor, self.curve = factor, curve

    def temperature(self, input_ids: Tensor, scores: Tensor) -> Tensor:
        """nan: no single temperature does this."""
        return no_temperature(scores)

    def process(self, input_ids: Tensor, scores: Tensor) -> Tensor:
        square, cube = (3.0 - self.curve) / 2.0 * self.factor, (self.curve - 1.0) / 2.0 * self.factor
        if without_sync(scores):
            masked = torch.isneginf(scores)
            top = top_score(scores)
            gap = (scores.to(top.dtype) - top).masked_fill(masked, 0.0)  # nor does a gradient see -inf
            bent = top + gap.square() * (cube * gap - square)
            return bent.masked_fill(masked, -torch.inf).to(scores.dtype)
        rows = scores.reshape(-1, scores.shape[-1])
        if rows.numel() <= BLOCK:
            return _bent(rows, square, cube).to(scores.dtype).view(scores.shape)
        result, height = torch.empty_like(rows), max(1, BLOCK // rows.shape[-1])
        for block, into in zip(torch.split(rows, height), torch.split(result, height), strict=True):
            into.copy_(_bent(block, square, cube))
        return result.view(scores.shape)


def _bent(rows: Tensor, square: float, cube: float) -> Tensor:
    """A few rows at once, which stay in the cache, in the working dtype; -inf squared is inf, and comes out as -inf."""
    top = top_score(rows)
    gap = rows.to(top.dtype) - top
    if cube:
        return torch.addcmul(top, gap.square(), gap.mul_(cube).sub_(square))
    return torch.addcmul(top, gap, gap, value=-square, out=gap)
