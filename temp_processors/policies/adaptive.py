"""Temperatures that follow the model's own uncertainty: the entropy H of softmax(scores), in nats."""

from __future__ import annotations

import math
from typing import ClassVar

import torch
from torch import Tensor

from temp_processors.policies.base import PolicyLogitsWarper
from temp_processors.policies.checks import TEMPERATURE, NotNegative, Positive, Share, Temperature, checked
from temp_processors.policies.distribution import working_dtype
from temp_processors.policies.fast_entropy import few_entropy, few_entropy_share
from temp_processors.policies.few import as_tensor, at_least, divided, exp, filled, precise, where


class DynamicTemperatureLogitsWarper(PolicyLogitsWarper):
    r"""
    [`PolicyLogitsWarper`] for dynamic temperature (DynaTemp): T = lo + (hi - lo) (H / ln n)^exponent.

    lo = max(0, temperature - range), hi = temperature + range, H the entropy of the row in nats and n its number of
    entries that are not -inf, so that H / ln n runs from 0 (certain) to 1 (uniform). A row with one such entry is
    left as it is. The formula of llama.cpp's `temp_ext`, row by row: batches do not pool. Masked entries
    are not counted in n, which llama.cpp does for tokens that a grammar or bias set to -inf.

    Args:
        temperature (`float`): Middle of the interval, >= 0.
        range (`float`): Half its width, >= 0; 0 is a fixed temperature.
        exponent (`float`, *optional*, defaults to 1): > 0. Above 1 only high entropy raises the temperature.
        prompt_length: Not used; every policy takes it.

    Source: kalomaze's DynaTemp; https://github.com/ggml-org/llama.cpp/pull/4972.

    Example:

    ```python
    >>> import torch
    >>> from temp_processors import DynamicTemperatureLogitsWarper

    >>> dynamic = DynamicTemperatureLogitsWarper(temperature=1.0, range=0.5)
    >>> dynamic.temperature(torch.tensor([[1], [1]]), torch.tensor([[4.0, 2.0, 0.0, -1.0], [0.0, 0.0, 0.0, 0.0]]))
    tensor([[0.8421],
            [1.5000]])

    ```
    """

    example: ClassVar = {"range": 0.5}
    supports_continuous_batching = True

    @checked
    def __init__(
        self, temperature: Temperature, range: NotNegative, exponent: Positive = 1.0, *, prompt_length: int | Tensor = 0
    ) -> None:
        super().__init__(prompt_length=prompt_length)
        self.low, self.high = max(0.0, temperature - range), temperature + range
        self.coldest = min(self.low, 1.0)
        self.exponent = exponent

    @classmethod
    def between(cls, low: float, high: float, exponent: float = 1.0) -> DynamicTemperatureLogitsWarper:
        """The same policy by its ends, as text-generation-webui has it; low > high falls as entropy rises."""
        policy = cls(1.0, 0.0, exponent)
        policy.low, policy.high = TEMPERATURE.check("low", low), TEMPERATURE.check("high", high)
        policy.coldest = min(policy.low, policy.high, 1.0)
        return policy

    def temperature(self, input_ids: Tensor, scores: Tensor) -> Tensor:
        value, count = few_entropy_share(scores, self.high - self.low, self.low, self.exponent)
        if isinstance(count, Tensor) or count.min(initial=2.0) <= 1.0:
            value = where(count <= 1.0, 1.0, value)
        return as_tensor(value, working_dtype(scores))


class EDTLogitsWarper(PolicyLogitsWarper):
    r"""
    [`PolicyLogitsWarper`] for entropy-based dynamic temperature (EDT): T = temperature * base^(theta / H).

    H is the entropy of the row in nats. The temperature rises with H up to `temperature`; a certain row (H near 0)
    asks for a temperature that underflows (0.8^1000), which is greedy.

    Args:
        temperature (`float`): T0, the temperature of a row of infinite entropy, >= 0.
        theta (`float`): How strongly certainty cools, >= 0; 0 is a fixed temperature.
        base (`float`, *optional*, defaults to 0.8): N of the paper, in (0, 1].
        prompt_length: Not used; every policy takes it.

    Source: Zhang et al. 2024, arXiv 2403.14541. Two public samplers of that name compute clamp(T0 (H / ln V)^theta)
    instead.

    Example:

    ```python
    >>> import torch
    >>> from temp_processors import EDTLogitsWarper

    >>> edt = EDTLogitsWarper(temperature=1.0, theta=1.0)
    >>> edt.temperature(torch.tensor([[1]]), torch.tensor([[2.0, 1.0, 0.0, -1.0]]))
    tensor([[0.7902]])

    ```
    """

    example: ClassVar = {"theta": 0.5}
    supports_continuous_batching = True

    @checked
    def __init__(
        self, temperature: Temperature, theta: NotNegative, base: Share = 0.8, *, prompt_length: int | Tensor = 0
    ) -> None:
        super().__init__(prompt_length=prompt_length)
        self.ceiling, self.theta, self.base = temperature, theta, base

    def temperature(self, input_ids: Tensor, scores: Tensor) -> Tensor:
        spread = precise(few_entropy(scores))
        coldness = math.log(self.base) * self.theta
        depth = divided(coldness, at_least(spread, torch.finfo(working_dtype(scores)).tiny))
        return as_tensor(self.ceiling * exp(depth), working_dtype(scores))


