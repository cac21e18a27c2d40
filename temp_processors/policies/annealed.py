"""A temperature that begins high and falls ever faster: exploratory annealed decoding."""

from __future__ import annotations

from typing import ClassVar

from torch import Tensor

from temp_processors.policies.base import PolicyLogitsWarper
from temp_processors.policies.checks import Positive, Temperature, checked
from temp_processors.policies.distribution import working_dtype
from temp_processors.policies.few import as_tensor, at_least, divided, exp


class AnnealedTemperatureLogitsWarper(PolicyLogitsWarper):
    r"""
    [`PolicyLogitsWarper`] for exploratory annealed decoding (EAD): T(t) = max(1 + t_max - exp(t / decay), t_min).

    t is the step, 0 for the first new token, where T = t_max; T falls ever faster and holds t_min. The published
    sampler holds T = 1 for 10 steps and multiplies `decay` by 20, its trainer does not: this is the paper's formula.

    Args:
        decay (`float`): d, in steps, > 0.
        t_max (`float`, *optional*, defaults to 1.2): Temperature of the first token, >= 0.
        t_min (`float`, *optional*, defaults to 0.1): Temperature that holds in the end, >= 0.
        prompt_length (`int` or `torch.LongTensor` of shape `(batch,)`, *optional*, defaults to 0):
            Width of the prompt in tokens, padding included.

    Source: Yang et al. 2025, arXiv 2510.05251.

    Example:

    ```python
    >>> import torch
    >>> from temp_processors import AnnealedTemperatureLogitsWarper

    >>> annealed = AnnealedTemperatureLogitsWarper(decay=100, prompt_length=2)
    >>> annealed.temperature(torch.zeros(1, 52, dtype=torch.long), torch.zeros(1, 9))
    tensor([[0.5513]])

    ```
    """

    example: ClassVar = {"decay": 12.0}
    supports_continuous_batching = False
    ignores_scores = True

    @checked
    def __init__(
        self, decay: Positive, t_max: Temperature = 1.2, t_min: Temperature = 0.1, *, prompt_length: int | Tensor = 0
    ) -> None:
        super().__init__(prompt_length=prompt_length)
        self.decay, self.t_max, self.t_min = decay, t_max, t_min

    def temperature(self, input_ids: Tensor, scores: Tensor) -> Tensor:
        step = self.few_steps(input_ids, scores)
        return as_tensor(at_least(1.0 + self.t_max - exp(divided(step, self.decay)), self.t_min), working_dtype(scores))
