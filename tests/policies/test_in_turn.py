"""Cuts after one that leaves few tokens give the bits of one call after the other, and nearly never need the vocabulary again."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from transformers import EpsilonLogitsWarper, MinPLogitsWarper, TopKLogitsWarper, TopPLogitsWarper

from temp_processors import ChainLogitsWarper
from temp_processors.policies.cuts import (
    CutLogitsWarper,
    EpsilonCutLogitsWarper,
    MinPCutLogitsWarper,
    TopKCutLogitsWarper,
    TopPCutLogitsWarper,
    TypicalPCutLogitsWarper,
)
from temp_processors.policies.in_turn import cut_in_turn

IDS = torch.zeros(1, 1, dtype=torch.long)


def rows(spread: float, steps: bool) -> torch.Tensor:
    """Rows as wide as a small vocabulary, in steps of bfloat16 (ties) or not, one masked in part and one to one token."""
    scores = torch.randn(40, 2_000, generator=torch.Generator().manual_seed(5)) * spread
    scores[0, ::3] = -torch.inf
    scores[1, 1:] = -torch.inf
    return scores.bfloat16().float() if steps else scores


@pytest.mark.parametrize("spread", [0.05, 1.0, 4.0])
@pytest.mark.parametrize("steps", [False, True])
def test_the_bits_of_transformers_in_turn(spread: float, steps: bool) -> None:
    scores = rows(spread, steps)
    for k, p, least in ((20, 0.95, 0.05), (200, 0.6, 0.3), (1, 0.5, 1.0), (50, 1.0, 0.0)):
        cuts: list[CutLogitsWarper] = [
            TopKCutLogitsWarper(k),
            TopPCutLogitsWarper(p),
            MinPCutLogitsWarper(least),
            EpsilonCutLogitsWarper(0.01),
        ]
        expected = scores
        for theirs in (TopKLogitsWarper(k), TopPLogitsWarper(p), MinPLogitsWarper(least), EpsilonLogitsWarper(0.01)):
            expected = theirs(IDS, expected)
        assert torch.equal(cut_in_turn(cuts, IDS, scores), expected)
        assert torch.equal(cut_in_turn(cuts, IDS, scores[:, None])[:, 0], expected)


def test_what_follows_does_not_look_at_the_vocabulary(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nor does it where equal scores part at the boundary: that is left to the call."""
    calls: list[int] = []
    whole = TopPCutLogitsWarper.__call__
    monkeypatch.setattr(TopPCutLogitsWarper, "__call__", lambda self, ids, at: calls.append(1) or whole(self, ids, at))
    chain = ChainLogitsWarper([TopKCutLogitsWarper(20), TopPCutLogitsWarper(0.6)])
    chain(IDS, rows(2.0, steps=False))
    assert not calls
    chain(IDS, torch.zeros(1, 2_000).index_fill(1, torch.arange(10), 3.0))
    assert calls


def test_rows_that_say_nothing_and_steps_that_do_not_ask() -> None:
    scores = rows(2.0, steps=False)
    scores[2], scores[3, 7], scores[4, 7] = -torch.inf, torch.nan, torch.inf
    steps: list[Any] = [
        TopKCutLogitsWarper(30),
        TypicalPCutLogitsWarper(0.9),
        TopPCutLogitsWarper(0.8),
        TopKCutLogitsWarper(3),
    ]
    expected = scores
    for step in steps:
        expected = step(IDS, expected)
    torch.testing.assert_close(cut_in_turn(steps, IDS, scores), expected, rtol=0, atol=0, equal_nan=True)
    good = scores[5:]
    expected = good
    for step in steps:
        expected = step(IDS, expected)
    assert torch.equal(cut_in_turn(steps, IDS, good), expected)
