"""The truncations of `generate` as policies: what transformers' own warpers do, to the bit, for every shape of scores.

Those that compare a probability with a number make the same comparisons, operation by operation. Top-p (nucleus.py), top-H and locally
typical sampling (typical_range.py) decide by other means what is certain, and leave the rest to the operations of transformers.
"""

from __future__ import annotations

from typing import ClassVar

import numpy as np
import torch
from torch import Tensor
from transformers import TypicalLogitsWarper

from temp_processors.policies.base import PolicyLogitsWarper, no_temperature
from temp_processors.policies.blocks import Rows, as_torch, in_blocks
from temp_processors.policies.checks import AtLeastOne, Inside, Share, Unit, checked
from temp_processors.policies.distribution import top_score, without_sync
from temp_processors.policies.nucleus import boundary_among, nucleus
from temp_processors.policies.thresholds import keep_from, largest, without
from temp_processors.policies.typical import most_untypical
from temp_processors.policies.typical_range import typical_range


class CutLogitsWarper(PolicyLogitsWarper):
    r"""
    [`PolicyLogitsWarper`] that puts tokens at -inf and leaves the scores of all others. A subclass writes [`dropped`].

    A row of -inf only stays so, and a row with NaN keeps its NaN. `temperature` is nan: nothing is divided.

    Args:
        prompt_length: Not used; every policy takes it.
    """

    supports_continuous_batching = True
    only_scales = False
    only_cuts = True

    def dropped(self, scores: Tensor) -> Tensor:
        """Which entries go to -inf: boolean, of the shape of `scores`, which is (batch, vocab) or (batch, steps, vocab)."""
        raise NotImplementedError(f"{type(self).__name__} has to say which tokens it drops")

    def among(self, ordered: Rows) -> Rows | None:
        """The lowest score that is kept, where a cut before this one left few tokens: (rows, few) -> (rows, 1).

        Args:
            ordered: All scores of each row that are not -inf in falling order, then -inf; float32, the first one is finite.

        Returns:
            What a call on the whole row keeps to the bit, nan where rounding or equal scores decide about it. None where a cut does
            not say.
        """
        return None

    def temperature(self, input_ids: Tensor, scores: Tensor) -> Tensor:
        """nan: nothing is divided."""
        return no_temperature(scores)

    def process(self, input_ids: Tensor, scores: Tensor) -> Tensor:
        return without(scores, self.dropped(scores))


class FloorLogitsWarper(CutLogitsWarper):
    """
    [`CutLogitsWarper`] that keeps all tokens from some score on. A subclass writes [`lowest`].

    Args:
        prompt_length: Not used; every policy takes it.
    """

    def lowest(self, scores: Tensor) -> Tensor:
        """The lowest score that is kept, (..., 1), in the dtype of `scores` or the working dtype; nan keeps all."""
        raise NotImplementedError(f"{type(self).__name__} has to say which score is the lowest that it keeps")

    def dropped(self, scores: Tensor) -> Tensor:
        return scores < self.lowest(scores)

    def process(self, input_ids: Tensor, scores: Tensor) -> Tensor:
        return keep_from(scores, self.lowest(scores))


def at_or_below_top(scores: Tensor, depth: Tensor) -> Tensor:
    """max + `depth`, (..., 1), for [`FloorLogitsWarper.lowest`]: a depth that rounding put above 0 is 0."""
    return top_score(scores) + depth.clamp(max=0.0)


