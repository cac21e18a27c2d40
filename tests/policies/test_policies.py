"""Every policy by cases that can be checked by hand, and what they refuse."""

from __future__ import annotations

import math
from collections.abc import Callable

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from transformers import TemperatureLogitsWarper, TopPLogitsWarper

from temp_processors import (
    BlockStartLogitsWarper,
    DynamicTemperatureLogitsWarper,
    EDTLogitsWarper,
    EntropyTargetLogitsWarper,
    FixedTemperatureLogitsWarper,
    ScheduledTemperatureLogitsWarper,
    SeededSampling,
    TopPDecayLogitsWarper,
    TruncateThenTemperLogitsWarper,
    build_policy,
)
from temp_processors.distribution import entropy
from temp_processors.policies.distribution import below_top, log_probs, varentropy
from tests.models import tiny_tokenizer

IDS = torch.zeros(1, 2, dtype=torch.long)


def at_step(policy: ScheduledTemperatureLogitsWarper, step: int) -> float:
    return policy.temperature(torch.zeros(1, step, dtype=torch.long), torch.zeros(1, 4)).item()


@pytest.mark.parametrize("temperature", [0.1, 0.7, 1.0, 1.3, 2.0])
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16, torch.float64], ids=str)
def test_fixed_is_the_division_of_transformers_to_the_bit(temperature: float, dtype: torch.dtype) -> None:
    scores = (torch.randn(3, 101) * 5).to(dtype)
    theirs = TemperatureLogitsWarper(temperature)(IDS, scores)
    assert torch.equal(FixedTemperatureLogitsWarper(temperature)(IDS, scores), theirs)
    if dtype != torch.bfloat16:
        assert torch.equal(FixedTemperatureLogitsWarper([temperature] * 3)(IDS, scores), theirs)


def test_fixed_one_changes_nothing_to_the_bit() -> None:
    scores = torch.randn(3, 101)
    scores[0, 4] = -torch.inf
    assert torch.equal(FixedTemperatureLogitsWarper(1)(IDS, scores), scores)
    assert torch.equal(FixedTemperatureLogitsWarper([1, 1, 1])(IDS, scores), scores)


def test_fixed_sharpens_below_one_and_smooths_above() -> None:
    """The check that transformers publishes for its own warper: uniform stays, a peak rises, a valley falls."""
    scores = torch.full((2, 20), 1 / 20)
    scores[1, 5] = 1 / 20 + 0.1
    scores[1, 10] = 1 / 20 - 0.4
    before = scores.softmax(-1)
    sharp = FixedTemperatureLogitsWarper(0.5)(IDS, scores.clone()).softmax(-1)
    smooth = FixedTemperatureLogitsWarper(1.3)(IDS, scores.clone()).softmax(-1)
    assert torch.allclose(before[0], sharp[0], atol=1e-3)
    assert torch.allclose(before[0], smooth[0], atol=1e-3)
    assert sharp[1].max() > before[1].max() > smooth[1].max()
    assert sharp[1].min() < before[1].min() < smooth[1].min()


def test_fixed_zero_is_greedy_with_ties_to_the_first() -> None:
    scores = torch.tensor([[1.0, 3.0, 3.0]])
    assert FixedTemperatureLogitsWarper(0)(IDS, scores).tolist() == [[-math.inf, 3.0, -math.inf]]


def test_a_division_that_would_overflow_is_greedy() -> None:
    scores = torch.tensor([[90.0, 80.0]], dtype=torch.float16)
    assert FixedTemperatureLogitsWarper(0.001)(IDS, scores).tolist() == [[90.0, -math.inf]]
    assert FixedTemperatureLogitsWarper(1e-40)(IDS, scores.float()).tolist() == [[90.0, -math.inf]]
    assert EDTLogitsWarper(1.0, 1.0)(IDS, torch.tensor([[10.0, 0.0, 0.0, -5.0]])).tolist() == [[10.0] + [-math.inf] * 3]


SHAPES = [
    ("linear", 3.0, {}, [3.0, 2.5, 2.0, 1.5, 1.0, 1.0]),
    ("cosine", 3.0, {}, [3.0, 2.0 + math.sqrt(0.5), 2.0, 2.0 - math.sqrt(0.5), 1.0, 1.0]),
    ("geometric", 16.0, {}, [16.0, 8.0, 4.0, 2.0, 1.0, 1.0]),
    ("exponential", 3.0, {"decay": 1 / math.log(2)}, [3.0, 2.0, 1.5, 1.25, 1.125, 1.0625]),
]


