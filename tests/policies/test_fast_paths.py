"""What is computed without sorting or in float32 first equals its formula in float64: masks, ties, extremes, every dtype."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from temp_processors import build_policy
from temp_processors.distribution import entropy
from temp_processors.policies.thresholds import WIDE, falling, keep_from, largest, without

IDS = torch.zeros(1, 3, dtype=torch.long)
DTYPES = (torch.float32, torch.float64, torch.bfloat16, torch.float16)
Row = np.ndarray[Any, np.dtype[np.float64]]


@st.composite
def rows(draw: st.DrawFn) -> tuple[torch.Tensor, torch.dtype]:
    """Some rows of one length in a dtype: spreads from none to 1e4, ties, masks, one finite entry."""
    size = draw(st.sampled_from([2, 5, 300, WIDE + 7]))
    random = np.random.default_rng(draw(st.integers(0, 2**32)))
    scores = random.normal(size=(draw(st.integers(1, 3)), size))
    scores *= draw(st.sampled_from([0.0, 0.1, 3.0, 30.0, 1e4]))
    if draw(st.booleans()):
        scores = np.round(scores)
    scores[random.random(scores.shape) < draw(st.sampled_from([0.0, 0.5, 0.99]))] = -math.inf
    scores[:, 0] = np.maximum(scores[:, 0], -9.0)
    dtype = draw(st.sampled_from(DTYPES))
    return torch.tensor(scores).to(dtype), dtype


def nucleus(row: Row, share: float) -> float:
    """The lowest score kept: tokens go from the least likely on while those gone hold at most 1 - share."""
    z = np.sort(row)
    p = np.exp(z - z[-1]) / np.exp(z - z[-1]).sum()
    gone = np.cumsum(p) <= 1.0 - share
    return float(z[min(int(gone.sum()), len(z) - 1)])


def margin(row: Row, share: float) -> float:
    """How far the sum at the boundary is from the boundary."""
    p = np.sort(np.exp(row - row.max()) / np.exp(row - row.max()).sum())
    return float(np.abs(np.cumsum(p) - (1.0 - share)).min())


@settings(deadline=None, derandomize=True, max_examples=40)
@given(given_rows=rows(), share=st.sampled_from([0.05, 0.3, 0.9, 0.999]))
def test_a_nucleus_without_a_sort_of_the_vocabulary(given_rows: tuple[torch.Tensor, torch.dtype], share: float) -> None:
    scores, _ = given_rows
    result = build_policy({"kind": "top_p_decay", "top_p": share, "decay": 1.0, "minimum": 0.0})(IDS, scores)
    for row, cut in zip(scores.double().numpy(), result.double().numpy(), strict=True):
        finite = row[np.isfinite(row)]
        if margin(finite, share) < 1e-6:
            continue  # rounding decides
        lowest = nucleus(finite, share)
        kept = np.isfinite(cut)
        assert kept[row > lowest].all()
        assert not kept[row < lowest].any()
        equal = np.flatnonzero(row == lowest)
        stay = kept[equal]
        assert stay.any()
        assert (np.diff(stay.astype(int)) >= 0).all()  # of equal ones the last
        assert (cut[kept] == row[kept]).all()


@settings(deadline=None, derandomize=True, max_examples=40)
@given(given_rows=rows(), target=st.sampled_from([0.01, 0.5, 2.0, 8.0]))
def test_the_wanted_entropy(given_rows: tuple[torch.Tensor, torch.dtype], target: float) -> None:
    scores, dtype = given_rows
    policy = build_policy({"kind": "entropy_target", "entropy": target})
    found = policy.temperature(IDS, scores)
    assert found.dtype == (torch.float64 if dtype == torch.float64 else torch.float32)
    for row, value in zip(scores.double(), found.flatten().double().tolist(), strict=True):
        low, reached, high = (entropy(row[None] / at).item() for at in (1e-4, value, 1e4))
        if torch.isfinite(row).sum() < 2:
            assert value == 1.0
        elif low < target < high:
            assert reached == pytest.approx(target, abs=3e-6)
        else:
            assert value == pytest.approx(1e-4 if target <= low else 1e4)


@pytest.mark.parametrize("spread", [0.3, 1.0, 10.0])
@pytest.mark.parametrize("target", [0.12, 1.0, 2.0, 4.0])
def test_the_wanted_entropy_of_many_rows(spread: float, target: float) -> None:
    """Searches that end early or late, from above and below: none is given up halfway."""
    normal = torch.randn(24, 2_048, generator=torch.Generator().manual_seed(3))
    scores = torch.cat([normal, normal.abs() * normal, 0.3 * normal - torch.arange(1, 2_049).log()]) * spread
    found = build_policy({"kind": "entropy_target", "entropy": target}).temperature(IDS, scores)
    reached = entropy(scores.double() / found.double())
    assert (reached - target).abs()[(found > 1.01e-4) & (found < 9_900)].max() < 2e-6


@pytest.mark.parametrize("target", [0.5, 2.0, 7.0])
@pytest.mark.parametrize("spread", [0.3, 2.0, 10.0])
@pytest.mark.parametrize("size", [1_500, 40_000])
def test_the_wanted_entropy_of_long_rows(size: int, spread: float, target: float) -> None:
    """Where a model of the row said where to look, and where it could not: the entropy is met, and a row's bits are its own."""
    normal = torch.randn(2, size, generator=torch.Generator().manual_seed(5))
    masked = normal.where(normal > 1.2, -torch.inf)
    scores = torch.cat([normal, normal.abs() * normal, 0.3 * normal - torch.arange(1, size + 1).log(), masked]) * spread
    policy = build_policy({"kind": "entropy_target", "entropy": target})
    found = policy.temperature(IDS, scores)
    for row, value in zip(scores, found, strict=True):
        assert torch.equal(policy.temperature(IDS, row[None])[0], value)
    reached = entropy(scores.double() / found.double())
    free = (found > 1.01e-4) & (found < 9_900)
    assert free.any()
    assert ((reached - target).abs()[free] < 1e-6 * max(1.0, target)).all()