class TopKCutLogitsWarper(FloorLogitsWarper):
    r"""
    [`FloorLogitsWarper`] for top-k: transformers' `TopKLogitsWarper`.

    Keep the k most likely tokens, and every one that is as likely as the last of them.

    Args:
        top_k (`int`): k, >= 1.
        prompt_length: Not used; every policy takes it.

    Example:

    ```python
    >>> import torch
    >>> from temp_processors.policies.cuts import TopKCutLogitsWarper

    >>> TopKCutLogitsWarper(2)(torch.tensor([[1]]), torch.tensor([[0.5, 0.3, 0.15, 0.05]]).log()).softmax(dim=-1)
    tensor([[0.6250, 0.3750, 0.0000, 0.0000]])

    ```
    """

    example: ClassVar = {"top_k": 50}
    supports_continuous_batching = True

    @checked
    def __init__(self, top_k: AtLeastOne, *, prompt_length: int | Tensor = 0) -> None:
        super().__init__(prompt_length=prompt_length)
        self.top_k = top_k

    def among(self, ordered: Rows) -> Rows:
        return ordered[:, self.top_k - 1 : self.top_k] if self.top_k <= ordered.shape[1] else ordered[:, -1:]

    def lowest(self, scores: Tensor) -> Tensor:
        return largest(scores, self.top_k)[..., -1:]


class TopPCutLogitsWarper(CutLogitsWarper):
    r"""
    [`CutLogitsWarper`] for top-p (nucleus): transformers' `TopPLogitsWarper`.

    Keep the fewest of the most likely tokens whose probabilities sum to at least `top_p`. Of equally likely ones it takes
    the last.

    Args:
        top_p (`float`): In (0, 1].
        prompt_length: Not used; every policy takes it.

    Source: Holtzman et al. 2019, arXiv 1904.09751.

    Example:

    ```python
    >>> import torch
    >>> from temp_processors.policies.cuts import TopPCutLogitsWarper

    >>> TopPCutLogitsWarper(0.7)(torch.tensor([[1]]), torch.tensor([[0.5, 0.3, 0.15, 0.05]]).log()).softmax(dim=-1)
    tensor([[0.6250, 0.3750, 0.0000, 0.0000]])

    ```
    """

    example: ClassVar = {"top_p": 0.9}
    supports_continuous_batching = True

    @checked
    def __init__(self, top_p: Share, *, prompt_length: int | Tensor = 0) -> None:
        super().__init__(prompt_length=prompt_length)
        self.top_p = top_p

    def among(self, ordered: Rows) -> Rows:
        return boundary_among(ordered, 1.0 - self.top_p)

    def dropped(self, scores: Tensor) -> Tensor:
        return torch.isneginf(self(scores, scores)) & ~torch.isneginf(scores)

    def process(self, input_ids: Tensor, scores: Tensor) -> Tensor:
        return nucleus(scores, 1.0 - self.top_p)


class MinPCutLogitsWarper(CutLogitsWarper):
    r"""
    [`CutLogitsWarper`] for min-p: transformers' `MinPLogitsWarper`.

    Keep the tokens that are at least `min_p` times as likely as the most likely one.

    Args:
        min_p (`float`): In [0, 1].
        prompt_length: Not used; every policy takes it.

    Source: Nguyen et al. 2024, arXiv 2407.01082.

    Example:

    ```python
    >>> import torch
    >>> from temp_processors.policies.cuts import MinPCutLogitsWarper

    >>> MinPCutLogitsWarper(0.2)(torch.tensor([[1]]), torch.tensor([[0.5, 0.3, 0.15, 0.05]]).log()).softmax(dim=-1)
    tensor([[0.5263, 0.3158, 0.1579, 0.0000]])

    ```
    """

    example: ClassVar = {"min_p": 0.05}
    supports_continuous_batching = True

    @checked
    def __init__(self, min_p: Unit, *, prompt_length: int | Tensor = 0) -> None:
        super().__init__(prompt_length=prompt_length)
        self.min_p = min_p

    def among(self, ordered: Rows) -> Rows:
        return likely_among(ordered, np.exp(ordered - ordered[:, :1], dtype=np.float64), self.min_p)

    def dropped(self, scores: Tensor) -> Tensor:
        p = scores.detach().softmax(dim=-1)
        return p < self.min_p * p.amax(dim=-1, keepdim=True)


