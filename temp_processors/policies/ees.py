"""Truncation where certainty outweighs evenness: EES."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from temp_processors.policies.blocks import Rows
from temp_processors.policies.cuts import FloorLogitsWarper
from temp_processors.policies.distribution import exp_floor, precise_dtype, whole_gap, without_sync
from temp_processors.policies.thresholds import Decide, first_where, leading, total_weight


class EESLogitsWarper(FloorLogitsWarper):
    r"""
    [`FloorLogitsWarper`] for EES: keep the k most likely tokens, k >= 2 the smallest with H(q_k) / ln k < p_1 + ... + p_k.

    q_k are the k largest probabilities, divided by their sum; H(q_k) / ln k is their evenness, 1 where they are equal. Tokens that are
    as likely as the k-th are kept too, so that the order of the vocabulary decides nothing; where no k is found, which
    is a uniform row, all are.

    Args:
        prompt_length: Not used; every policy takes it.

    Source: arXiv 2512.00789. The code published with it (github.com/shuanncai/EES) keeps k - 1 tokens where the paper keeps k, so
    that certain rows are greedy, and separates equally likely ones by their order.

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

    def lowest(self, scores: Tensor) -> Tensor:
        if scores.shape[-1] < 2:
            return torch.full_like(scores[..., :1], -torch.inf)
        if not without_sync(scores):
            return leading(scores, _decided)
        ordered = scores.detach().sort(dim=-1, descending=True).values
        exact = precise_dtype(ordered)
        inside, _ = whole_gap(ordered.to(exact))
        inside = inside.clamp(min=exp_floor(exact))
        weight = inside.exp()
        total = weight.cumsum(dim=-1)
        spread = total.log() - (weight * inside).cumsum(dim=-1) / total
        count = torch.arange(1, scores.shape[-1] + 1, device=scores.device).log()
        enough = (spread < count * (total / total[..., -1:]))[..., 1:]
        last = enough.float().argmax(dim=-1, keepdim=True) + 1
        return ordered.gather(-1, last).masked_fill(~enough.any(dim=-1, keepdim=True), -torch.inf)


def _decided(rows: Rows, _: slice) -> Decide:
    whole = total_weight(rows)

    def decide(places: Rows, ordered: Rows) -> Rows:
        inside = np.maximum(ordered - ordered[:, :1], -800.0, dtype=np.float64)
        weight = np.exp(inside)
        total = weight.cumsum(axis=-1)
        spread = np.log(total) - (weight * inside).cumsum(axis=-1) / total
        enough = spread < np.log(np.arange(1, ordered.shape[1] + 1)) * (total / whole[places])
        enough[:, 0] = False
        enough &= ordered > -np.inf
        return first_where(enough, ordered)

    return decide
