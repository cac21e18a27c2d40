"""One temperature for the whole text, or one for each row of the batch."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated, TypeAlias

import torch
from torch import Tensor

from temp_processors.policies.base import PolicyLogitsWarper
from temp_processors.policies.checks import TEMPERATURE, Checked, checked, is_list
from temp_processors.policies.distribution import at_temperature, may_overflow, working_dtype
from temp_processors.policies.positions import per_row


def check_temperatures(name: str, value: object) -> float | tuple[float, ...]:
    """One temperature, or a tuple with one per row; a tensor of no dimension counts as one number."""
    if isinstance(value, Tensor):
        value = value.tolist()
    if not is_list(value):
        return TEMPERATURE.check(name, value)
    if not value:
        raise ValueError(f"`{name}` has to be a number or one per row of the batch, but is empty")
    return tuple(TEMPERATURE.check(f"{name}[{row}]", item) for row, item in enumerate(value))


Temperatures: TypeAlias = Annotated[
    float | Sequence[float] | Tensor, Checked(check_temperatures, float | tuple[float, ...])
]
DTYPES = (torch.float32, torch.bfloat16, torch.float16, torch.float64)


class FixedTemperatureLogitsWarper(PolicyLogitsWarper):
    r"""
    [`PolicyLogitsWarper`] with a temperature that never changes: p_i = exp(l_i / T) / sum_j exp(l_j / T).

    The same arithmetic as transformers' `TemperatureLogitsWarper`, hence the same tokens as `generate(temperature=T)`
    under the same torch seed, and T = 1 changes nothing to the bit. Beyond it: any real number from 0 (greedy) up,
    and one temperature per row, which puts several temperatures in one `generate` call. Remember `top_k=0` in
    that call: sampling truncates to 50 tokens by default.

    Args:
        temperature (`float`, or a list or tensor of them):
            A number >= 0, where 0 is greedy and 1 the model's own distribution; or one number per row of the batch, in
            the order of the rows (`num_return_sequences` and `num_beams` repeat each prompt's row in place).

    Raises:
        ValueError: for bool, nan, inf and negatives at once, for a wrong number of rows at the first call.

    Example:

    ```python
    >>> import torch
    >>> from temp_processors import FixedTemperatureLogitsWarper

    >>> scores = torch.tensor([[1.0, 2.0, 3.0], [1.0, 2.0, 3.0]])
    >>> FixedTemperatureLogitsWarper([0.5, 0])(torch.tensor([[7], [8]]), scores)
    tensor([[2., 4., 6.],
            [-inf, -inf, 3.]])

    ```
    """

    supports_continuous_batching = True
    ignores_scores = True

    @checked
    def __init__(self, temperature: Temperatures, *, prompt_length: int | Tensor = 0) -> None:
        super().__init__(prompt_length=prompt_length)
        self.value = temperature if isinstance(temperature, float) else tuple(temperature)
        self.per_row = not isinstance(self.value, float)
        self.supports_continuous_batching = not self.per_row
        self.coldest = self.value if isinstance(self.value, float) else min(self.value)
        # Where nothing can overflow, the division is all there is to do.
        self._divisor = self.coldest
        self._divides = {dtype for dtype in DTYPES if isinstance(self.value, float) and not_cold(self.value, dtype)}
        # Made once: building a tensor from Python numbers at every step costs more than the division on small models.
        self._rows = torch.tensor(self.value, dtype=torch.float64)

    def temperature(self, input_ids: Tensor, scores: Tensor) -> Tensor:
        dtype = working_dtype(scores)
        if isinstance(self.value, float):
            return torch.full((1,) * scores.ndim, self.value, dtype=dtype, device=scores.device)
        return per_row(self._rows.to(dtype), "temperature", scores)

    def process(self, input_ids: Tensor, scores: Tensor) -> Tensor:
        if scores.dtype in self._divides:
            return scores / self._divisor  # by a Python number, as transformers' own warper does
        if isinstance(self.value, float):
            return at_temperature(scores, self.value)
        return super().process(input_ids, scores)


def not_cold(temperature: float, dtype: torch.dtype) -> bool:
    """Whether dividing scores of `dtype` by this can be done without looking at them."""
    return temperature >= may_overflow(dtype)
