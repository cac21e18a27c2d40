"""Log-probabilities at temperatures that are numbers: the scores of a few vocabulary entries at a time, folded into a running sum.

A policy has to see all scores of a token. A number need not, so that neither the scores of a chunk nor their softmax is ever written to
memory: blocks of scores stay in the cache, as in the fused losses for large vocabularies (Wijmans et al. 2024, arXiv 2411.09009).
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import torch
from torch import Tensor
from torch.autograd.function import FunctionCtx, once_differentiable

from temp_processors.policies.distribution import working_dtype

BLOCK = {"cpu": 1 << 18}
"""Scores in a block, by type of device: 1 MiB in float32."""
LARGE_BLOCK = 1 << 25
"""Elsewhere: few large products keep an accelerator busy."""
TOKENS = 1024
"""Tokens in a block, at most: more of them share one reading of the head."""


def log_probs_at(hidden: Tensor, head: Tensor, tokens: Tensor, temperature: Tensor) -> Tensor:
    """ln softmax(hidden head^T / temperature) at the tokens, in float32 or float64.

    Args:
        hidden: (n, hidden).
        head: (vocab, hidden).
        tokens: (n,), each below vocab.
        temperature: (n, 1) in the working dtype, above what may overflow; no gradient flows into it.

    Returns:
        (n,). Differentiable, once, with respect to `hidden` and `head`.
    """
    found: Tensor = _LogProbsAt.apply(hidden, head, tokens, temperature)  # type: ignore[no-untyped-call]
    return found


class _LogProbsAt(torch.autograd.Function):
    """l_y / T - ln sum_j exp(l_j / T); backward ([j = y] - p_j) / T, both a block of entries and tokens at a time."""

    @staticmethod
    def forward(ctx: FunctionCtx, hidden: Tensor, head: Tensor, tokens: Tensor, temperature: Tensor) -> Tensor:
        top = torch.full_like(temperature, -torch.inf)
        mass = torch.zeros_like(temperature)
        chosen = torch.zeros_like(temperature)
        for rows, entries in _blocks(hidden, head):
            scores = _scores(hidden[rows], head[entries], temperature[rows])
            higher = torch.maximum(top[rows], scores.amax(dim=-1, keepdim=True))
            place, here = _places(tokens[rows], entries)
            chosen[rows] = torch.where(here, scores.gather(-1, place), chosen[rows])
            weight = scores.sub_(higher).exp_().sum(dim=-1, keepdim=True)
            mass[rows] = mass[rows] * (top[rows] - higher).exp() + weight
            top[rows] = higher
        whole = top + mass.log()
        ctx.save_for_backward(hidden, head, tokens, temperature, whole)
        return (chosen - whole)[:, 0]

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor, Tensor, None, None]:
        hidden, head, tokens, temperature, whole = ctx.saved_tensors
        share = (gradient[:, None] / temperature).to(whole)
        back_hidden = torch.zeros_like(hidden, dtype=whole.dtype)
        back_head = torch.zeros_like(head, dtype=whole.dtype)
        for rows, entries in _blocks(hidden, head):
            scores = _scores(hidden[rows], head[entries], temperature[rows])
            back = scores.sub_(whole[rows]).exp_().mul_(-share[rows])
            place, here = _places(tokens[rows], entries)
            back.scatter_add_(-1, place, torch.where(here, share[rows], 0.0))
            back = back.to(head.dtype)
            back_hidden[rows] += back @ head[entries]
            back_head[entries] += back.T @ hidden[rows]
        return back_hidden.to(hidden.dtype), back_head.to(head.dtype), None, None


def _blocks(hidden: Tensor, head: Tensor) -> Iterator[tuple[slice, slice]]:
    """Places of some tokens and of some entries: all tokens of these entries, then the next."""
    height = max(1, min(TOKENS, len(hidden)))
    width = max(1, BLOCK.get(hidden.device.type, LARGE_BLOCK) // height)
    for entry in range(0, len(head), width):
        for row in range(0, len(hidden), height):
            yield slice(row, row + height), slice(entry, entry + width)


def _scores(hidden: Tensor, head: Tensor, temperature: Tensor) -> Tensor:
    scores = hidden @ head.T
    return scores.to(working_dtype(scores)).div_(temperature)


def _places(tokens: Tensor, entries: slice) -> tuple[Tensor, Tensor]:
    """Where each token stands among some entries, (n, 1), any place where it does not; and whether it does."""
    width = entries.stop - entries.start
    place = tokens[:, None] - entries.start
    here = (place >= 0) & (place < width)
    return torch.where(here, place, 0), here
