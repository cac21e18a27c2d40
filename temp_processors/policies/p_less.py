"""Truncation without a parameter: p-less."""

from __future__ import annotations

import torch
from torch import Tensor

from temp_processors.policies.cuts import FloorLogitsWarper, at_or_below_top
from temp_processors.policies.distribution import working_dtype


class PLessLogitsWarper(FloorLogitsWarper):
    r"""
    [`FloorLogitsWarper`] for p-less: keep p_i >= sum_j p_j^2, the chance that two draws from p are the same token.

    In scores, l_i >= lse(2 l) - lse(l) with lse = ln sum exp. The most likely token is always kept: no mean of the
    probabilities is above the largest, which rounding is not allowed to change.

    Args:
        prompt_length: Not used; every policy takes it.

    Source: arXiv 2509.23234.

    Example:

    ```python
    >>> import torch
    >>> from temp_processors.policies.p_less import PLessLogitsWarper

    >>> scores = torch.tensor([[0.5, 0.4, 0.08, 0.02]]).log()  # sum of squares 0.417
    >>> PLessLogitsWarper()(torch.tensor([[1]]), scores).softmax(dim=-1)
    tensor([[1., 0., 0., 0.]])

    ```
    """

    supports_continuous_batching = True

    def lowest(self, scores: Tensor) -> Tensor:
        p = scores.detach().to(working_dtype(scores)).softmax(dim=-1)
        mean = (torch.linalg.vecdot(p, p).unsqueeze(-1) / p.amax(dim=-1, keepdim=True)).log()
        return at_or_below_top(scores, mean)