class EntropyThresholdLogitsWarper(PolicyLogitsWarper):
    r"""
    [`PolicyLogitsWarper`] with two temperatures: `high` where the entropy of the row exceeds `threshold`, else `low`.

    Tokens of high entropy are where a text forks. `low` > `high` is allowed and cools the forks instead.

    Args:
        low (`float`): Temperature at or below the threshold, >= 0.
        high (`float`): Temperature above it, >= 0.
        threshold (`float`, *optional*, defaults to 0.672): In nats, >= 0. The default is the 80th percentile of token
            entropy that the source measured on one 8 B model: measure your own.
        prompt_length: Not used; every policy takes it.

    Source: Wang et al. 2025, arXiv 2506.01939.

    Example:

    ```python
    >>> import torch
    >>> from temp_processors import EntropyThresholdLogitsWarper

    >>> forks = EntropyThresholdLogitsWarper(low=0.6, high=1.2)
    >>> forks.temperature(torch.tensor([[1], [1]]), torch.tensor([[9.0, 0.0, 0.0], [1.0, 0.0, 0.0]]))
    tensor([[0.6000],
            [1.2000]])

    ```
    """

    example: ClassVar = {"low": 0.3, "high": 1.0}
    supports_continuous_batching = True

    @checked
    def __init__(
        self, low: Temperature, high: Temperature, threshold: NotNegative = 0.672, *, prompt_length: int | Tensor = 0
    ) -> None:
        super().__init__(prompt_length=prompt_length)
        self.low, self.high, self.threshold = low, high, threshold
        self.coldest = min(self.low, self.high)

    def temperature(self, input_ids: Tensor, scores: Tensor) -> Tensor:
        spread = few_entropy(scores)
        value = where(spread > self.threshold, filled(spread, self.high), self.low)
        return as_tensor(where(spread == spread, value, spread), working_dtype(scores))  # nan where that is nan


class AdaptiveSharpeningLogitsWarper(PolicyLogitsWarper):
    r"""
    [`PolicyLogitsWarper`] that sharpens by a polynomial of the entropy H: l * beta, hence T = 1 / beta.

    beta = max(-0.037 H^4 + 0.481 H^3 - 2.3 H^2 + 4.917 H - 1.791, 1) where H > 0.5 nats, else 1. Beta passes 1
    only for 0.8486 < H < 5.9445, so rows outside that are left as they are, and T stays in [0.42, 1]. Fitted for
    attention heads; no parameters.

    Args:
        prompt_length: Not used; every policy takes it.

    Source: Velickovic et al. 2024, "softmax is not enough", arXiv 2410.01104.

    Example:

    ```python
    >>> import torch
    >>> from temp_processors import AdaptiveSharpeningLogitsWarper

    >>> AdaptiveSharpeningLogitsWarper().temperature(torch.tensor([[1]]), torch.tensor([[2.0, 1.0, 0.0, -1.0]]))
    tensor([[0.8457]])

    ```
    """

    supports_continuous_batching = True
    coldest = 0.4

    def temperature(self, input_ids: Tensor, scores: Tensor) -> Tensor:
        h = precise(few_entropy(scores))  # the terms of the polynomial cancel
        beta = (((-0.037 * h + 0.481) * h - 2.3) * h + 4.917) * h - 1.791
        sharpened = where(h > 0.5, 1.0 / at_least(beta, 1.0), 1.0 + 0.0 * h)
        return as_tensor(sharpened, working_dtype(scores))
