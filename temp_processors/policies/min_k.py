"""Truncation at the steepest fall of the sorted scores: min-k."""

from __future__ import annotations

import torch
from torch import Tensor

from temp_processors.policies.cuts import CutLogitsWarper
from temp_processors.policies.distribution import whole_gap


class MinKLogitsWarper(CutLogitsWarper):
    r"""
    [`CutLogitsWarper`] for min-k: cut after the place i at which d_i / i is largest.

    z_1 >= ... >= z_V are the sorted scores without masked ones, and d_i = (z_i - z_{i+1}) / (z_1 - z_V) is the relative
    fall after place i. Of equally large d_i / i the first counts. Scores that are all the same are all kept. A
    temperature before it changes nothing: all d_i are ratios.

    Args:
        prompt_length: Not used; every policy takes it.

    Source: arXiv 2604.11012. The rule is that of the paper; it was not compared with published code.

    Example:

    ```python
    >>> import torch
    >>> from temp_processors.policies.min_k import MinKLogitsWarper

    >>> MinKLogitsWarper()(torch.tensor([[1]]), torch.tensor([[5.0, 4.5, 1.0, 0.0]]))  # falls 0.5, 3.5 / 2, 1 / 3
    tensor([[5.0000, 4.5000,   -inf,   -inf]])

    ```
    """

    supports_continuous_batching = True

    def dropped(self, scores: Tensor) -> Tensor:
        gap, _ = whole_gap(scores.detach())
        ordered = gap.sort(dim=-1, descending=True).values
        place = torch.arange(1, gap.shape[-1], device=gap.device)
        fall = ordered[..., :-1] - ordered[..., 1:]
        steep = torch.where(torch.isfinite(fall), fall, 0.0) / place  # none after the last entry that is not masked
        if not place.numel():
            return torch.zeros_like(gap, dtype=torch.bool)
        most, where = steep.max(dim=-1, keepdim=True)
        return (gap < ordered.gather(-1, where)) & (most > 0)
