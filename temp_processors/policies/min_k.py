"""Truncation at the steepest fall of the sorted scores: min-k."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from temp_processors.policies.blocks import Rows
from temp_processors.policies.cuts import FloorLogitsWarper
from temp_processors.policies.distribution import without_sync, working_dtype
from temp_processors.policies.thresholds import Decide, leading


class MinKLogitsWarper(FloorLogitsWarper):
    r"""
    [`FloorLogitsWarper`] for min-k: cut after the place i at which d_i / i is largest.

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

    def lowest(self, scores: Tensor) -> Tensor:
        if scores.shape[-1] < 2:
            return torch.full_like(scores[..., :1], -torch.inf)
        if not without_sync(scores):
            return leading(scores, _decided)
        ordered = scores.detach().sort(dim=-1, descending=True).values
        fall = ordered[..., :-1].to(working_dtype(scores)) - ordered[..., 1:]
        place = torch.arange(1, scores.shape[-1], device=scores.device)
        steep = torch.where(torch.isfinite(fall), fall, 0.0) / place  # none after the last entry that is not masked
        most, where = steep.max(dim=-1, keepdim=True)
        return ordered.gather(-1, where).masked_fill(~(most > 0), -torch.inf)


def _decided(rows: Rows, _: slice) -> Decide:
    bottom = np.min(rows, axis=-1, keepdims=True)
    if not np.isfinite(bottom).all():
        bottom = np.min(rows, axis=-1, keepdims=True, initial=np.inf, where=rows > -np.inf)

    def decide(places: Rows, ordered: Rows) -> Rows:
        """No fall after the last of these is deeper than all the way down from it."""
        count = np.count_nonzero(ordered > -np.inf, axis=-1)[:, None]
        if ordered.shape[1] < 2:
            return np.full_like(ordered, np.nan)
        fall = ordered[:, :-1] - ordered[:, 1:]
        steep = np.where(np.isfinite(fall), fall, 0.0).astype(rows.dtype) / np.arange(
            1, ordered.shape[1], dtype=rows.dtype
        )
        where, each = steep.argmax(axis=-1), np.arange(len(ordered))
        most, last = steep[each, where], ordered[each, count[:, 0] - 1]
        certain = (most > 0) & (most >= (last - bottom[places, 0]) / count[:, 0])
        return np.where(certain, ordered[each, where], np.nan)[:, None]

    return decide
