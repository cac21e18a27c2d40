"""The contract on random rows, parameters and masks: 50 examples here, 500 in the slow suite."""

from __future__ import annotations

import math
from collections.abc import Callable
from types import FunctionType
from typing import Any

import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from temp_processors import PolicyLogitsWarper, build_policy
from temp_processors.distribution import entropy

number = st.floats(-40.0, 40.0, width=32)
warm = st.floats(0.05, 4.0)
share = st.floats(0.01, 1.0)
row = st.lists(st.one_of(number, st.just(-math.inf)), min_size=7, max_size=7)
batches = st.lists(row, min_size=1, max_size=5).filter(lambda rows: all(max(row) > -math.inf for row in rows))
ids = st.lists(st.integers(0, 6), min_size=1, max_size=3)


def kind(name: str, **fields: Any) -> st.SearchStrategy[dict[str, Any]]:
    return st.fixed_dictionaries({"kind": st.just(name), **fields})


shapes = st.sampled_from(["linear", "cosine", "geometric", "exponential"])
scheduled = kind(
    "scheduled", shape=shapes, start=warm, end=warm, steps=st.integers(1, 9), warmup=st.integers(0, 3), reset_ids=ids
)
adaptive = st.one_of(
    kind("dynamic", temperature=warm, range=warm, exponent=warm),
    kind("edt", temperature=warm, theta=st.floats(0, 3), base=share),
    kind("entropy_threshold", low=warm, high=warm),
    kind("entropy_target", entropy=st.floats(0.01, 2.5)),
    kind("adaptive_sharpening"),
)
simple = st.one_of(kind("fixed", temperature=warm), scheduled, adaptive, kind("annealed", decay=warm))
bending = st.one_of(
    kind("quadratic", factor=share, curve=st.floats(1, 3)),
    kind("top_p_decay", top_p=share, decay=share, minimum=share, reset_ids=ids),
    kind("truncate_then_temper", top_k=st.integers(1, 7), min_p=share, policy=simple),
)
nested = st.one_of(
    kind("product", policies=st.lists(simple, min_size=1, max_size=3)),
    kind("phase", open_ids=st.just([1]), close_ids=st.just([2]), inside=simple, outside=bending),
)
cuts = st.one_of(
    kind("top_k", top_k=st.integers(1, 7)),
    kind("min_p", min_p=share),
    kind("eta", eta_cutoff=st.floats(0.001, 0.9)),
    kind("top_n_sigma", n=warm),
    *map(kind, ("p_less", "min_k", "ees")),
)
chains = kind("chain", steps=st.lists(st.one_of(simple, bending, cuts), min_size=1, max_size=4))
policies = st.one_of(simple, bending, cuts, chains, nested, kind("block_start", newline_ids=ids, indent_ids=ids))


def examples(test: Callable[..., None]) -> Callable[..., None]:
    """The test at 50 examples, and as a slow test at 500."""
    quiet = [HealthCheck.too_slow, HealthCheck.filter_too_much]

    @pytest.mark.parametrize("count", [50, pytest.param(500, marks=pytest.mark.slow)])
    def run(count: int) -> None:
        own = FunctionType(test.__code__, test.__globals__, test.__name__, test.__defaults__, test.__closure__)
        vars(own).update(vars(test))  # settings are put on a function, and once
        settings(max_examples=count, deadline=None, derandomize=True, suppress_health_check=quiet)(own)()

    run.__name__ = test.__name__
    run.__doc__ = test.__doc__
    return run


def made(config: dict[str, Any], rows: list[list[float]]) -> tuple[PolicyLogitsWarper, torch.Tensor, torch.Tensor]:
    """The policy at prompt length 2, token ids of width 8, and scores in float64."""
    input_ids = torch.randint(0, 7, (len(rows), 8), generator=torch.Generator().manual_seed(len(rows)))
    return build_policy(config, prompt_length=2), input_ids, torch.tensor(rows, dtype=torch.float64)


def same(left: torch.Tensor, right: torch.Tensor) -> None:
    torch.testing.assert_close(left, right, rtol=1e-9, atol=1e-9)


@examples
@given(policies, batches)
def test_rows_are_independent_and_may_be_permuted(config: dict[str, Any], rows: list[list[float]]) -> None:
    policy, input_ids, scores = made(config, rows)
    together = policy(input_ids, scores)
    for place in range(len(rows)):
        same(together[place : place + 1], policy(input_ids[place : place + 1], scores[place : place + 1]))
    same(policy(input_ids.flip(0), scores.flip(0)), together.flip(0))


