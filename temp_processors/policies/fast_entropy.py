"""Entropy of softmax(scores), in few operations for small rows and in blocks that stay in the cache for large ones.

The rules of distribution.py hold. On the CPU, in eager code, a look at the values chooses the way; elsewhere that would
synchronise the device, and one way serves all.
"""

from __future__ import annotations

import math
from typing import Any, NamedTuple

import torch
from torch import Tensor

from temp_processors.policies.distribution import (
    below_top,
    exp_floor,
    finite_count,
    precise_dtype,
    top_score,
    without_sync,
    working_dtype,
)

# Entries worked on at once on the CPU: they stay in its cache, and no temporary of the size of the scores is paged in.
BLOCK = 1 << 16
# Up to here the number of operations is the cost, not the number of entries.
SMALL = 1 << 17


# Above this the entropy is not one of a peaked row, whose small digits the quick way loses.
PEAKED = 0.1


class Moments(NamedTuple):
    """Sums over one row that entropy and its relatives are made of; each has shape (..., 1). d = scores - max."""

    rest: Tensor  # sum of exp(d) over all entries but the first maximum: the partition function minus 1
    tilt: Tensor  # sum of d exp(d)


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
    quick = quick_negentropy(scores)
    if quick is not None and sure(quick):
        return quick.neg_()
    return careful_entropy(scores, quick)


class _Entropy(torch.autograd.Function):
    """The entropy, and dH / dl_i = -p_i (ln p_i + H): one tensor of the size of the scores is kept, the scores."""

    generate_vmap_rule = True

    @staticmethod
    def forward(scores: Tensor) -> Tensor:
        return entropy(scores.detach())

    @staticmethod
    def setup_context(ctx: Any, inputs: tuple[Tensor], output: Tensor) -> None:
        ctx.save_for_backward(*inputs, output)

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> Tensor:
        scores, value = ctx.saved_tensors
        surprise = torch.log_softmax(scores, dim=-1, dtype=working_dtype(scores))
        back: Tensor = surprise.exp() * (surprise + value) * -gradient
        return back.masked_fill(torch.isneginf(scores), 0.0).to(scores.dtype)


def quick_negentropy(scores: Tensor) -> Tensor | None:
    """Minus the entropy in few operations, (..., 1), or None where few operations are not what counts.

    Rows with entries at -inf give nan, those near 0 lose digits: only what passes -PEAKED is to be used. The vocabulary
    alone decides whether this way is taken, so that a row gets the same bits in every batch.
    """
    if scores.shape[-1] > SMALL or without_sync(scores):
        return None
    if scores.numel() <= SMALL:
        return _quick(scores)
    rows = scores.reshape(-1, scores.shape[-1])
    parts = [_quick(block) for block in torch.split(rows, SMALL // rows.shape[-1])]
    return torch.cat(parts).view(*scores.shape[:-1], 1)


def _quick(scores: Tensor) -> Tensor:
    surprise = torch.log_softmax(scores, dim=-1, dtype=working_dtype(scores))
    return surprise.exp().mul_(surprise).sum(dim=-1, keepdim=True)


def sure(quick: Tensor) -> bool:
    """Whether every row of [`quick_negentropy`] can be used, and with it: no entry is -inf."""
    if quick.numel() == 1:
        return quick.item() < -PEAKED
    return all(value < -PEAKED for value in quick.flatten().tolist())


def careful_entropy(scores: Tensor, quick: Tensor | None) -> Tensor:
    """The entropy from [`moments`]. Rows whose quick answer is good keep it: an answer may not depend on other rows."""
    if scores.requires_grad and torch.is_grad_enabled() and not torch.compiler.is_compiling():
        found: Tensor = _Entropy.apply(scores)  # type: ignore[no-untyped-call]
        return found
    if quick is None:
        return _of_moments(moments(scores))
    open_rows = ~(quick < -PEAKED).flatten()
    value = quick.neg().view(-1, 1)
    value[open_rows] = _of_moments(moments(scores.reshape(-1, scores.shape[-1])[open_rows]))
    return value.view(quick.shape)


def _of_moments(sums: Moments) -> Tensor:
    """ln Z - sum(d exp(d)) / Z, in float64: in float32 a few rows at once round otherwise than one (SIMD lanes)."""
    rest, tilt = (part.to(precise_dtype(part)) for part in sums)
    return (torch.log1p(rest) - tilt / (1.0 + rest)).to(sums.rest.dtype)


def entropy_share(scores: Tensor, scale: float = 1.0, offset: float = 0.0) -> tuple[Tensor, Tensor | None]:
    """`offset` + `scale` H / ln n: `offset` when certain, `scale` more when uniform; (..., vocab) -> (..., 1).

    n counts the entries that are not -inf. The second tensor says which rows have at most one such entry
    (there H is 0); None if no row has.
    """
    quick, vocabulary = quick_negentropy(scores), scores.shape[-1]
    certain = quick is not None and sure(quick)
    spread = quick.neg() if quick is not None and certain else careful_entropy(scores, quick)
    precise = spread.to(precise_dtype(spread))  # in float32 a few rows at once round otherwise than one (SIMD lanes)
    certain = certain or scores.numel() == 0  # a batch without rows
    whole = not without_sync(scores) and vocabulary > 1 and (certain or bool(scores.amin() > -torch.inf))
    if whole:
        return (precise * (scale / math.log(vocabulary)) + offset).to(spread.dtype), None
    count = finite_count(scores)
    share = precise * (scale / torch.log(count.clamp(min=2.0).to(precise.dtype))) + offset
    return share.to(spread.dtype), count <= 1.0


def moments(scores: Tensor) -> Moments:
    """The sums behind the entropy. The maximum is left out of `rest`, so that a peaked row keeps its small digits."""
    if without_sync(scores):
        gap, where = below_top(scores)
        weight = gap.exp()
        rest = weight.scatter(-1, where, 0.0).sum(dim=-1, keepdim=True)
        return Moments(rest, (weight * gap).sum(dim=-1, keepdim=True))
    rows = scores.reshape(-1, scores.shape[-1])
    found = [_block_moments(block) for block in torch.split(rows, max(1, BLOCK // rows.shape[-1]))]
    rest, tilt = (torch.cat(parts) if len(parts) > 1 else parts[0] for parts in zip(*found, strict=True))
    shape = (*scores.shape[:-1], 1)
    return Moments(rest.view(shape), tilt.view(shape))


def _block_moments(block: Tensor) -> Moments:
    """[`moments`] of a few rows on the CPU, with two buffers in all."""
    gap = block.to(working_dtype(block), copy=block.dtype != working_dtype(block))
    top = top_score(block)
    gap = torch.sub(gap, top).clamp_(min=exp_floor(gap.dtype))
    weight = gap.exp()
    whole = weight.sum(dim=-1, keepdim=True)
    rest = whole - 1.0
    peaked = (whole < 2.0).flatten()
    if bool(peaked.any()):  # there the small digits of the sum are what counts, and float32 has lost them
        exact = weight[peaked].sum(dim=-1, keepdim=True, dtype=torch.float64) - 1.0
        rest[peaked] = exact.clamp_(min=0.0).to(rest.dtype)
    return Moments(rest, gap.mul_(weight).sum(dim=-1, keepdim=True))
