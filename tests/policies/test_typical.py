"""Typical sampling with a quicker sort: transformers' own to the bit, ties of the order and sums at the boundary among them."""

from __future__ import annotations

import pytest
import torch
from transformers import TypicalLogitsWarper

from temp_processors.policies.cuts import TypicalPCutLogitsWarper
from temp_processors.policies.thresholds import WIDE
from temp_processors.policies.typical import TIES, most_untypical

IDS = torch.zeros(1, 1, dtype=torch.long)


@pytest.mark.parametrize("size", [3, 2_000, 2 * WIDE + 5])
@pytest.mark.parametrize("spread", [0.02, 2.0, 6.0])
def test_every_row_is_that_of_transformers(size: int, spread: float) -> None:
    scores = torch.randn(5, size, generator=torch.Generator().manual_seed(size)) * spread
    scores[1] = scores[1].bfloat16().float()
    scores[2, ::2] = -torch.inf
    scores[3, 1:] = -torch.inf
    for mass in (0.2, 0.95):
        assert torch.equal(TypicalPCutLogitsWarper(mass)(IDS, scores), TypicalLogitsWarper(mass)(IDS, scores))


@pytest.mark.parametrize("size", [2_000, 2 * WIDE + 5])
def test_a_sum_at_the_boundary_is_left_to_transformers(size: int) -> None:
    scores = torch.randn(1, size, generator=torch.Generator().manual_seed(1)) * 2
    surprise = -scores.log_softmax(-1)
    order = (surprise - -(-surprise * (-surprise).exp()).nansum(-1, keepdim=True)).abs().argsort(dim=-1)
    sums = scores.gather(-1, order).softmax(-1).cumsum(-1)[0].double()
    place = int((sums < 0.6).sum())
    for mass in (sums[place].item(), sums[place].item() * (1 + TIES / 2)):
        assert not most_untypical(scores, mass)[2].any()
        assert torch.equal(TypicalPCutLogitsWarper(mass)(IDS, scores), TypicalLogitsWarper(mass)(IDS, scores))
    assert most_untypical(scores, (sums[place] + sums[place + 1]).item() / 2)[2].all()


@pytest.mark.slow
def test_the_order_of_ties_moves_the_normaliser_less_than_is_allowed() -> None:
    """Scores in steps and not: the sum of the probabilities in a stable order, and in torch's own."""
    generator = torch.Generator().manual_seed(2)
    for spread in (0.5, 1.0, 3.0, 6.0):
        scores = torch.randn(6, 120_000, generator=generator) * spread
        scores[::2] = scores[::2].bfloat16().float()
        surprise = scores.log_softmax(-1)
        typical = (-surprise + (surprise * surprise.exp()).nansum(-1, keepdim=True)).abs()
        sums = [
            scores.gather(-1, typical.sort(dim=-1, stable=stable).indices).softmax(-1).double().sum(-1)
            for stable in (False, True)
        ]
        assert (sums[0] / sums[1] - 1).abs().max() < TIES / 2
