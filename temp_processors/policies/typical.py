"""Which tokens transformers' `TypicalLogitsWarper` drops, on the CPU with a quicker sort of them by their typicality.

It adds up float32 probabilities in the order of | surprisal - entropy |. The entropy, the order and the sums are computed by
the same operations here, so that they have the same bits. Only the sort differs: these numbers are not negative, and the bits of such
are whole numbers of the same order, which torch sorts digit by digit and numpy several at once.

Equally typical tokens (one less likely than e^-H, the other more) are in the order of the vocabulary here, and in any order there:
torch's sort is not stable. That moves the normaliser of the softmax, in which the order of the additions is rounding, and nothing
else. By how much was measured, not proven: at most 1.4 * 2^-24 of it in thousands of rows. A row in which a sum is within 2^-21
of `mass` takes transformers' own way.
"""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from temp_processors.policies.blocks import Rows
from temp_processors.policies.thresholds import WIDE, has_radix_sort

TIES = 2.0**-21
"""How far from `mass` a sum has to be, as a share of it, so that the order of ties cannot decide."""


def most_untypical(rows: Tensor, mass: float) -> tuple[Tensor, Rows, Rows]:
    """Of rows of float32 with a finite maximum: (rows, vocab).

    Returns:
        | surprisal - entropy | of each token, (rows, vocab); the largest that stays, (rows, 1); whether that is certain, (rows,).
    """
    distance = _distance(rows)
    bits: Rows = distance.numpy().view(np.int32)
    if rows.shape[-1] < 2 * WIDE or not has_radix_sort():
        return distance, *_limits(rows, *_by_keys(bits), mass)
    found = [_limits(row[None], *_by_digits(of), mass) for row, of in zip(rows, bits, strict=True)]
    limit, certain = (np.concatenate(parts) for parts in zip(*found, strict=True))
    return distance, limit, certain


def _distance(rows: Tensor) -> Tensor:
    surprise = rows.log_softmax(dim=-1)
    terms = surprise.exp().mul_(surprise)
    return surprise.neg_().sub_(-terms.nansum(dim=-1, keepdim=True)).abs_()


def _by_digits(bits: Rows) -> tuple[Rows, Rows]:
    """The numbers of one row in rising order, and their places: (1, vocab) both."""
    ordered, order = torch.from_numpy(bits).sort(stable=True)
    return ordered.numpy()[None], order.numpy()[None]


def _by_keys(bits: Rows) -> tuple[Rows, Rows]:
    """The same for some rows: each number and its place are one number of 64 bits."""
    keys = bits.astype(np.int64) << 32
    keys |= np.arange(bits.shape[-1])
    keys.sort(axis=-1)
    return (keys >> 32).astype(np.int32), keys & 0xFFFFFFFF


def _limits(rows: Tensor, ordered: Rows, order: Rows, mass: float) -> tuple[Rows, Rows]:
    sums: Rows = rows.gather(-1, torch.from_numpy(order)).softmax(dim=-1).cumsum(dim=-1).numpy()
    each, wanted = np.arange(len(sums)), np.float32(mass)
    last = np.minimum(np.count_nonzero(sums < wanted, axis=-1), sums.shape[-1] - 1)
    before = np.where(last > 0, sums[each, last - 1], np.float32(0.0))
    slack = np.float32(mass * TIES)
    certain = (np.abs(sums[each, last] - wanted) > slack) & (wanted - before > slack)
    return ordered[each, last].view(np.float32)[:, None], certain