class TypicalPCutLogitsWarper(CutLogitsWarper):
    r"""
    [`CutLogitsWarper`] for locally typical sampling: transformers' `TypicalLogitsWarper`.

    Keep the tokens whose surprisal is closest to the entropy of the row, until their probabilities sum to `typical_p`. The
    most likely token may be among those that go.

    Args:
        typical_p (`float`): In (0, 1).
        prompt_length: Not used; every policy takes it.

    Source: Meister et al. 2022, arXiv 2202.00666.

    Example:

    ```python
    >>> import torch
    >>> from temp_processors.policies.cuts import TypicalPCutLogitsWarper

    >>> TypicalPCutLogitsWarper(0.2)(torch.tensor([[1]]), torch.tensor([[0.5, 0.3, 0.15, 0.05]]).log()).softmax(dim=-1)
    tensor([[0., 1., 0., 0.]])

    ```
    """

    example: ClassVar = {"typical_p": 0.9}
    supports_continuous_batching = True
    keeps_best = False

    @checked
    def __init__(self, typical_p: Inside, *, prompt_length: int | Tensor = 0) -> None:
        super().__init__(prompt_length=prompt_length)
        self.typical_p = typical_p
        self._warper = TypicalLogitsWarper(typical_p)

    def dropped(self, scores: Tensor) -> Tensor:
        return torch.isneginf(self(scores, scores)) & ~torch.isneginf(scores)

    def process(self, input_ids: Tensor, scores: Tensor) -> Tensor:
        rows = scores.reshape(-1, scores.shape[-1])
        if scores.dtype != torch.float32 or without_sync(scores) or scores.requires_grad or not scores.numel():
            return self._theirs(rows).view(scores.shape)
        found = in_blocks(lambda block, _: typical_range(block, self.typical_p), rows.numpy())
        bounds = found.astype(np.float32)
        result = keep_from(rows, torch.from_numpy(bounds[:, :1]))
        if (bounds[:, 1] < np.inf).any():
            values = result.numpy()
            values.ravel()[np.flatnonzero(values > bounds[:, 1:2])] = -np.inf
        unsure = np.flatnonzero(found[:, 2] == 0.0)
        if len(unsure):
            result[unsure] = self._sorted(rows[unsure])
        return result.view(scores.shape)

    def _sorted(self, rows: Tensor) -> Tensor:
        distance, limit, certain = most_untypical(rows, self.typical_p)
        result = without(rows, torch.from_numpy(distance.numpy() > limit))
        unsure = np.flatnonzero(~certain)
        if len(unsure):
            result[unsure] = self._theirs(rows[unsure])
        return result

    def _theirs(self, rows: Tensor) -> Tensor:
        """By the operations of transformers, which refuses rows of -inf and NaN: such stay as they are."""
        if not rows.numel():
            return rows.clone()
        ruled_out = ~torch.isfinite(rows.detach().amax(dim=-1, keepdim=True))
        goes = torch.isneginf(self._warper(None, rows.detach().masked_fill(ruled_out, 0.0)))
        return torch.where(goes & ~ruled_out, -torch.inf, rows)


