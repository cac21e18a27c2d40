"""Scores as a distribution: the temperature applied to them, log-probabilities, varentropy. Entropy is in fast_entropy.py.

Pure functions over the last axis, of any leading shape. Entries at -inf (masked by an earlier processor) count as
probability 0. A row of -inf only has entropy 0. NaN goes in and NaN comes out, for that row alone. float16 and
bfloat16 are computed and returned in float32. No host synchronisation.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor


def working_dtype(scores: Tensor) -> torch.dtype:
    """float64 for float64 scores, else float32: the dtype in which temperatures and entropies are computed."""
    try:
        return torch.float64 if scores.dtype == torch.float64 else torch.float32
    except AttributeError as error:
        raise no_tensor(scores) from error


def precise_dtype(values: Tensor) -> torch.dtype:
    """float64, for the few numbers that are ill-conditioned in float32; float32 on Apple's GPUs, which lack it."""
    return torch.float32 if values.device.type == "mps" else torch.float64


def top_score(scores: Tensor) -> Tensor:
    """The maximum of each row in the working dtype, 0 for a row of -inf only; (..., vocab) -> (..., 1)."""
    top = scores.amax(dim=-1, keepdim=True).to(working_dtype(scores))
    return top.masked_fill(torch.isneginf(top), 0.0)


def below_top(scores: Tensor) -> tuple[Tensor, Tensor]:
    """(scores - max, clamped where exp() is 0 anyway; index of the first maximum), (..., vocab) and (..., 1)."""
    gap, where = whole_gap(scores)
    return gap.clamp(min=exp_floor(gap.dtype)), where


def whole_gap(scores: Tensor) -> tuple[Tensor, Tensor]:
    """(scores - max, index of the first maximum), (..., vocab) and (..., 1), for a temperature that comes later."""
    dtype = working_dtype(scores)
    scores = scores.to(dtype)
    top, where = scores.max(dim=-1, keepdim=True)
    return scores - top.masked_fill(torch.isneginf(top), 0.0), where


def without_sync(scores: Tensor) -> bool:
    """Whether `scores` must go through plain tensor operations: on an accelerator, traced, or differentiated.

    Elsewhere, which is eager code on the CPU, looking at a value costs nothing and buffers may be used again.

    Raises:
        TypeError: They are no tensor.
    """
    try:
        on_cpu = scores.is_cpu
    except AttributeError as error:
        raise no_tensor(scores) from error
    if not on_cpu or torch.compiler.is_compiling():
        return True
    return scores.requires_grad and torch.is_grad_enabled()


def no_tensor(scores: object) -> TypeError:
    """The error for scores that have no attribute of a tensor: found by its absence, so that scores that are one cost no check."""
    return TypeError(
        f"scores have to be a tensor, but are of type {type(scores).__name__}: write torch.as_tensor(scores)"
    )


def exp_floor(dtype: torch.dtype) -> float:
    """Where exp() is 0 in `dtype`: -inf is moved here, because 0 times -inf is nan."""
    return -800.0 if dtype == torch.float64 else -110.0


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
    dtype = working_dtype(scores)
    scores = scores.to(dtype)
    return torch.log_softmax(at_temperature(scores, temperature), dim=-1)


# A float32 division overflows only when |score| / T passes 3.4e38. Scores beyond this size do not occur, so that
# above LARGEST_SCORE / max(dtype) nothing needs to be checked, and the division costs what it costs elsewhere.
LARGEST_SCORE = 1e6


def may_overflow(dtype: torch.dtype) -> float:
    """Temperatures below this may overflow a division of `dtype` scores; the row decides. At most 1.

    Raises:
        TypeError: It is no dtype of scores: whole numbers, for one, or numpy's.
    """
    if dtype not in _MAY_OVERFLOW:
        if not isinstance(dtype, torch.dtype):
            raise TypeError(f"scores have to be a tensor, but their dtype is none of torch's: {dtype}")
        raise TypeError(f"scores have to be float32, bfloat16, float16 or float64, but are {dtype}")
    return _MAY_OVERFLOW[dtype]


_MAY_OVERFLOW = {
    dtype: min(1.0, LARGEST_SCORE / torch.finfo(dtype).max)
    for dtype in (torch.float32, torch.bfloat16, torch.float16, torch.float64)
}


def at_temperature(scores: Tensor, temperature: Tensor | float, coldest: float = 0.0) -> Tensor:
    """scores / temperature in a new tensor, greedy where temperature is 0 or so small that the maximum overflows.

    `temperature` is a number, or a tensor that broadcasts against `scores`, in the working dtype; `coldest` is a bound
    that it is known not to fall below. The result has the dtype of `scores`. NaN temperatures give NaN rows:
    checking would force a device synchronisation.

    Raises:
        ValueError: The temperature is a number and no temperature: below 0, or nan.
    """
    if not isinstance(temperature, Tensor):
        if temperature >= may_overflow(scores.dtype):
            return scores / temperature
        if not temperature >= 0.0:
            raise ValueError(f"`temperature` has to be a number >= 0 (0 is greedy), but is {temperature!r}")
        temperature = torch.full((1,) * scores.ndim, temperature, dtype=working_dtype(scores), device=scores.device)
    if coldest >= may_overflow(scores.dtype) or _all_safe(temperature, scores.dtype):
        scaled = _divided(scores, temperature)
        return scaled if scaled.dtype == scores.dtype else scaled.to(scores.dtype)
    biggest = torch.finfo(scores.dtype).max
    size = scores.amax(dim=-1, keepdim=True).abs().to(temperature.dtype)
    cold = temperature < torch.finfo(temperature.dtype).tiny
    cold = cold | ((size > temperature * biggest) & ~torch.isinf(size))
    scaled = _divided(scores, temperature.masked_fill(cold, 1.0))
    return torch.where(cold, greedy(scores), scaled.to(scores.dtype))


def _divided(scores: Tensor, temperature: Tensor) -> Tensor:
    """scores / temperature. Where a gradient flows through the temperature, masked entries stay out of it: -inf times 0 is nan."""
    if not (torch.is_grad_enabled() and temperature.requires_grad):
        return scores / temperature
    if torch.compiler.is_compiling():
        masked = torch.isneginf(scores)
        return (scores.masked_fill(masked, 0.0) / temperature).masked_fill(masked, -torch.inf)
    divided: Tensor = _Divided.apply(scores, temperature)  # type: ignore[no-untyped-call]
    return divided


class _Divided(torch.autograd.Function):
    """The quotient; backward, masked entries give nothing to the temperature. One tensor of the size of the scores is kept, the result."""

    generate_vmap_rule = True

    @staticmethod
    def forward(scores: Tensor, temperature: Tensor) -> Tensor:
        return scores / temperature

    @staticmethod
    def setup_context(ctx: Any, inputs: tuple[Tensor, Tensor], output: Tensor) -> None:
        ctx.save_for_backward(inputs[1], output)
        ctx.dtype = inputs[0].dtype

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor, Tensor]:
        temperature, divided = ctx.saved_tensors
        back = gradient / temperature
        told = (back * divided).masked_fill(torch.isneginf(divided), 0.0)
        return back.to(ctx.dtype), -told.sum_to_size(temperature.shape)


def _all_safe(temperature: Tensor, dtype: torch.dtype) -> bool:
    """Whether no row can need the greedy branch. Asked only where the answer costs no synchronisation."""
    rows = temperature.numel()
    if rows == 0 or without_sync(temperature):
        return rows == 0  # a batch without rows
    coldest = temperature.item() if rows == 1 else temperature.amin().item()
    return bool(coldest >= may_overflow(dtype))
