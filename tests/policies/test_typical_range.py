"""Typical sampling without a sort: the tokens are transformers' own, to the bit."""

from __future__ import annotations

import pytest
import torch
from transformers import TypicalLogitsWarper

from temp_processors.policies.blocks import as_torch
from temp_processors.policies.cuts import TypicalPCutLogitsWarper
from temp_processors.policies.thresholds import WIDE
from temp_processors.policies.typical_range import typical_range

IDS = torch.zeros(1, 1, dtype=torch.long)


def rows(size: int, spread: float) -> torch.Tensor:
    """Some as they are, in steps (ties), masked in part, and far from 0."""
    scores = torch.randn(8, size, generator=torch.Generator().manual_seed(size)) * spread
    scores[1] = scores[1].bfloat16().float()
    scores[2, ::2], scores[3, 9:] = -torch.inf, -torch.inf
    scores[4] += 300.0
    return scores


@pytest.mark.parametrize("spread", [0.02, 0.5, 3.0, 8.0])
@pytest.mark.parametrize("size", [60, 2_048, WIDE + 9, 50_257])
def test_what_is_kept_is_that_of_transformers(size: int, spread: float) -> None:
    scores = rows(size, spread)
    for mass in (0.3, 0.9):
        with as_torch():
            certain = typical_range(scores.numpy(), mass)[:, 2] > 0.0
        assert size > WIDE or spread < 0.1 or certain[3:].any()
        assert torch.equal(TypicalPCutLogitsWarper(mass)(IDS, scores), TypicalLogitsWarper(mass)(IDS, scores))


def test_a_row_is_decided_by_itself_and_one_without_probabilities_keeps_all() -> None:
    scores = rows(2_000, 2.0)
    scores[5], scores[6, 3], scores[7, 3] = -torch.inf, torch.nan, torch.inf
    policy = TypicalPCutLogitsWarper(0.5)
    together = policy(IDS, scores)
    torch.testing.assert_close(together[5:], scores[5:], rtol=0, atol=0, equal_nan=True)
    for row, alone in zip(together[:5], scores[:5], strict=True):
        assert torch.equal(policy(IDS, alone[None])[0], row)
