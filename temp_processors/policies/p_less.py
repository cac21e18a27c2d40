"""Truncation without a parameter: p-less."""

from __future__ import annotations

from torch import Tensor

from temp_processors.policies.cuts import CutLogitsWarper
from temp_processors.policies.distribution import whole_gap


class PLessLogitsWarper(CutLogitsWarper):
    r"""
    [`CutLogitsWarper`] for p-less: keep p_i >= sum_j p_j^2, the chance that two draws from p are the same token.

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

    def dropped(self, scores: Tensor) -> Tensor:
        gap, _ = whole_gap(scores.detach())
        mean = (2.0 * gap).logsumexp(dim=-1, keepdim=True) - gap.logsumexp(dim=-1, keepdim=True)
        return gap < mean.clamp(max=0.0)