class TopHCutLogitsWarper(CutLogitsWarper):
    r"""
    [`CutLogitsWarper`] for top-H: transformers' `TopHLogitsWarper`.

    Of the 100 most likely tokens, keep the first whose terms -p ln p sum to at most `top_h` times the entropy (of these 100).

    Args:
        top_h (`float`): In (0, 1].
        prompt_length: Not used; every policy takes it.

    Source: Potraghloo et al. 2025, arXiv 2509.02510.

    Example:

    ```python
    >>> import torch
    >>> from temp_processors.policies.cuts import TopHCutLogitsWarper

    >>> TopHCutLogitsWarper(0.7)(torch.tensor([[1]]), torch.tensor([[0.5, 0.3, 0.15, 0.05]]).log()).softmax(dim=-1)
    tensor([[0.6250, 0.3750, 0.0000, 0.0000]])

    ```
    """

    example: ClassVar = {"top_h": 0.4}
    supports_continuous_batching = True

    @checked
    def __init__(self, top_h: Share, *, prompt_length: int | Tensor = 0) -> None:
        super().__init__(prompt_length=prompt_length)
        self.top_h = top_h

    def dropped(self, scores: Tensor) -> Tensor:
        top, where = scores.detach().topk(min(TOP_H, scores.shape[-1]), dim=-1)
        p = _normal(top).softmax(dim=-1)
        kept = (-p * p.log()).cumsum(dim=-1) <= entropy_of_categorical(top) * self.top_h
        kept[..., :1] = True
        return torch.ones_like(scores, dtype=torch.bool).scatter_(-1, where, ~kept)

    def among(self, ordered: Rows) -> Rows:
        """Of these few numbers in float64: in float32 each sum, and the entropy, is within 2^-19 of itself and 2^-19."""
        gap = np.maximum(ordered[:, :TOP_H] - ordered[:, :1], -800.0, dtype=np.float64)
        weight = np.exp(gap)
        whole = weight.sum(axis=-1, keepdims=True)
        sums = (weight * (np.log(whole) - gap)).cumsum(axis=-1) / whole
        off = sums[:, 1:] - self.top_h * sums[:, -1:]
        last, each = np.count_nonzero(off <= 0.0, axis=-1), np.arange(len(ordered))
        lowest, following = ordered[each, last], np.minimum(last + 1, ordered.shape[1] - 1)
        certain = (np.abs(off) > (sums[:, -1:] + 1.0) * 2.0**-18).all(axis=-1)
        certain &= (following == last) | (ordered[each, following] < lowest)
        return np.where(certain, lowest, np.float32(np.nan))[:, None]

    def process(self, input_ids: Tensor, scores: Tensor) -> Tensor:
        if without_sync(scores) or scores.dtype != torch.float32 or not scores.numel():
            return super().process(input_ids, scores)
        with as_torch():
            lowest = self.among(largest(scores, TOP_H + 1).view(-1, min(TOP_H + 1, scores.shape[-1])).numpy())
        result = keep_from(scores, torch.from_numpy(lowest).view(*scores.shape[:-1], 1))
        unsure = np.flatnonzero(np.isnan(lowest))
        if len(unsure):
            rows = scores.reshape(-1, scores.shape[-1])[unsure]
            result.view(-1, scores.shape[-1])[unsure] = super().process(input_ids, rows)
        return result


TOP_H = 100
"""Of so many tokens `TopHLogitsWarper` takes the entropy."""


class EpsilonCutLogitsWarper(CutLogitsWarper):
    r"""
    [`CutLogitsWarper`] for epsilon sampling: transformers' `EpsilonLogitsWarper`.

    Keep the tokens of at least this probability; the most likely one always.

    Args:
        epsilon_cutoff (`float`): In (0, 1).
        prompt_length: Not used; every policy takes it.

    Source: Hewitt et al. 2022, arXiv 2210.15191.

    Example:

    ```python
    >>> import torch
    >>> from temp_processors.policies.cuts import EpsilonCutLogitsWarper

    >>> EpsilonCutLogitsWarper(0.2)(torch.tensor([[1]]), torch.tensor([[0.5, 0.3, 0.15, 0.05]]).log()).softmax(dim=-1)
    tensor([[0.6250, 0.3750, 0.0000, 0.0000]])

    ```
    """

    example: ClassVar = {"epsilon_cutoff": 0.0003}
    supports_continuous_batching = True

    @checked
    def __init__(self, epsilon_cutoff: Inside, *, prompt_length: int | Tensor = 0) -> None:
        super().__init__(prompt_length=prompt_length)
        self.epsilon_cutoff = epsilon_cutoff

    def among(self, ordered: Rows) -> Rows:
        weight = np.exp(ordered - ordered[:, :1], dtype=np.float64)
        return likely_among(ordered, weight / weight.sum(axis=-1, keepdims=True), self.epsilon_cutoff)

    def dropped(self, scores: Tensor) -> Tensor:
        return less_likely(scores.detach(), self.epsilon_cutoff)


