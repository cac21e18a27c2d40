"""Every policy keeps the one contract: a pure function per row, greedy at 0, masks kept, any dtype and shape."""

from __future__ import annotations

import copy
from typing import Any

import numpy as np
import pytest
import torch

from temp_processors import PolicyLogitsWarper, RowsLogitsWarper, SeededSampling, build_policy
from temp_processors.policies.distribution import greedy
from temp_processors.policies.kinds import KINDS
from tests.policies.examples import EXAMPLES

VOCAB = 24
PROMPT = 3

ALL = {name: build_policy(config, prompt_length=PROMPT) for name, (config, _) in EXAMPLES.items()}
POLICIES = {name: policy for name, policy in ALL.items() if not policy.per_row}


def batch(rows: int = 5, length: int = 9, seed: int = 0) -> tuple[torch.Tensor, torch.Tensor]:
    """Token ids (rows, length) and scores (rows, VOCAB): wide, peaked, tied, masked and single-entry rows."""
    generator = torch.Generator().manual_seed(seed)
    input_ids = torch.randint(VOCAB, (rows, length), generator=generator)
    scores = torch.randn(rows, VOCAB, generator=generator) * 3
    scores[0] *= 5
    scores[1, : VOCAB // 2] = -torch.inf
    scores[2, 3] = scores[2, 7] = scores[2].max() + 1
    scores[3] = -torch.inf
    scores[3, 5] = 1.0
    return input_ids, scores


@pytest.fixture(params=POLICIES)
def policy(request: pytest.FixtureRequest) -> PolicyLogitsWarper:
    return POLICIES[request.param]


def same(left: torch.Tensor, right: torch.Tensor, tolerance: float = 1e-6) -> None:
    torch.testing.assert_close(left, right, rtol=tolerance, atol=tolerance, equal_nan=True)


def test_a_batch_equals_its_rows_alone(policy: PolicyLogitsWarper) -> None:
    input_ids, scores = batch()
    alone = [policy(input_ids[row : row + 1], scores[row : row + 1]) for row in range(len(scores))]
    same(policy(input_ids, scores), torch.cat(alone))


def test_permuted_rows_give_permuted_scores(policy: PolicyLogitsWarper) -> None:
    input_ids, scores = batch()
    order = torch.tensor([3, 1, 4, 0, 2])
    same(policy(input_ids[order], scores[order]), policy(input_ids, scores)[order])


def test_repeated_and_backward_calls_change_nothing(policy: PolicyLogitsWarper) -> None:
    input_ids, scores = batch()
    lengths = (3, 3, 4, 5, 5, 6, 7, 7, 8)
    fresh = {length: copy.deepcopy(policy)(input_ids[:, :length], scores) for length in lengths}
    for length in (*lengths, *reversed(lengths)):
        assert torch.equal(policy(input_ids[:, :length], scores), fresh[length])


def test_the_scores_that_came_in_are_left_alone(policy: PolicyLogitsWarper) -> None:
    input_ids, scores = batch()
    ids_before, scores_before = input_ids.clone(), scores.clone()
    result = policy(input_ids, scores)
    assert torch.equal(input_ids, ids_before)
    assert torch.equal(scores, scores_before)
    assert result.data_ptr() != scores.data_ptr()


def test_masked_entries_stay_masked_and_only_they_change_nothing(policy: PolicyLogitsWarper) -> None:
    input_ids, scores = batch()
    result = policy(input_ids, scores)
    assert torch.isneginf(result[torch.isneginf(scores)]).all()
    assert not torch.isnan(result).any()
    assert torch.equal(result[3].softmax(-1), scores[3].softmax(-1))
    nothing = torch.full((5, VOCAB), -torch.inf)
    assert torch.equal(policy(input_ids, nothing), nothing)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64, torch.bfloat16])
