"""Sums over rows of scores at another temperature: of w, w d and w d^2 with w = exp(b d), d = scores - max, on the CPU.

Rows lie in pieces of equal length, (rows, pieces, entries). Those of float32 are summed in float32 over a piece and in float64 over
the pieces, which gives an entropy to some 1e-7. The bits of a row are its own, whatever stands beside it.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import torch

from temp_processors.policies.blocks import ONES, PIECE, Rows

MASKED = -1e15
"""Where d = -inf is moved: its weight is 0 at every temperature, and its square still fits into float32."""


def _powers() -> tuple[np.ufunc, float]:
    """Powers of 2 and its logarithm where numpy computes them in vectors, as with AVX-512: half of the time of exp; else exp and 1.

    Not torch's: its bits depend on where in a tensor an entry stands.
    """
    try:
        from numpy.lib.introspect import opt_func_info  # numpy 2.1
    except ImportError:
        return np.exp, 1.0
    found = opt_func_info(func_name="^exp2$").get("exp2", {}).get("ff", {}).get("current", "baseline")
    return (np.exp, 1.0) if found.startswith("baseline") else (np.exp2, math.log(2.0))


POWER, LOG = _powers()


def pieces(rows: int, size: int, dtype: Any) -> Rows:
    """Room for rows of `size` entries, in pieces of at most PIECE; the entries beyond the size are masked."""
    count = -(-size // PIECE)
    each = -(-size // count)
    room = np.empty((rows, count, each), dtype=dtype)
    if count * each > size:
        room[:, -1, size - count * each :] = MASKED
    return room


def tilted_sums(rows: Rows, betas: list[float], weight: Rows) -> list[list[float]]:
    """Of each row d its beta as rounded, and the sums of w, w d and w d^2 with w = exp(beta d), worked out in `weight`."""
    if rows.size <= PIECE and len(rows) == 1:
        return [_sums_of_row(rows[0, 0], betas[0], weight[0, 0])]
    powers = (np.array(betas) / LOG).astype(rows.dtype)
    torch.mul(torch.from_numpy(rows), torch.from_numpy(powers[:, None, None]), out=torch.from_numpy(weight))
    POWER(weight, out=weight)
    parts, line, column = np.empty((3, *rows.shape[:2], 1, 1), rows.dtype), weight[..., None, :], rows[..., None]
    np.matmul(line, ONES[rows.dtype][: rows.shape[-1]], out=parts[0])
    np.matmul(line, column, out=parts[1])
    weight *= rows
    np.matmul(line, column, out=parts[2])
    found = np.empty((len(rows), 4))
    found[:, 0] = powers
    found[:, 0] *= LOG
    found.T[1:] = parts[:, :, 0, 0, 0] if rows.shape[1] == 1 else parts[..., 0, 0].sum(axis=-1, dtype=np.float64)
    listed: list[list[float]] = found.tolist()
    return listed


def _sums_of_row(row: Rows, beta: float, weight: Rows) -> list[float]:
    """[`tilted_sums`] of one short row, whose cost is the number of operations: the same ones in one dimension."""
    power = row.dtype.type(beta / LOG)
    np.multiply(row, power, out=weight)
    POWER(weight, out=weight)
    whole, first = weight.dot(ONES[weight.dtype][: len(row), 0]), weight.dot(row)
    weight *= row
    return [float(power) * LOG, float(whole), float(first), float(weight.dot(row))]