class EtaCutLogitsWarper(CutLogitsWarper):
    r"""
    [`CutLogitsWarper`] for eta sampling: transformers' `EtaLogitsWarper`.

    Keep the tokens of at least the probability min(eta, sqrt(eta) exp(-H)), H the entropy of the row in nats; the most likely
    one always.

    Args:
        eta_cutoff (`float`): In (0, 1).
        prompt_length: Not used; every policy takes it.

    Source: Hewitt et al. 2022, arXiv 2210.15191.

    Example:

    ```python
    >>> import torch
    >>> from temp_processors.policies.cuts import EtaCutLogitsWarper

    >>> EtaCutLogitsWarper(0.1)(torch.tensor([[1]]), torch.tensor([[0.5, 0.3, 0.15, 0.05]]).log()).softmax(dim=-1)
    tensor([[0.5263, 0.3158, 0.1579, 0.0000]])

    ```
    """

    example: ClassVar = {"eta_cutoff": 0.0003}
    supports_continuous_batching = True

    @checked
    def __init__(self, eta_cutoff: Inside, *, prompt_length: int | Tensor = 0) -> None:
        super().__init__(prompt_length=prompt_length)
        self.eta_cutoff = eta_cutoff
        self._eta = torch.tensor(eta_cutoff)  # in float32, as transformers has it

    def dropped(self, scores: Tensor) -> Tensor:
        scores, eta = scores.detach(), self._eta.to(scores.device, non_blocking=True)
        return less_likely(scores, torch.minimum(eta, eta.sqrt() * torch.exp(-entropy_of_categorical(scores))))


def likely_among(ordered: Rows, size: Rows, least: float) -> Rows:
    """For [`CutLogitsWarper.among`]: the last entry whose `size` is at least `least`, or the first; nan where rounding decides.

    `size` is p, or p over the largest p. In float32 each p is within a share of 2^-18 (exp, the division, the comparison) and
    2^-24 for each of the additions in its normaliser, in which only the entries of `ordered` take part.
    """
    if least < 1e-30:  # float32 is not as exact down there
        return np.full_like(ordered[:, :1], np.nan)
    off = size / least - 1.0
    unsure = (np.abs(off) <= 2.0**-18 + 2.0**-23 * (ordered.shape[1] + 8)).any(axis=-1)
    last = np.maximum(np.count_nonzero(off > 0.0, axis=-1) - 1, 0)
    return np.where(unsure, np.float32(np.nan), ordered[np.arange(len(last)), last])[:, None]


def less_likely(scores: Tensor, least: Tensor | float) -> Tensor:
    """Where a token is less likely than `least` and not the most likely one; of scores that want no gradient."""
    p, top = scores.softmax(dim=-1), scores.amax(dim=-1, keepdim=True)
    if without_sync(scores) or scores.dtype != torch.float32:
        return (p < least) & (scores < top)
    goes: Rows = p.numpy() < (least.numpy() if isinstance(least, Tensor) else least)  # numpy compares several at once
    goes &= scores.numpy() < top.numpy()
    return torch.from_numpy(goes)


def _normal(scores: Tensor) -> Tensor:
    return scores - scores.logsumexp(dim=-1, keepdim=True)


def entropy_of_categorical(scores: Tensor) -> Tensor:
    """The entropy as `torch.distributions.Categorical` rounds it, (..., vocab) -> (..., 1), of scores that want no gradient."""
    logits = _normal(scores)
    p = logits.softmax(dim=-1)
    return -logits.clamp_(min=torch.finfo(scores.dtype).min).mul_(p).sum(dim=-1, keepdim=True)
