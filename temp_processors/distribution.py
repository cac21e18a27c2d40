"""What a row of scores says as a distribution: entropy, varentropy, log-probabilities at a temperature.

Pure functions over the last axis, of any leading shape. Entries at -inf (masked by an earlier processor) count as
probability 0. A row of -inf only has entropy 0. NaN goes in and NaN comes out, for that row alone. float16 and
bfloat16 are computed and returned in float32. No host synchronisation.
"""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor


class Moments(NamedTuple):
    """Sums over one row that entropy and its relatives are made of; each has shape (..., 1). d = scores - max."""

    rest: Tensor  # sum of exp(d) over all entries but the first maximum: the partition function minus 1
    tilt: Tensor  # sum of d exp(d)


def working_dtype(scores: Tensor) -> torch.dtype:
    """float64 for float64 scores, else float32: the dtype in which temperatures and entropies are computed."""
    return torch.float64 if scores.dtype == torch.float64 else torch.float32


def top_score(scores: Tensor) -> Tensor:
    """The maximum of each row in the working dtype, 0 for a row of -inf only; (..., vocab) -> (..., 1)."""
    top = scores.amax(dim=-1, keepdim=True).to(working_dtype(scores))
    return top.masked_fill(torch.isneginf(top), 0.0)


def below_top(scores: Tensor) -> tuple[Tensor, Tensor]:
    """(scores - max, clamped where exp() is 0 anyway; index of the first maximum), (..., vocab) and (..., 1)."""
    scores = scores.to(working_dtype(scores))
    top, where = scores.max(dim=-1, keepdim=True)
    top = top.masked_fill(torch.isneginf(top), 0.0)
    floor = -800.0 if scores.dtype == torch.float64 else -110.0
    return (scores - top).clamp(min=floor), where


def moments(scores: Tensor) -> Moments:
    """The sums behind the entropy. The maximum is left out of `rest`, so that a peaked row keeps its small digits."""
    gap, where = below_top(scores)
    weight = gap.exp()
    tilt = (weight * gap).sum(dim=-1, keepdim=True)
    rest = weight.scatter(-1, where, 0.0).sum(dim=-1, keepdim=True)
    return Moments(rest, tilt)


def entropy(scores: Tensor) -> Tensor:
    """Shannon entropy of softmax(scores) over the last axis, in nats.

    Shape (..., vocab) -> (..., 1). Entries at -inf (masked by an earlier processor) count as probability 0, not nan.
    H = ln Z - sum(d exp(d)) / Z with d = scores - max and Z = sum(exp(d)).

    Example:

    ```python
    >>> import torch
    >>> from temp_processors.distribution import entropy
    >>> entropy(torch.tensor([[2.0, 1.0, 0.0, -1.0], [5.0, float("-inf"), float("-inf"), float("-inf")]]))
    tensor([[0.9475],
            [0.0000]])

    ```
    """
    rest, tilt = moments(scores)
    return torch.log1p(rest) - tilt / (1.0 + rest)


def varentropy(scores: Tensor) -> Tensor:
    """Variance of the surprisal -ln p under p = softmax(scores), in nats squared; (..., vocab) -> (..., 1)."""
    gap, _ = below_top(scores)
    weight = gap.exp()
    p = weight / weight.sum(dim=-1, keepdim=True)
    mean = (p * gap).sum(dim=-1, keepdim=True)
    return (p * (gap - mean).square()).sum(dim=-1, keepdim=True)


def finite_count(scores: Tensor) -> Tensor:
    """How many entries of each row are not -inf; (..., vocab) -> (..., 1), in the working dtype."""
    return (scores > -torch.inf).sum(dim=-1, keepdim=True).to(working_dtype(scores))


def greedy(scores: Tensor) -> Tensor:
    """The limit of temperature 0: the first maximum keeps its score, everything else goes to -inf."""
    best = scores.argmax(dim=-1, keepdim=True)
    return torch.full_like(scores, -torch.inf).scatter_(-1, best, scores.gather(-1, best))


def log_probs(scores: Tensor, temperature: Tensor | float = 1.0) -> Tensor:
    """ln softmax(scores / temperature) over the last axis, in float32 or float64; same shape as `scores`.

    `temperature` is a number or broadcasts against `scores` as (..., 1); 0 means greedy. This is what reinforcement
    learning needs of a text that was drawn at a temperature that changes from token to token.
    """
    scores = scores.to(working_dtype(scores))
    return torch.log_softmax(at_temperature(scores, temperature), dim=-1)


# A float32 division overflows only when |score| / T passes 3.4e38. Scores beyond this size do not occur, so that
# above LARGEST_SCORE / max(dtype) nothing needs to be checked, and the division costs what it costs elsewhere.
LARGEST_SCORE = 1e6


def may_overflow(dtype: torch.dtype) -> float:
    """Temperatures below this may overflow a division of `dtype` scores; the row decides. At most 1."""
    return min(1.0, LARGEST_SCORE / torch.finfo(dtype).max)


def at_temperature(scores: Tensor, temperature: Tensor | float) -> Tensor:
    """scores / temperature in a new tensor, greedy where temperature is 0 or so small that the maximum overflows.

    `temperature` is a number, or a tensor that broadcasts against `scores`, in the working dtype. The result has
    the dtype of `scores`. NaN temperatures give NaN rows: checking would force a device synchronisation.
    """
    if not isinstance(temperature, Tensor):
        if temperature >= may_overflow(scores.dtype):
            return scores / temperature
        temperature = torch.full((1,) * scores.ndim, temperature, dtype=working_dtype(scores), device=scores.device)
    if _all_safe(temperature, scores.dtype):
        return (scores / temperature).to(scores.dtype)
    biggest = torch.finfo(scores.dtype).max
    size = scores.amax(dim=-1, keepdim=True).abs().to(temperature.dtype)
    cold = (temperature < torch.finfo(temperature.dtype).tiny) | ((size > temperature * biggest) & ~torch.isinf(size))
    scaled = scores / temperature.masked_fill(cold, 1.0)
    return torch.where(cold, greedy(scores), scaled.to(scores.dtype))


def _all_safe(temperature: Tensor, dtype: torch.dtype) -> bool:
    """Whether no row can need the greedy branch. Asked on the CPU only, where the answer costs no synchronisation."""
    if torch.compiler.is_compiling() or temperature.device.type != "cpu":
        return False
    return not bool((temperature < may_overflow(dtype)).any())