def test_nothing_is_said_of_numbers_at_the_edge(policy: PolicyLogitsWarper, dtype: torch.dtype) -> None:
    """numpy warns of what torch makes infinite or NaN, and a warning is an error here."""
    one, far = [-torch.inf] * (VOCAB - 1) + [1.0], [3e38, -3e38] * (VOCAB // 2)
    scores = torch.tensor([one, far, [torch.nan] * VOCAB, [-torch.inf] * VOCAB, [1e-45] * VOCAB], dtype=dtype)
    for rows in (scores, scores.repeat(1, 400), *scores.split(1)):
        policy(torch.ones(len(rows), 900, dtype=torch.long), rows)


def test_the_most_likely_token_stays_the_most_likely(policy: PolicyLogitsWarper) -> None:
    if not policy.keeps_best:
        pytest.skip("may rule it out")
    input_ids, scores = batch()
    best = policy(input_ids, scores).argmax(-1, keepdim=True)
    assert torch.equal(
        scores.gather(-1, best), scores.amax(-1, keepdim=True)
    )  # of a tie, a cut by mass may keep the last


@pytest.mark.parametrize(
    ("dtype", "tolerance"),
    [(torch.float64, 1e-6), (torch.float32, 1e-6), (torch.bfloat16, 0.02), (torch.float16, 0.004)],
    ids=str,
)
def test_every_dtype(policy: PolicyLogitsWarper, dtype: torch.dtype, tolerance: float) -> None:
    input_ids, scores = batch()
    scores[2, 7] -= 1.0  # where the overflow begins, and with it greedy's way with ties, is the dtype's own
    scores = scores.to(dtype)
    result = policy(input_ids, scores)
    assert result.dtype == dtype
    same(result.double().softmax(-1), policy(input_ids, scores.double()).softmax(-1), tolerance)


def test_three_dimensions_equal_two(policy: PolicyLogitsWarper) -> None:
    input_ids, _ = batch(length=8)
    scores = torch.randn(5, 6, VOCAB, generator=torch.Generator().manual_seed(1))
    together = policy(input_ids, scores)
    assert together.shape == scores.shape
    for step in range(6):
        same(together[:, step], policy(input_ids[:, : 8 - 6 + 1 + step], scores[:, step]))


@pytest.mark.parametrize("shape", [(0, VOCAB), (0, 6, VOCAB), (0, 200_000)], ids=str)
def test_a_batch_without_rows(policy: PolicyLogitsWarper, shape: tuple[int, ...]) -> None:
    input_ids, scores = torch.zeros(0, 9, dtype=torch.long), torch.zeros(shape)
    assert policy(input_ids, scores).shape == shape
    assert policy.temperature(input_ids, scores).expand(*shape[:-1], 1).numel() == 0
    none = policy.with_prompt_length(torch.zeros(0, dtype=torch.long))
    assert none(input_ids, scores.requires_grad_()).sum() == 0


def test_rows_of_several_policies_are_each_policy_alone() -> None:
    input_ids, scores = batch()
    names = ["linear", "dynamic", "linear", "quadratic", "top_p_decay"]
    rows = RowsLogitsWarper([POLICIES[name] for name in names])
    together, warmth = rows(input_ids, scores), rows.temperature(input_ids, scores)
    for row, name in enumerate(names):
        alone = input_ids[row : row + 1], scores[row : row + 1]
        assert torch.equal(together[row : row + 1], POLICIES[name](*alone))
        same(warmth[row : row + 1], POLICIES[name].temperature(*alone).expand(1, 1))


def test_the_temperature_broadcasts_against_the_scores(policy: PolicyLogitsWarper) -> None:
    input_ids, scores = batch()
    assert torch.broadcast_shapes(policy.temperature(input_ids, scores).shape, (5, 1)) == (5, 1)
    deep = scores[:, None].expand(5, 4, VOCAB)
    assert torch.broadcast_shapes(policy.temperature(input_ids, deep).shape, (5, 4, 1)) == (5, 4, 1)


def test_what_ignores_the_scores_needs_their_shape_alone(policy: PolicyLogitsWarper) -> None:
    input_ids, scores = batch()
    if policy.ignores_scores:
        assert torch.equal(policy.temperature(input_ids, scores), policy.temperature(input_ids, scores[:, :1]))
        deep = scores[:, None].expand(5, 4, VOCAB)
        assert torch.equal(policy.temperature(input_ids, deep), policy.temperature(input_ids, deep[..., :1]))


def test_beam_scores_are_scaled_and_never_shifted(policy: PolicyLogitsWarper) -> None:
    if not policy.only_scales:
        pytest.skip("bends or truncates")
    input_ids, scores = batch()
    log_probs = scores.log_softmax(-1)
    temperature = policy.temperature(input_ids, log_probs)
    warm = (temperature > 1e-30).expand(5, 1).squeeze(-1)
    result = policy(input_ids, log_probs)
    same(result[warm], (log_probs / temperature)[warm], 1e-5)
    same(result[~warm].softmax(-1), greedy(log_probs)[~warm].softmax(-1))


def test_prompt_length_moves_the_steps_and_leaves_the_original(policy: PolicyLogitsWarper) -> None:
    input_ids, scores = batch(length=6)
    longer = torch.cat([torch.full((5, 2), 9), input_ids], dim=-1)
    moved = policy.with_prompt_length(PROMPT + 2)
    same(moved(longer, scores), policy(input_ids, scores))
    per_row = policy.with_prompt_length(torch.full((5,), PROMPT + 2))
    same(per_row(longer, scores), policy(input_ids, scores))


def test_a_nan_stays_in_its_row(policy: PolicyLogitsWarper) -> None:
    input_ids, scores = batch()
    broken = scores.clone()
    broken[0, 0] = torch.nan
    same(policy(input_ids, broken)[1:], policy(input_ids, scores)[1:])
    assert torch.isnan(policy(input_ids, broken)[0]).any()


@pytest.mark.parametrize("name", [name for name, policy in POLICIES.items() if policy.supports_continuous_batching])
def test_the_last_token_is_enough_where_continuous_batching_is_declared(name: str) -> None:
    """A continuous batch shows each row's last token as a number: (batch,)."""
    input_ids, scores = batch()
    same(POLICIES[name](input_ids[:, -1], scores), POLICIES[name](input_ids, scores))


@pytest.mark.parametrize("kind", KINDS)
def test_every_class_says_whether_it_batches_continuously(kind: str) -> None:
    assert "supports_continuous_batching" in vars(KINDS[kind].warper)


@pytest.mark.parametrize(
    "name",
    [
        *("fixed", "linear", "dynamic", "edt", "phase", "quadratic", "product"),
        pytest.param("entropy_target", marks=pytest.mark.slow),
    ],
)
def test_compiles_without_a_graph_break(name: str) -> None:
    input_ids, scores = batch()
    torch.compiler.reset()
    compiled = torch.compile(POLICIES[name], fullgraph=True, backend="aot_eager")
    same(compiled(input_ids, scores), POLICIES[name](input_ids, scores), 1e-5)


ONE = torch.zeros(1, 8)
NO_SCORES: dict[str, tuple[Any, str]] = {
    "list": ([[1.0, 2.0]], "scores have to be a tensor, but are of type list"),
    "numpy": (np.ones((1, 8), np.float32), "scores have to be a tensor, but are of type ndarray"),
    "none": (None, "scores have to be a tensor, but are of type NoneType"),
    "whole": (ONE.long(), "scores have to be float32, bfloat16, float16 or float64, but are torch.int64"),
    "bool": (ONE.bool(), "scores have to be float32, bfloat16, float16 or float64, but are torch.bool"),
    "complex": (ONE.to(torch.complex64), "scores have to be float32, .* but are torch.complex64"),
    "float8": (ONE.to(torch.float8_e4m3fn), "scores have to be float32, .* but are torch.float8_e4m3fn"),
    "number": (ONE[0, 0], r"scores have to be \(batch, vocab\) or \(batch, steps, vocab\), but are of shape \(\)"),
    "row": (ONE[0], r"but are of shape \(8,\): write scores\[None\] for one row"),
    "four": (ONE[None, None], r"but are of shape \(1, 1, 1, 8\)"),
    "no token": (ONE[:, :0], r"scores have to hold at least one token, but are of shape \(1, 0\)"),
}
SEEDED = SeededSampling([1], prompt_length=PROMPT)


@pytest.mark.parametrize(("scores", "message"), NO_SCORES.values(), ids=NO_SCORES)
def test_every_policy_and_the_draw_refuse_what_are_no_scores(scores: Any, message: str) -> None:
    input_ids = torch.zeros(1, PROMPT + 1, dtype=torch.long)
    for processor in (*ALL.values(), SEEDED):
        with pytest.raises((TypeError, ValueError), match=message):
            processor(input_ids, scores)


@pytest.mark.parametrize(
    ("input_ids", "message"),
    [
        ([[1, 2, 3, 4]], "`input_ids` has to be a tensor, but is of type list"),
        (None, "`input_ids` has to be a tensor, but is of type NoneType"),
        (torch.zeros(4, dtype=torch.long), r"`input_ids` has to be \(batch, length\), but is of shape \(4,\)"),
        (torch.zeros(1, 4, dtype=torch.long, device="meta"), "`input_ids` is on meta, but scores are on cpu"),
    ],
    ids=["list", "none", "row", "device"],
)
def test_tokens_that_a_policy_cannot_look_at_are_refused_and_others_are_not_looked_at(
    input_ids: Any, message: str
) -> None:
    for name in ("fixed", "dynamic", "top_k", "top_p"):
        ALL[name](input_ids, ONE)
    for name in ("phase_inside", "block_start", "top_p_decay"):
        with pytest.raises((TypeError, ValueError), match=message):
            ALL[name](input_ids, ONE)


def test_sparse_scores_are_refused() -> None:
    for processor in (ALL["dynamic"], ALL["top_p"], SEEDED):
        with pytest.raises(ValueError, match=r"scores have to be dense, but are torch\.sparse_coo"):
            processor(torch.zeros(1, PROMPT + 1, dtype=torch.long), (ONE + 1).to_sparse())
