"""Work on a few rows at once on the CPU: blocks that stay in the cache, on as many threads as torch would take."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt
import torch

from temp_processors.policies.fast_entropy import BLOCK

Rows: TypeAlias = npt.NDArray[Any]


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