@pytest.mark.parametrize(("shape", "start", "more", "expected"), SHAPES, ids=[shape[0] for shape in SHAPES])
def test_schedules_by_hand(shape: str, start: float, more: dict[str, float], expected: list[float]) -> None:
    policy = ScheduledTemperatureLogitsWarper(shape, start, 1.0, 4, **more)
    assert [at_step(policy, step) for step in range(6)] == pytest.approx(expected, abs=1e-6)


def test_piecewise_by_hand() -> None:
    policy = ScheduledTemperatureLogitsWarper("piecewise", points=[(1, 2.0), (3, 1.0), (4, 0.0)])
    assert [at_step(policy, step) for step in range(6)] == pytest.approx([2.0, 2.0, 1.5, 1.0, 0.0, 0.0])


def test_warmup_climbs_to_the_start_and_then_the_shape_begins() -> None:
    policy = ScheduledTemperatureLogitsWarper("linear", 3.0, 1.0, 2, warmup=2)
    assert [at_step(policy, step) for step in range(6)] == pytest.approx([1.0, 2.0, 3.0, 2.0, 1.0, 1.0])


def test_a_reset_token_starts_the_schedule_again_but_not_inside_the_prompt() -> None:
    policy = ScheduledTemperatureLogitsWarper("linear", 4.0, 0.0, 4, reset_ids=[9], prompt_length=2)
    input_ids = torch.tensor([[9, 9, 1, 1, 9, 1], [9, 9, 1, 1, 1, 1]])
    assert policy.temperature(input_ids, torch.zeros(2, 4)).tolist() == [[3.0], [0.0]]
    deep = policy.temperature(input_ids, torch.zeros(2, 5, 4)).squeeze(-1)
    assert deep.tolist() == [[4.0, 3.0, 2.0, 4.0, 3.0], [4.0, 3.0, 2.0, 1.0, 0.0]]


def test_dynamic_does_not_pool_the_batch() -> None:
    scores = torch.tensor([[4.0, 2.0, 0.0, -1.0], [0.0, 0.0, 0.0, 0.0]])
    got = DynamicTemperatureLogitsWarper(1.0, 0.5).temperature(IDS, scores).flatten().tolist()
    assert got == pytest.approx([0.842051, 1.5], abs=1e-6)


def test_dynamic_by_hand() -> None:
    """Probabilities 1/2, 1/4, 1/4: H = 1.5 ln 2, of at most ln 3."""
    scores = torch.tensor([[0.5, 0.25, 0.25, 0.0]], dtype=torch.float64).log()
    share = 1.5 * math.log(2) / math.log(3)
    got = DynamicTemperatureLogitsWarper(0.8, 2.0, exponent=2).temperature(IDS, scores).item()
    assert got == pytest.approx(2.8 * share**2, abs=1e-12)


def test_edt_by_hand() -> None:
    scores = torch.tensor([[0.5, 0.25, 0.25, 0.0]], dtype=torch.float64).log()
    got = EDTLogitsWarper(0.9, 0.5, base=0.7).temperature(IDS, scores).item()
    assert got == pytest.approx(0.9 * 0.7 ** (0.5 / (1.5 * math.log(2))), abs=1e-12)


@pytest.mark.parametrize("spread", [0.3, 3.0, 20.0, 60.0])
@pytest.mark.parametrize("target", [0.01, 1.0, 6.0, 10.4])
def test_the_target_is_met_to_a_millionth_in_float32(spread: float, target: float) -> None:
    """Also where scores lie hundreds below the maximum, which counts at high temperatures, and in a large vocabulary."""
    scores = torch.randn(2, 50_257, generator=torch.Generator().manual_seed(0)) * spread
    value = EntropyTargetLogitsWarper(target).temperature(IDS.expand(2, -1), scores)
    reached = entropy(scores.double() / value.double())
    assert reached.flatten().tolist() == pytest.approx([target] * 2, abs=1e-6)


def published_block_start(previous: list[int]) -> float:
    """The rule as the published code carries it along, after the tokens `previous`: newline 1, indent 2."""
    position, value = 0, 0.5
    for token in previous:
        if token == 1:
            position, value = 1, 0.6
        elif token != 2:
            position, value = position + 1, 0.6
        elif position == 1:
            value = 0.8
    return value


@given(st.lists(st.integers(1, 4), max_size=12))
def test_block_starts_as_the_published_code_has_them(tokens: list[int]) -> None:
    policy = BlockStartLogitsWarper(1, 2, 0.8, 0.6, initial_temperature=0.5)
    ids = torch.tensor([tokens], dtype=torch.long)
    got = policy.temperature(ids, torch.zeros(1, len(tokens) + 1, 5)).flatten()
    expected = [published_block_start(tokens[:count]) for count in range(len(tokens) + 1)]
    assert got.tolist()[1:] == pytest.approx(expected[1:])


