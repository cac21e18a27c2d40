"""Work on a few rows at once on the CPU, in blocks that stay in the cache."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager
from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt

Rows: TypeAlias = npt.NDArray[Any]

BLOCK = 1 << 16
"""Entries worked on at once on the CPU: they stay in its cache, and no temporary of the size of the scores is paged in."""
PIECE = 1 << 12
"""Entries summed in the dtype of the scores; further ones in float64."""
ONES = {np.dtype(kind): np.ones((PIECE, 1), dtype=kind) for kind in (np.float32, np.float64)}


def as_torch() -> AbstractContextManager[Any]:
    """While open, numpy says as little as torch of what is infinite or NaN: of scores 1e38 apart, rows of -inf, NaN among the scores."""
    return np.errstate(over="ignore", invalid="ignore", divide="ignore")


def in_blocks(work: Callable[[Rows, slice], Rows], rows: Rows) -> Rows:
    """`work` on blocks of rows, (rows, vocab), and the places of each block among all; what it returns, one below the other.

    The vocabulary alone decides how many rows are a block. One thread does it all: numpy's calls on a block take some 30 us, and handing
    the interpreter's lock over after each made two threads 2 to 8 times as slow as one from 64 x 2,048 to 64 x 50,257, and no
    faster at 64 x 151,936.
    """
    height = max(1, BLOCK // max(rows.shape[-1], 1))
    places = (slice(row, row + height) for row in range(0, len(rows), height))
    with as_torch():
        found = [work(rows[place], place) for place in places]
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
