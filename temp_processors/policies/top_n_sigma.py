"""Truncation in standard deviations of the scores: top-n-sigma."""

from __future__ import annotations

import torch
from torch import Tensor

from temp_processors.policies.checks import Positive, checked
from temp_processors.policies.cuts import FloorLogitsWarper, at_or_below_top
from temp_processors.policies.distribution import finite_count, top_score, without_sync, working_dtype


class TopNSigmaLogitsWarper(FloorLogitsWarper):
    r"""
    [`FloorLogitsWarper`] for top-n-sigma: keep l_i >= max(l) - n std(l).

    std is the population standard deviation (divided by the number of entries, not by one less) over the entries that are
    not -inf, as in llama.cpp. The authors' code divides by one less and drops a token exactly at the edge;
    text-generation-webui divides by one less and counts masked tokens as 0; Aphrodite has nan as soon as one entry is
    masked. A temperature before it changes nothing: max, l and std are divided alike.

    Args:
        n (`float`, *optional*, defaults to 1): > 0.
        prompt_length: Not used; every policy takes it.

    Source: Tang et al. 2024, arXiv 2411.07641.

    Example:

    ```python
    >>> import torch
    >>> from temp_processors.policies.top_n_sigma import TopNSigmaLogitsWarper

    >>> TopNSigmaLogitsWarper()(torch.tensor([[1]]), torch.tensor([[4.0, 3.0, 1.0, 0.0]]))  # std 1.58
    tensor([[4., 3., -inf, -inf]])

    ```
    """

    supports_continuous_batching = True

    @checked
    def __init__(self, n: Positive = 1.0, *, prompt_length: int | Tensor = 0) -> None:
        super().__init__(prompt_length=prompt_length)
        self.n = n

    def lowest(self, scores: Tensor) -> Tensor:
        values = scores.detach().to(working_dtype(scores))
        if not without_sync(scores) and bool(values.numel()) and bool(values.amin() > -torch.inf):
            off = values - values.mean(dim=-1, keepdim=True)
            square = torch.linalg.vecdot(off, off).unsqueeze(-1) / values.shape[-1]
        else:
            masked, count = torch.isneginf(values), finite_count(scores)
            gap = (values - top_score(scores)).masked_fill(masked, 0.0)
            off = (gap - gap.sum(dim=-1, keepdim=True) / count).masked_fill(masked, 0.0)
            square = off.square().sum(dim=-1, keepdim=True) / count
        return at_or_below_top(scores, square.sqrt_().mul_(-self.n))