def test_temperatures_rise_with_entropy() -> None:
    scores = torch.randn(1, 50) * torch.linspace(0.01, 20, 200).unsqueeze(-1)
    for policy in (DynamicTemperatureLogitsWarper(1.0, 0.5, 1.7), EDTLogitsWarper(1.0, 0.2)):
        falling = policy.temperature(IDS, scores.double()).flatten()
        assert (falling.diff() <= 1e-12).all()


REFUSED = [
    (lambda: FixedTemperatureLogitsWarper(True), r"`temperature` has to be a number >= 0 \(0 is greedy\), but is True"),
    (lambda: FixedTemperatureLogitsWarper(math.nan), "`temperature` has to be .* but is nan"),
    (lambda: FixedTemperatureLogitsWarper(math.inf), "`temperature` has to be .* but is inf"),
    (lambda: FixedTemperatureLogitsWarper(-1), "`temperature` has to be .* but is -1"),
    (lambda: FixedTemperatureLogitsWarper("1"), "`temperature` has to be .* but is '1'"),
    (lambda: FixedTemperatureLogitsWarper([]), "`temperature` has to be .* but is empty"),
    (lambda: FixedTemperatureLogitsWarper([1.0, -2.0]), r"`temperature\[1\]` has to be .* but is -2.0"),
    (lambda: DynamicTemperatureLogitsWarper(1.0, -0.5), "`range` has to be a number >= 0, but is -0.5"),
    (lambda: DynamicTemperatureLogitsWarper(1.0, 0.5, 0), "`exponent` has to be a number > 0, but is 0"),
    (lambda: EDTLogitsWarper(1.0, 1.0, 1.5), r"`base` has to be a number in \(0, 1\], but is 1.5"),
    (lambda: EDTLogitsWarper(1.0, -1.0), "`theta` has to be a number >= 0, but is -1.0"),
    (lambda: ScheduledTemperatureLogitsWarper("linera", 1, 1, 1), "`shape` has to be one of constant, .* 'linera'"),
    (
        lambda: ScheduledTemperatureLogitsWarper("linear", 1, 1),
        "`steps` is missing: the shape 'linear' needs start, en",
    ),
    (lambda: ScheduledTemperatureLogitsWarper("linear", 1, 1, 0), "`steps` has to be a whole number, .*>= 1, but is 0"),
    (lambda: ScheduledTemperatureLogitsWarper("linear", 1, 1, 2.5), "`steps` has to be a whole number, .* but is 2.5"),
    (lambda: ScheduledTemperatureLogitsWarper("geometric", 1, 0, 5), "`end` has to be a number > 0, but is 0"),
    (lambda: ScheduledTemperatureLogitsWarper("constant", 1, 2), r"`end` \(=2\) means nothing for the shape"),
    (lambda: ScheduledTemperatureLogitsWarper("piecewise", points=[(3, 1), (3, 2)]), "strictly rising steps, but 3"),
    (lambda: ScheduledTemperatureLogitsWarper("piecewise", points=[(0, -1)]), r"`points\[0\]\[1\]` has to be"),
    (lambda: FixedTemperatureLogitsWarper(1, prompt_length=-1), "`prompt_length` has to be a whole number"),
]


