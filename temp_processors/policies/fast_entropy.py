"""Entropy of softmax(scores), in few operations for small rows and in blocks that stay in the cache for large ones.

The rules of distribution.py hold. In eager code on the CPU it is computed by numpy, which needs one pass of exp() where torch's
log_softmax needs two, and can look at the values at no cost; elsewhere by plain tensor operations, which do not synchronise a device.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor

from temp_processors.policies.blocks import BLOCK, ONES, PIECE, Rows, as_torch, dot, in_blocks
from temp_processors.policies.distribution import below_top, finite_count, precise_dtype, without_sync, working_dtype
from temp_processors.policies.few import Few, as_tensor, precise

ALL = slice(None)


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
    if scores.requires_grad and torch.is_grad_enabled() and not torch.compiler.is_compiling():
        found: Tensor = _Entropy.apply(scores)  # type: ignore[no-untyped-call]
        return found
    return as_tensor(few_entropy(scores), working_dtype(scores))


def few_entropy(scores: Tensor) -> Few:
    """[`entropy`] for formulas on few numbers: float64 in an array, or a tensor in the working dtype."""
    if not without_sync(scores):
        return _measured(scores)[0]
    if scores.requires_grad and torch.is_grad_enabled():
        return entropy(scores)
    return _of_moments(moments(scores))


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


def _of_moments(sums: Moments) -> Tensor:
    """ln Z - sum(d exp(d)) / Z, in float64: in float32 a few rows at once round otherwise than one (SIMD lanes)."""
    rest, tilt = (part.to(precise_dtype(part)) for part in sums)
    return (torch.log1p(rest) - tilt / (1.0 + rest)).to(sums.rest.dtype)


def entropy_share(scores: Tensor, scale: float = 1.0, offset: float = 0.0) -> tuple[Tensor, Tensor]:
    """`offset` + `scale` H / ln n: `offset` when certain, `scale` more when uniform; (..., vocab) -> (..., 1).

    n counts the entries that are not -inf. The second tensor says which rows have at most one such entry (there H is 0).
    """
    value, count = few_entropy_share(scores, scale, offset)
    return as_tensor(value, working_dtype(scores)), as_tensor(count, working_dtype(scores)) <= 1.0


def few_entropy_share(scores: Tensor, scale: float, offset: float, exponent: float = 1.0) -> tuple[Few, Few]:
    """`offset` + `scale` (H / ln n)^`exponent`, and n: few numbers, in float64 where the device has it."""
    if not without_sync(scores):
        spread, count = _measured(scores)
        return _scaled(spread / np.log(np.maximum(count, 2.0)), scale, offset, exponent), count
    whole, entries = precise(few_entropy(scores)), finite_count(scores)
    share = whole / torch.log(entries.clamp(min=2.0).to(whole.dtype))
    return _scaled(share, scale, offset, exponent), entries


def _scaled(share: Few, scale: float, offset: float, exponent: float) -> Few:
    return (share if exponent == 1.0 else share**exponent) * scale + offset


def _measured(scores: Tensor) -> tuple[Rows, Rows]:
    """Entropy, and number of entries that are not -inf, of every row on the CPU, (..., 1) and float64."""
    shape = (*scores.shape[:-1], 1)
    if scores.numel() == 0:
        return np.zeros(shape), np.zeros(shape)
    values = scores.detach().to(working_dtype(scores)).numpy()
    rows = values.reshape(-1, values.shape[-1])
    if len(rows) == 1 and rows.size <= PIECE:
        spread, count = _measured_row(rows[0])
        return np.full(shape, spread), np.full(shape, count)
    found = _measured_block(rows, ALL) if rows.size <= BLOCK else in_blocks(_measured_block, rows)
    return found[:, 0].reshape(shape), found[:, 1].reshape(shape)


def _measured_row(values: Rows) -> tuple[float, float]:
    """[`_measured_block`] of one short row, whose cost is the number of operations: the same ones on single numbers."""
    with as_torch():
        gap = values - values.max()
        weight = np.exp(gap)
        whole, tilt = float(weight.dot(ONES[weight.dtype][: len(weight), 0])), float(weight.dot(gap))
    if whole >= 2.0 and tilt <= 0.0:
        return float(np.log(whole)) - tilt / whole, float(len(values))
    spread, count = _measured_block(values[None], ALL)[0].tolist()
    return spread, count


def _measured_block(values: Rows, _: slice) -> Rows:
    """Entropy and number of entries, (rows, 2), of some rows; each row's bits are its own, whatever stands beside it."""
    with as_torch():
        top = np.maximum(values.max(axis=-1, keepdims=True), np.finfo(values.dtype).min)  # not -inf
        gap = values - top
        weight = np.exp(gap)
        whole, tilt = dot(weight), dot(weight, gap)
        found = np.empty((len(values), 2))
        found[:, 1] = values.shape[-1]
        if not (tilt <= 0.0).all():  # nan: 0 times -inf
            np.maximum(gap, -800.0 if gap.dtype == np.float64 else -110.0, out=gap)
            tilt = dot(weight, gap)
            found[:, 1] = np.count_nonzero(values > -np.inf, axis=-1)
        if not whole.min() >= 2.0:
            peaked = whole < 2.0  # there the small digits of the sum are what counts, and float32 has lost them
            whole[peaked] = np.maximum(weight[peaked].sum(axis=-1, dtype=np.float64), 1.0)
        found[:, 0] = np.log(whole) - tilt / whole
    return found


def moments(scores: Tensor) -> Moments:
    """The sums behind the entropy. The maximum is left out of `rest`, so that a peaked row keeps its small digits."""
    gap, where = below_top(scores)
    weight = gap.exp()
    rest = weight.scatter(-1, where, 0.0).sum(dim=-1, keepdim=True)
    return Moments(rest, (weight * gap).sum(dim=-1, keepdim=True))
