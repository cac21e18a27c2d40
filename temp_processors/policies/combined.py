"""Policies made of policies: a product of temperatures, and another policy in every row of one batch."""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar

import torch
from torch import Tensor

from temp_processors.policies.base import PolicyLogitsWarper
from temp_processors.policies.checks import Temperature, checked
from temp_processors.policies.distribution import working_dtype


class ProductLogitsWarper(PolicyLogitsWarper):
    r"""
    [`PolicyLogitsWarper`] whose temperature is the product of several, clamped: a schedule times an adaptive policy.

    All of them see the incoming scores, so that their order does not matter (in a list of processors, the second would
    see what the first left). One policy and two bounds make a clamp.

    Args:
        policies (`Sequence[PolicyLogitsWarper]`): At least one; each has to have a temperature.
        min_temperature (`float`, *optional*): >= 0.
        max_temperature (`float`, *optional*): Not below `min_temperature`.
        prompt_length (*optional*): If given, handed on to the policies.

    Example:

    ```python
    >>> import torch
    >>> from temp_processors import FixedTemperatureLogitsWarper as Fixed
    >>> from temp_processors import ProductLogitsWarper

    >>> product = ProductLogitsWarper([Fixed(2.0), Fixed(0.9)], max_temperature=1.5)
    >>> product.temperature(torch.tensor([[1]]), torch.zeros(1, 9))
    tensor([[1.5000]])

    ```
    """

    example: ClassVar = {
        "policies": [{"kind": "dynamic", "temperature": 1, "range": 0.5}, {"kind": "fixed", "temperature": 0.8}]
    }
    supports_continuous_batching = True  # if those inside do

    @checked
    def __init__(
        self,
        policies: Sequence[PolicyLogitsWarper],
        min_temperature: Temperature | None = None,
        max_temperature: Temperature | None = None,
        *,
        prompt_length: int | Tensor | None = None,
    ) -> None:
        super().__init__()
        self.policies = tuple(policies)
        if min_temperature is not None and max_temperature is not None and max_temperature < min_temperature:
            raise ValueError(
                f"`max_temperature` (={max_temperature:g}) has to be at least `min_temperature` (={min_temperature:g})"
            )
        self.low, self.high = min_temperature, max_temperature
        if not self.policies:
            raise ValueError("`policies` has to hold at least one policy, but is empty")
        for place, policy in enumerate(self.policies):
            if not policy.only_scales:
                raise ValueError(f"`policies[{place}]` ({type(policy).__name__}) has no temperature to multiply")
        self.supports_continuous_batching = all(policy.supports_continuous_batching for policy in self.policies)
        self.ignores_scores = all(policy.ignores_scores for policy in self.policies)
        if prompt_length is not None:
            self._hand_on(prompt_length)

    def with_prompt_length(self, prompt_length: int | Tensor) -> ProductLogitsWarper:
        other = super().with_prompt_length(prompt_length)
        other._hand_on(prompt_length)
        return other

    def _hand_on(self, prompt_length: int | Tensor) -> None:
        self.policies = tuple(policy.with_prompt_length(prompt_length) for policy in self.policies)

    def temperature(self, input_ids: Tensor, scores: Tensor) -> Tensor:
        value, biggest = self.policies[0].temperature(input_ids, scores), torch.finfo(working_dtype(scores)).max
        for policy in self.policies[1:]:
            # not inf: a masked score divided by it would be nan, and so would its product with 0
            value = (value * policy.temperature(input_ids, scores)).clamp(max=biggest)
        return value if self.low is None and self.high is None else value.clamp(self.low, self.high)


class RowsLogitsWarper(PolicyLogitsWarper):
    r"""
    [`PolicyLogitsWarper`] with one policy for each row of the batch.

    Each distinct policy is evaluated once, on its own rows, exactly as it would be alone. Rows of one policy
    that stand together are a slice; others are gathered.

    Args:
        policies (`Sequence[PolicyLogitsWarper]`): One per row of the batch, in its order (`num_return_sequences` and
            `num_beams` repeat each prompt's row in place). The same object for several rows is evaluated once.
        prompt_length (*optional*): If given, handed on to the policies; one per row if a tensor.

    Example:

    ```python
    >>> import torch
    >>> from temp_processors import FixedTemperatureLogitsWarper as Fixed
    >>> from temp_processors import RowsLogitsWarper

    >>> rows = RowsLogitsWarper([Fixed(0.5), Fixed(0)])
    >>> rows(torch.tensor([[1], [1]]), torch.tensor([[1.0, 2.0], [1.0, 2.0]]))
    tensor([[2., 4.],
            [-inf, 2.]])

    ```
    """

    supports_continuous_batching = False
    per_row = True

    @checked
    def __init__(self, policies: Sequence[PolicyLogitsWarper], *, prompt_length: int | Tensor | None = None) -> None:
        super().__init__()
        if not policies:
            raise ValueError("`policies` has to hold one policy per row of the batch, but is empty")
        self.rows = len(policies)
        self.only_scales = all(policy.only_scales for policy in policies)
        self.only_cuts = all(policy.only_cuts for policy in policies)
        self.keeps_best = all(policy.keeps_best for policy in policies)
        self.comes_last = any(policy.comes_last for policy in policies)
        self.groups = group_rows(policies)
        if prompt_length is not None:
            self._hand_on(prompt_length)

    def with_prompt_length(self, prompt_length: int | Tensor) -> RowsLogitsWarper:
        other = super().with_prompt_length(prompt_length)
        other._hand_on(prompt_length)
        return other

    def _hand_on(self, prompt_length: int | Tensor) -> None:
        split = isinstance(prompt_length, Tensor) and prompt_length.ndim == 1
        self.groups = [
            (policy.with_prompt_length(prompt_length[places] if split else prompt_length), places)  # type: ignore[index]
            for policy, places in self.groups
        ]

    def temperature(self, input_ids: Tensor, scores: Tensor) -> Tensor:
        self._check(scores)
        value = torch.empty_like(scores[..., :1], dtype=working_dtype(scores))
        for policy, places in self.groups:
            value[places] = policy.temperature(take(input_ids, places), take(scores, places))
        return value

    def process(self, input_ids: Tensor, scores: Tensor) -> Tensor:
        self._check(scores)
        result = torch.empty_like(scores)
        for policy, places in self.groups:
            result[places] = policy(take(input_ids, places), take(scores, places))
        return result

    def _check(self, scores: Tensor) -> None:
        if scores.shape[0] != self.rows:
            raise ValueError(
                f"`policies` has {self.rows} policies, but the batch has {scores.shape[0]} rows: give one per row "
                "(num_beams and num_return_sequences multiply the rows)"
            )


Places = slice | list[int]


def group_rows(policies: Sequence[PolicyLogitsWarper]) -> list[tuple[PolicyLogitsWarper, Places]]:
    """Each distinct policy with its rows: a slice where they stand together."""
    rows: dict[int, list[int]] = {}
    for row, policy in enumerate(policies):
        rows.setdefault(id(policy), []).append(row)
    return [(policies[places[0]], as_places(places)) for places in rows.values()]


def as_places(rows: list[int]) -> Places:
    """Rising row numbers as a slice if they have no gaps."""
    together = rows[-1] - rows[0] == len(rows) - 1
    return slice(rows[0], rows[-1] + 1) if together else rows


def take(values: Tensor, places: Places) -> Tensor:
    """The rows at `places`: a view for a slice, a copy for a list."""
    return values[places]
