"""Truncation where certainty outweighs evenness: EES."""

from __future__ import annotations

import torch
from torch import Tensor

from temp_processors.policies.cuts import CutLogitsWarper
from temp_processors.policies.distribution import exp_floor, precise_dtype, whole_gap


class EESLogitsWarper(CutLogitsWarper):
    r"""
    [`CutLogitsWarper`] for EES: keep the k most likely tokens, k >= 2 the smallest with H(q_k) / ln k < p_1 + ... + p_k.

    q_k are the k largest probabilities, divided by their sum; H(q_k) / ln k is their evenness, 1 where they are equal. Tokens that are
    as likely as the k-th are kept too, so that the order of the vocabulary decides nothing; where no k is found, which
    is a uniform row, all are.

    Args:
        prompt_length: Not used; every policy takes it.

    Source: arXiv 2512.00789.

    Example:

    ```python
    >>> import torch
    >>> from temp_processors.policies.ees import EESLogitsWarper

    >>> scores = torch.tensor([[0.6, 0.2, 0.15, 0.05]]).log()  # evenness 0.811, 0.843, ...; sums 0.8, 0.95, ...
    >>> EESLogitsWarper()(torch.tensor([[1]]), scores).exp()
    tensor([[0.6000, 0.2000, 0.1500, 0.0000]])

    ```
    """

    supports_continuous_batching = True

    def dropped(self, scores: Tensor) -> Tensor:
        gap, _ = whole_gap(scores.detach())
        if gap.shape[-1] < 2:
            return torch.zeros_like(gap, dtype=torch.bool)
        ordered = gap.sort(dim=-1, descending=True).values
        exact = precise_dtype(gap)
        inside = ordered.to(exact).clamp(min=exp_floor(exact))
        weight = inside.exp()
        total = weight.cumsum(dim=-1)
        spread = total.log() - (weight * inside).cumsum(dim=-1) / total
        count = torch.arange(1, gap.shape[-1] + 1, device=gap.device).log()
        enough = (spread < count * (total / total[..., -1:]))[..., 1:]
        last = enough.float().argmax(dim=-1, keepdim=True) + 1
        return (gap < ordered.gather(-1, last)) & enough.any(dim=-1, keepdim=True)
