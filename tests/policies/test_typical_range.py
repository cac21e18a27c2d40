"""Typical sampling without a sort: what is certain is transformers' own, and elsewhere the masses are those of the formula."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from transformers import TypicalLogitsWarper

from temp_processors.policies.blocks import as_torch
from temp_processors.policies.cuts import TypicalPCutLogitsWarper
from temp_processors.policies.nucleus import rounding
from temp_processors.policies.typical_range import PROVEN, typical_range

IDS = torch.zeros(1, 1, dtype=torch.long)


def rows(size: int, spread: float) -> torch.Tensor:
    """Some as they are, in steps (ties), masked in part, and far from 0."""
    scores = torch.randn(8, size, generator=torch.Generator().manual_seed(size)) * spread
    scores[1] = scores[1].bfloat16().float()
    scores[2, ::2], scores[3, 9:] = -torch.inf, -torch.inf
    scores[4] += 300.0
    return scores


@pytest.mark.parametrize("spread", [0.02, 0.5, 3.0, 8.0])
@pytest.mark.parametrize("size", [60, 2_048, PROVEN + 9])
def test_what_is_certain_is_that_of_transformers(size: int, spread: float) -> None:
    scores = rows(size, spread)
    for mass in (0.3, 0.9):
        with as_torch():
            certain = typical_range(scores.numpy(), mass)[:, 2] > 0.0
        assert size > PROVEN or spread < 0.1 or certain[3:].any()
        every = np.ones_like(certain) if size <= PROVEN else certain
        ours, theirs = TypicalPCutLogitsWarper(mass)(IDS, scores[every]), TypicalLogitsWarper(mass)(IDS, scores[every])
        assert torch.equal(ours, theirs)


@pytest.mark.parametrize("spread", [0.5, 3.0])
def test_wide_rows_keep_the_mass_of_the_formula(spread: float) -> None:
    """And what transformers keeps has the same up to the rounding of its sums and one token."""
    scores = rows(PROVEN + 1_000, spread)
    surprise = -scores.double().log_softmax(dim=-1)
    p = surprise.neg().exp()
    distance = (surprise - (p * surprise).nansum(dim=-1, keepdim=True)).abs()
    for mass in (0.3, 0.9):
        kept = torch.isfinite(TypicalPCutLogitsWarper(mass)(IDS, scores))
        last = distance.masked_fill(~kept, -1.0).amax(dim=-1, keepdim=True)
        assert (
            distance[~kept & torch.isfinite(scores)] >= (last - 1e-3).expand_as(kept)[~kept & torch.isfinite(scores)]
        ).all()
        sums = (p * kept).sum(dim=-1)
        inner = (p * (kept & (distance < last - 1e-3))).sum(dim=-1)
        assert (sums > mass - 1e-5).all()
        assert (inner < mass + 1e-5).all()
        theirs = torch.isfinite(TypicalLogitsWarper(mass)(IDS, scores))
        moved = (p * (kept ^ theirs)).sum(dim=-1)
        assert (moved <= rounding(np.float64(scores.shape[-1])) + (p * kept).amax(dim=-1)).all()


def test_a_row_is_decided_by_itself_and_one_without_probabilities_keeps_all() -> None:
    scores = rows(2_000, 2.0)
    scores[5], scores[6, 3], scores[7, 3] = -torch.inf, torch.nan, torch.inf
    policy = TypicalPCutLogitsWarper(0.5)
    together = policy(IDS, scores)
    torch.testing.assert_close(together[5:], scores[5:], rtol=0, atol=0, equal_nan=True)
    for row, alone in zip(together[:5], scores[:5], strict=True):
        assert torch.equal(policy(IDS, alone[None])[0], row)