@pytest.mark.parametrize("kind", ["min_k", "ees", "top_p_decay", "top_n_sigma", "p_less", "top_k"])
@pytest.mark.parametrize("spread", [0.0, 0.05, 3.0, 1e4])
def test_the_quick_way_cuts_what_plain_operations_cut(kind: str, spread: float) -> None:
    """As on a device, where nothing is looked at: scores that want a gradient take that way."""
    generator = torch.Generator().manual_seed(3)
    scores = torch.randn(6, 3_000, generator=generator, dtype=torch.float64) * spread
    scores[1, 5:] = -torch.inf
    scores[2, ::2] = -torch.inf
    scores[3] = scores[3].round()
    policy = build_policy({"kind": kind, **({"top_k": 7} if kind == "top_k" else {})})
    plain = policy(IDS, scores.clone().requires_grad_()).detach()
    assert torch.equal(policy(IDS, scores), plain)


@pytest.mark.parametrize("size", [5, 300, 5_000])
@pytest.mark.parametrize("kind", ["dynamic", "edt", "entropy_target", "scheduled", "phase", "block_start"])
def test_a_rows_bits_are_its_own(kind: str, size: int) -> None:
    """Whatever stands beside it: a text may not depend on the other rows of its batch."""
    scores = torch.randn(9, size, generator=torch.Generator().manual_seed(1)) * 3
    scores[0, 1:] = -torch.inf
    scores[1, ::2] = -torch.inf
    scores[2, 3] = 60.0
    scores[3] = -torch.inf
    ids = torch.randint(5, (9, 12), generator=torch.Generator().manual_seed(2))
    config = {
        "dynamic": {"temperature": 1.0, "range": 0.5},
        "edt": {"temperature": 1.0, "theta": 0.3},
        "entropy_target": {"entropy": 1.0},
        "scheduled": {"shape": "cosine", "start": 1.5, "end": 0.2, "steps": 9, "reset_ids": [4]},
        "phase": {
            "open_ids": [1],
            "close_ids": [2],
            "inside": {"kind": "dynamic", "temperature": 1.0, "range": 0.5},
            "outside": {"kind": "fixed", "temperature": 0.7},
        },
        "block_start": {"newline_ids": [1], "indent_ids": [2, 3], "pad_ids": [0], "initial_temperature": 0.3},
    }[kind]
    policy = build_policy({"kind": kind, **config}, prompt_length=2)
    together = policy(ids, scores)
    for row in range(len(scores)):
        assert torch.equal(policy(ids[row : row + 1], scores[row : row + 1])[0], together[row])


def test_falling() -> None:
    rows = np.array([[1.0, 5.0, 3.0], [2.0, 0.0, 4.0]])
    assert falling(rows, rows > 1.0).tolist() == [[5.0, 3.0], [4.0, 2.0]]
    assert falling(rows, rows > 2.5).tolist() == [[5.0, 3.0], [4.0, -math.inf]]


@pytest.mark.parametrize("size", [700, 3_001])
@pytest.mark.parametrize("dtype", DTYPES, ids=str)
@pytest.mark.parametrize("count", [1, 20, 150, 5_000])
def test_the_largest_are_those_of_topk(size: int, dtype: torch.dtype, count: int) -> None:
    scores = torch.randn(16, size, generator=torch.Generator().manual_seed(count)) * 3
    scores[1], scores[2, 3:], scores[3, ::2], scores[4, 7], scores[5, 8] = (
        0.0,
        -math.inf,
        -math.inf,
        math.inf,
        -math.inf,
    )
    scores[6] = -math.inf
    scores = scores.to(dtype)
    for rows in (scores, scores.index_fill(1, torch.tensor([size - 1]), math.nan)):
        expected = rows.topk(min(count, size), dim=-1).values
        torch.testing.assert_close(largest(rows, count), expected, rtol=0, atol=0, equal_nan=True)


@pytest.mark.parametrize("size", [50, WIDE])
@pytest.mark.parametrize("dtype", DTYPES, ids=str)
def test_what_is_cut_is_cut_bit_by_bit(size: int, dtype: torch.dtype) -> None:
    scores = torch.randn(5, size, generator=torch.Generator().manual_seed(0)).to(dtype)
    scores[0, ::2], scores[1, 3], scores[2, 3], scores[3, 3] = -math.inf, math.nan, math.inf, -0.0
    lowest = torch.tensor([-1.0, 0.5, math.nan, 0.0, -math.inf], dtype=dtype)[:, None]
    expected = torch.where(scores < lowest, -math.inf, scores)
    for found in (keep_from(scores, lowest), without(scores, scores < lowest)):
        assert torch.equal(found.view(torch.uint8), expected.view(torch.uint8))


@pytest.mark.parametrize("curve", [1.0, 2.0])
@pytest.mark.parametrize("dtype", DTYPES, ids=str)
def test_quadratic_in_blocks(curve: float, dtype: torch.dtype) -> None:
    scores = (torch.randn(3, 70_000, generator=torch.Generator().manual_seed(0)) * 3).to(dtype)
    scores[0, ::3] = -torch.inf
    scores[1] = -torch.inf
    policy = build_policy({"kind": "quadratic", "factor": 0.05, "curve": curve})
    plain = policy(IDS, scores.clone().requires_grad_()).detach()
    torch.testing.assert_close(policy(IDS, scores), plain)
    torch.testing.assert_close(policy(IDS, scores[2:]), plain[2:])
