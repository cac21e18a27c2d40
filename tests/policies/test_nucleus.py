"""The nucleus that histograms decide is that of transformers to the bit, and where rounding could decide they leave it alone."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from transformers import TopPLogitsWarper

from temp_processors.policies import nucleus as module
from temp_processors.policies.nucleus import boundary, lanes, nucleus, rounding
from temp_processors.policies.thresholds import WIDE


@st.composite
def batches(draw: st.DrawFn) -> torch.Tensor:
    """Rows that are long enough for a histogram, flat and peaked, in steps (ties) or not, some of them masked."""
    size = draw(st.sampled_from([2_100, 9_000, WIDE + 7]))
    random = np.random.default_rng(draw(st.integers(0, 2**32)))
    scores = random.normal(size=(draw(st.sampled_from([4, 9])), size)) * draw(st.sampled_from([0.02, 0.5, 3.0, 30.0]))
    scores += draw(st.sampled_from([0.0, -70.0]))
    scores[random.random(scores.shape) < draw(st.sampled_from([0.0, 0.5, 0.999]))] = -np.inf
    scores[0] = draw(st.sampled_from([-np.inf, np.nan, 0.0]))
    rows = torch.tensor(scores, dtype=torch.float32)
    return rows.bfloat16().float() if draw(st.booleans()) else rows


@settings(deadline=None, derandomize=True, max_examples=15)
@given(scores=batches(), top_p=st.sampled_from([0.05, 0.5, 0.9, 0.99, 1.0 - 1e-7, 1.0]))
def test_every_row_is_that_of_transformers(scores: torch.Tensor, top_p: float) -> None:
    theirs = TopPLogitsWarper(top_p)(torch.zeros(1, 1), scores)
    torch.testing.assert_close(nucleus(scores, 1.0 - top_p), theirs, rtol=0, atol=0, equal_nan=True)


@pytest.mark.slow
@pytest.mark.parametrize("spread", [0.3, 2.0, 3.0, 5.0])
def test_thousands_of_rows_are_those_of_transformers(spread: float) -> None:
    generator = torch.Generator().manual_seed(round(spread * 10))
    for top_p in (0.3, 0.9, 0.95):
        for _ in range(8):
            scores = torch.randn(64, 5_000, generator=generator) * spread
            assert torch.equal(nucleus(scores, 1.0 - top_p), TopPLogitsWarper(top_p)(torch.zeros(1, 1), scores))


def test_a_sum_at_the_boundary_is_left_to_the_arithmetic_of_transformers() -> None:
    """The share is the float32 sum itself of some tail, or its neighbour: one step decides about a token."""
    scores = torch.randn(1, 20_000, generator=torch.Generator().manual_seed(4)) * 3
    sums = scores.sort().values.softmax(-1).cumsum(-1)[0]
    for place in (19_000, 19_900, 19_990):
        for rest in (sums[place], torch.nextafter(sums[place], torch.tensor(0.0))):
            assert np.isnan(boundary(scores.numpy(), rest.numpy())).all()
            top_p = 1.0 - rest.double().item()
            assert torch.equal(nucleus(scores, 1.0 - top_p), TopPLogitsWarper(top_p)(torch.zeros(1, 1), scores))
    clear = (sums[19_990] + sums[19_991]).numpy() / 2
    assert np.isfinite(boundary(scores.numpy(), clear)).all()


def test_few_rows_need_the_sort(monkeypatch: pytest.MonkeyPatch) -> None:
    """Of rows like those of a model, and of flat ones; a certificate that is never given would prove nothing."""
    generator = torch.Generator().manual_seed(0)
    sorts: list[int] = []
    monkeypatch.setattr(
        module, "_sorted", lambda rows, rest: sorts.append(len(rows)) or (rows.amin(-1, True), np.zeros(len(rows), int))
    )
    for spread, most in ((3.0, 4), (6.0, 1)):
        sorts.clear()
        nucleus(torch.randn(20, 20_000, generator=generator) * spread, 0.1)
        assert sum(sorts) <= most


def test_what_the_bound_says_of_torch() -> None:
    """exp within 2^-20, sums of probabilities in float64, and a normaliser that is off by less than its lanes allow."""
    gap = -torch.rand(50_000, 1, generator=torch.Generator().manual_seed(0)) * 80
    pairs = torch.cat([torch.zeros_like(gap), gap], dim=-1).softmax(dim=-1).double()
    assert (pairs[:, 1:] / pairs[:, :1] / gap.double().exp() - 1).abs().max() < 2**-20
    ordered = (torch.randn(20, 50_000, generator=torch.Generator().manual_seed(1)) * 2).sort(dim=-1).values
    p = ordered.softmax(dim=-1)
    assert torch.equal(p.cumsum(dim=-1), torch.from_numpy(p.numpy().astype(np.float64).cumsum(-1).astype(np.float32)))
    exact = ordered.double().softmax(dim=-1)
    rank = (exact * torch.arange(50_000, 0, -1)).sum(dim=-1)
    off = (p.double().sum(dim=-1) - 1).abs()
    assert (off.numpy() < rounding(rank.numpy())).all()
    assert lanes() in (4, 8, 16)