@examples
@given(policies, batches, st.permutations(range(2, 9)))
def test_calls_in_any_order_say_the_same(config: dict[str, Any], rows: list[list[float]], order: list[int]) -> None:
    policy, input_ids, scores = made(config, rows)
    before = scores.clone()
    forward = {length: policy(input_ids[:, :length], scores) for length in range(2, 9)}
    for length in order:
        assert torch.equal(policy(input_ids[:, :length], scores), forward[length])
    assert torch.equal(scores, before)


@examples
@given(policies, batches)
def test_masks_stay_and_nothing_else_is_lost(config: dict[str, Any], rows: list[list[float]]) -> None:
    policy, input_ids, scores = made(config, rows)
    result = policy(input_ids, scores)
    assert not torch.isnan(result).any()
    assert torch.isneginf(result[torch.isneginf(scores)]).all()
    best = result.masked_fill(scores < scores.amax(-1, keepdim=True), -torch.inf).amax(-1)  # of a tie, one may stay
    assert torch.equal(best, result.amax(-1))
    assert torch.isfinite(best).all()


@examples
@given(policies, batches)
def test_dtypes_agree(config: dict[str, Any], rows: list[list[float]]) -> None:
    """bfloat16 and float16 rows give what the same numbers give in float32, rounded once."""
    policy, input_ids, scores = made(config, rows)
    for dtype in (torch.bfloat16, torch.float16):
        low = scores.to(dtype)
        result = policy(input_ids, low)
        assert result.dtype == dtype
        assert torch.equal(torch.isnan(result), torch.zeros_like(result, dtype=torch.bool))
        if policy.only_scales and (policy.temperature(input_ids, low) > 0.05).all():
            torch.testing.assert_close(result, policy(input_ids, low.float()).to(dtype), rtol=0.01, atol=0.01)


@examples
@given(policies, st.lists(row, min_size=5, max_size=5).filter(lambda rows: all(max(row) > -math.inf for row in rows)))
def test_three_dimensions_equal_two(config: dict[str, Any], rows: list[list[float]]) -> None:
    policy, input_ids, scores = made(config, rows)
    together = policy(input_ids[:1], scores[None])
    for step in range(5):
        same(together[:, step], policy(input_ids[:1, : 8 - 5 + 1 + step], scores[step : step + 1]))


@examples
@given(
    st.one_of(
        kind("dynamic", temperature=warm, range=warm, exponent=warm),
        kind("edt", temperature=warm, theta=st.floats(0, 3), base=share),
        st.builds(lambda low, more: {"kind": "entropy_threshold", "low": low, "high": low + more}, warm, warm),
    ),
    st.lists(number, min_size=7, max_size=7),
)
def test_temperature_rises_with_entropy(config: dict[str, Any], scores: list[float]) -> None:
    flatter = torch.tensor([scores], dtype=torch.float64) * torch.linspace(2.0, 0.0, 9).unsqueeze(-1)
    warmth = build_policy(config).temperature(torch.zeros(9, 1, dtype=torch.long), flatter).flatten()
    order = entropy(flatter).flatten().argsort()
    assert (warmth[order].diff() >= -1e-9).all()


@examples
@given(st.lists(number, min_size=7, max_size=7), st.floats(0.02, 1.9))
def test_the_target_entropy_is_met_or_the_bound_is_taken(scores: list[float], target: float) -> None:
    wide = torch.tensor([scores])
    policy = build_policy({"kind": "entropy_target", "entropy": target})
    temperature = policy.temperature(torch.zeros(1, 1, dtype=torch.long), wide)
    reached = entropy(wide.double() / temperature.double()).item()
    low, high = (entropy(wide.double() / bound).item() for bound in (1e-4, 1e4))
    if low < target < high:
        assert reached == pytest.approx(target, abs=1e-6)
    else:
        assert temperature.item() == pytest.approx(1e-4 if target <= low else 1e4)


@examples
@given(batches)
def test_a_falling_temperature_ends_at_greedy(rows: list[list[float]]) -> None:
    scores = torch.tensor(rows)
    zero = build_policy({"kind": "fixed", "temperature": 0})(scores, scores)
    tiny = build_policy({"kind": "fixed", "temperature": 1e-42})(scores, scores)
    same(tiny.softmax(-1), zero.softmax(-1))
    assert torch.equal(zero.argmax(-1), scores.argmax(-1))
    assert (torch.isfinite(zero).sum(-1) == 1).all()
