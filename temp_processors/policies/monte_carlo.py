"""A temperature for each text, drawn from its seed."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated, ClassVar, TypeAlias

import torch
from torch import Tensor

from temp_processors.policies.base import PolicyLogitsWarper
from temp_processors.policies.checks import Checked, Temperature, checked
from temp_processors.policies.distribution import working_dtype
from temp_processors.policies.positions import per_row
from temp_processors.policies.streams import as_tensor, check_seeds, uniform

Seeds: TypeAlias = Annotated[Sequence[int] | Tensor, Checked(check_seeds, tuple[int, ...])]


class MonteCarloTemperatureLogitsWarper(PolicyLogitsWarper):
    r"""
    [`PolicyLogitsWarper`] whose temperature is drawn once for each text, T ~ U[low, high], and held.

    The draw depends on the seed of the text and on nothing else: not on the batch around it, its length, or how often it is
    asked. Seeds are those of `SeededSampling`, whose draws of tokens are other numbers of the same stream. A run gives every text
    its own; in a call of `generate`, pass the same `seeds` here and there.

    Args:
        low (`float`): The lowest temperature, >= 0.
        high (`float`): The highest, >= low.
        seeds (`Sequence[int]` or `torch.LongTensor` of shape `(batch,)`, *optional*): One whole number per row of the batch;
            [`with_seeds`] gives them later.
        prompt_length: Not used; every policy takes it.

    Raises:
        ValueError: when it is called without seeds, or with a number of them that is not that of the rows.

    Source: Monte Carlo Temperature, Cecere et al. 2025, arXiv 2502.18389, with the uniform distribution.

    Example:

    ```python
    >>> import torch
    >>> from temp_processors import MonteCarloTemperatureLogitsWarper

    >>> policy = MonteCarloTemperatureLogitsWarper(0.5, 1.5, seeds=[1, 2, 1])
    >>> policy.temperature(torch.tensor([[5], [5], [5]]), torch.zeros(3, 4))
    tensor([[1.3629],
            [1.3986],
            [1.3629]])

    ```
    """

    example: ClassVar = {"low": 0.5, "high": 1.5}
    supports_continuous_batching = False
    draws_from_seed = True
    ignores_scores = True

    @checked
    def __init__(
        self, low: Temperature, high: Temperature, seeds: Seeds | None = None, *, prompt_length: int | Tensor = 0
    ) -> None:
        super().__init__(prompt_length=prompt_length)
        if high < low:
            raise ValueError(f"`high` has to be at least `low`, {low:g}, but is {high:g}")
        self.low, self.high, self.coldest = low, high, low
        self.seeds = None if seeds is None else as_tensor(check_seeds("seeds", seeds))
        self.per_row = seeds is not None

    @property
    def needs_seeds(self) -> bool:
        return self.seeds is None

    def with_seeds(self, seeds: Sequence[int] | Tensor) -> MonteCarloTemperatureLogitsWarper:
        other = self.with_prompt_length(self.prompt_length)
        other.seeds, other.per_row = as_tensor(check_seeds("seeds", seeds)), True
        return other

    def temperature(self, input_ids: Tensor, scores: Tensor) -> Tensor:
        if self.seeds is None:
            raise ValueError(
                "`seeds` have to be given, one whole number per row: a text's temperature is drawn from it"
            )
        seeds = per_row(self.seeds, "seeds", scores)
        share = uniform(seeds, torch.tensor(-1, device=seeds.device))
        return (self.low + (self.high - self.low) * share).to(working_dtype(scores))


def temperature_of(low: float, high: float, seed: int) -> float:
    """The temperature of the text of this seed.

    Example:
        >>> temperature_of(0.5, 1.5, 1) == temperature_of(0.5, 1.5, 1) != temperature_of(0.5, 1.5, 2)
        True
    """
    return low + (high - low) * uniform(as_tensor([seed]), torch.tensor(-1)).item()