@pytest.mark.parametrize(("make", "message"), REFUSED, ids=[message[:30] for _, message in REFUSED])
def test_refused_with_name_interval_and_value(make: object, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        make()


@pytest.mark.parametrize("top_p", [0.25, 0.5, 0.6, 0.9, 1.0])
@pytest.mark.parametrize(
    "scores", [[0.0] * 4, [0.0] * 6, [1.0, 2.0, 2.0, 1.0], [3.0, 3.0, -torch.inf, 0.0], [0.0, 1.0, 0.0, 1.0, 0.0]]
)
def test_ties_in_a_nucleus_fall_as_in_transformers(scores: list[float], top_p: float) -> None:
    """Uniform over 4 at p = 0.5: tokens 2 and 3, in every class that keeps a nucleus."""
    row = torch.tensor([scores])
    theirs = TopPLogitsWarper(top_p)(IDS, row) if top_p < 1 else row
    assert torch.equal(TopPDecayLogitsWarper(top_p=top_p, minimum=0.0)(IDS[:, :0], row), theirs)
    one = FixedTemperatureLogitsWarper(1.0)
    assert torch.equal(TruncateThenTemperLogitsWarper(one, top_p=top_p)(IDS, row), theirs)
    if scores == [0.0] * 4 and top_p == 0.5:
        assert torch.isfinite(theirs)[0].tolist() == [False, False, True, True]


NEWLINE, INDENT, PAD = 14, 15, 0


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ([5, INDENT], 0.8),
        ([INDENT], 0.7),
        ([5, 6, INDENT], 0.6),
        ([5, NEWLINE, INDENT], 0.8),
        ([5, PAD, INDENT], 0.6),
        ([5], 0.6),
    ],
)
@pytest.mark.parametrize("padding", [[], [PAD] * 3, [-1] * 3])
def test_a_block_starts_beside_a_longer_row_as_it_does_alone(text: list[int], value: float, padding: list[int]) -> None:
    policy = BlockStartLogitsWarper(NEWLINE, INDENT, initial_temperature=0.7, pad_ids=PAD)
    ids = torch.tensor([padding + text])
    assert policy.temperature(ids, torch.zeros(1, 9)).item() == pytest.approx(value)
    steps = policy.temperature(ids, torch.zeros(1, len(text), 9))[0, -1]
    assert steps.item() == pytest.approx(value)


def test_the_padding_of_a_tokenizer_is_no_word() -> None:
    config = {"kind": "block_start", "newline_ids": [NEWLINE], "indent_ids": [INDENT]}
    tokenizer = tiny_tokenizer()
    ids = torch.tensor([[tokenizer.pad_token_id] * 2 + [5, INDENT], [7, 8, 9, 5]])
    nested = {"kind": "product", "policies": [config, {"kind": "fixed", "temperature": 1.0}]}
    for policy in (build_policy(config, tokenizer=tokenizer), build_policy(nested, tokenizer=tokenizer)):
        assert policy.temperature(ids, torch.zeros(2, 9)).flatten().tolist() == pytest.approx([0.8, 0.6])
    tokenizer.bos_token = tokenizer.pad_token  # a text may begin with it: nothing is taken for padding
    assert build_policy(config, tokenizer=tokenizer).temperature(ids, torch.zeros(2, 9))[0].item() == pytest.approx(0.6)


@pytest.mark.parametrize("length", [5, torch.tensor(5), torch.tensor([5]), torch.tensor([2, 5])], ids=str)
def test_a_prompt_that_is_not_in_the_input(length: int | torch.Tensor) -> None:
    """As with inputs_embeds, where the prompt has no ids: a tensor is refused as the number is."""
    rows = len(length) if isinstance(length, torch.Tensor) and length.ndim else 1
    ids, scores = torch.zeros(rows, 2, dtype=torch.long), torch.zeros(rows, 4)
    for processor in (
        ScheduledTemperatureLogitsWarper("linear", 1.5, 0.5, 4, prompt_length=length),
        ScheduledTemperatureLogitsWarper("linear", 1.5, 0.5, 4, reset_ids=[9], prompt_length=length),
        ScheduledTemperatureLogitsWarper("linear", 1.5, 0.5, 4).with_prompt_length(length),
        TopPDecayLogitsWarper(prompt_length=length),
        SeededSampling([1] * rows, prompt_length=length),
    ):
        with pytest.raises(ValueError, match="`prompt_length` is 5, but `input_ids` has only 2 tokens"):
            processor(ids, scores)


def test_one_temperature_per_row_of_the_batch() -> None:
    with pytest.raises(ValueError, match="`temperature` has 2 values, but the batch has 3 rows"):
        FixedTemperatureLogitsWarper([1.0, 2.0])(IDS, torch.zeros(3, 4))


def test_a_prompt_longer_than_the_input() -> None:
    policy = ScheduledTemperatureLogitsWarper("constant", 1.0, prompt_length=5)
    with pytest.raises(ValueError, match="`prompt_length` is 5, but `input_ids` has only 2 tokens"):
        policy(IDS, torch.zeros(1, 4))


@pytest.mark.parametrize("temperature", [-1.0, -1, float("nan")])
def test_a_number_that_is_no_temperature_is_refused(temperature: float) -> None:
    with pytest.raises(ValueError, match="`temperature` has to be a number >= 0"):
        log_probs(torch.zeros(1, 4), temperature)


@pytest.mark.parametrize("function", [log_probs, varentropy, below_top])
def test_functions_of_scores_refuse_what_is_no_tensor(function: Callable[..., object]) -> None:
    with pytest.raises(TypeError, match="scores have to be a tensor, but are of type list"):
        function([[0.0, 1.0]])
