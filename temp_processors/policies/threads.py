"""Work on a few rows at once on the CPU: blocks that stay in the cache, on as many threads as torch would take."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt
import torch

Rows: TypeAlias = npt.NDArray[Any]

BLOCK = 1 << 16
"""Entries worked on at once on the CPU: they stay in its cache, and no temporary of the size of the scores is paged in."""
PIECE = 1 << 12
"""Entries summed in the dtype of the scores; further ones in float64."""
ONES = {np.dtype(kind): np.ones((PIECE, 1), dtype=kind) for kind in (np.float32, np.float64)}


def in_blocks(work: Callable[[Rows, slice], Rows], rows: Rows) -> Rows:
    """`work` on blocks of rows, (rows, vocab), and the places of each block among all; what it returns, one below the other.

    The vocabulary alone decides how many rows are a block. numpy gives up the interpreter's lock while it computes, so that
    threads run at the same time; starting them pays from two blocks on, each of which takes most of a millisecond.
    """
    height = max(1, BLOCK // max(rows.shape[-1], 1))
    places = [slice(row, row + height) for row in range(0, len(rows), height)]
    threads = min(len(places), torch.get_num_threads())
    if threads < 2:
        found = [work(rows[place], place) for place in places]
    else:
        with ThreadPoolExecutor(threads) as pool:
            found = list(pool.map(lambda place: work(rows[place], place), places))
    if len(found) == 1:
        return found[0]
    return np.concatenate(found) if found else np.empty((0, 1), dtype=rows.dtype)


def dot(left: Rows, right: Rows | None = None) -> Rows:
    """Of each row the sum of the products with `right`, or of the entries themselves: (rows, entries) -> (rows,) in float64.

    By BLAS's inner product of two vectors, row by row, so that a row's bits are its own, whatever stands beside it.
    """
    size = left.shape[-1]
    if size <= PIECE:
        return _products(left, right)[:, 0].astype(np.float64)
    whole = size // PIECE * PIECE
    shape = (len(left), -1, PIECE)
    pieces = _products(left[:, :whole].reshape(shape), None if right is None else right[:, :whole].reshape(shape))
    found: Rows = pieces[..., 0].sum(axis=-1, dtype=np.float64)
    if whole < size:
        found += _products(left[:, whole:], None if right is None else right[:, whole:])[:, 0]
    return found


def _products(left: Rows, right: Rows | None) -> Rows:
    column = ONES[left.dtype][: left.shape[-1]] if right is None else right[..., None]
    found: Rows = np.matmul(left[..., None, :], column)[..., 0]
    return found
