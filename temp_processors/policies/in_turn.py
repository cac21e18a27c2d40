"""Cuts one after the other: what the first one left is looked at by the others, not the vocabulary."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor

from temp_processors.policies.blocks import Rows
from temp_processors.policies.cuts import CutLogitsWarper
from temp_processors.policies.distribution import without_sync
from temp_processors.policies.thresholds import falling, keep_from

FEW = 1024
"""Up to this many tokens of a row, and an eighth of the vocabulary, are sorted for the cuts that follow."""


def cut_in_turn(cuts: Sequence[CutLogitsWarper], input_ids: Tensor, scores: Tensor) -> Tensor:
    """The scores after all `cuts`, each on what the one before it left, with the bits of calling one after the other.

    In eager code on the CPU, a cut is asked for its [`CutLogitsWarper.among`] the tokens that are left, if these are few. What it
    cannot say with certainty is left to its call.
    """
    few: Rows | None = None
    lowest: Rows | None = None  # of a cut that is decided and still to be made
    for place, cut in enumerate(cuts):
        found = None if few is None else cut.among(few)
        if few is not None and found is not None and not np.isnan(found).any():
            few, lowest = np.where(few < found, -np.inf, few).astype(few.dtype), found
            continue
        scores, lowest = cut(input_ids, _made(scores, lowest)), None
        few = _few(scores) if place + 1 < len(cuts) else None
    return _made(scores, lowest)


def _made(scores: Tensor, lowest: Rows | None) -> Tensor:
    return scores if lowest is None else keep_from(scores, torch.from_numpy(lowest).view(*scores.shape[:-1], 1))


def _few(scores: Tensor) -> Rows | None:
    """The scores of each row that are not -inf in falling order, -inf after the last; None where they are many or not finite."""
    if without_sync(scores) or scores.dtype != torch.float32 or not scores.numel():
        return None
    rows: Rows = scores.detach().reshape(-1, scores.shape[-1]).numpy()
    left = rows != -np.inf
    count = np.count_nonzero(left) if len(left) == 1 else np.count_nonzero(left, axis=-1).max()
    if not 0 < count <= min(FEW, max(rows.shape[-1] // 8, 1)):
        return None
    ordered = falling(rows, left)
    return ordered if np.isfinite(ordered[:, 0]).all() else None
