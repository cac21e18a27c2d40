"""The truncations of `generate` as policies: transformers' own warpers, to the bit, for every shape of scores."""

from __future__ import annotations

from typing import ClassVar

import torch
from torch import Tensor
from transformers import (
    EpsilonLogitsWarper,
    EtaLogitsWarper,
    LogitsProcessor,
    MinPLogitsWarper,
    TopHLogitsWarper,
    TopKLogitsWarper,
    TopPLogitsWarper,
    TypicalLogitsWarper,
)

from temp_processors.policies.base import PolicyLogitsWarper, no_temperature
from temp_processors.policies.checks import AtLeastOne, Inside, Share, Unit, checked


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

    def temperature(self, input_ids: Tensor, scores: Tensor) -> Tensor:
        """nan: nothing is divided."""
        return no_temperature(scores)

    def __call__(self, input_ids: Tensor, scores: Tensor) -> Tensor:
        return scores.masked_fill(self.dropped(scores), -torch.inf)


class _WarperOfTransformers(CutLogitsWarper):
    """A cut that a warper of transformers makes; it knows two dimensions, and some refuse a row of -inf or NaN."""

    _warper: LogitsProcessor

    def dropped(self, scores: Tensor) -> Tensor:
        if not scores.numel():
            return torch.zeros_like(scores, dtype=torch.bool)
        rows = scores.detach().reshape(-1, scores.shape[-1])
        ruled_out = ~torch.isfinite(rows.amax(dim=-1, keepdim=True))
        kept = self._warper(None, rows.masked_fill(ruled_out, 0.0))
        return (torch.isneginf(kept) & ~ruled_out).reshape(scores.shape)


class TopKCutLogitsWarper(_WarperOfTransformers):
    r"""
    [`CutLogitsWarper`] for top-k: transformers' `TopKLogitsWarper`.

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
        self._warper = TopKLogitsWarper(top_k)


class TopPCutLogitsWarper(_WarperOfTransformers):
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
        self._warper = TopPLogitsWarper(top_p)


class MinPCutLogitsWarper(_WarperOfTransformers):
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
        self._warper = MinPLogitsWarper(min_p)


class TypicalPCutLogitsWarper(_WarperOfTransformers):
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


class TopHCutLogitsWarper(_WarperOfTransformers):
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
        self._warper = TopHLogitsWarper(top_h)


class EpsilonCutLogitsWarper(_WarperOfTransformers):
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
        self._warper = EpsilonLogitsWarper(epsilon_cutoff)


class EtaCutLogitsWarper(_WarperOfTransformers):
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
        self._warper = EtaLogitsWarper(eta_cutoff)
