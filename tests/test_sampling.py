"""SeededSampling: a draw depends on (scores, seed, step) only, follows softmax(scores), and is cheap."""

from __future__ import annotations

import math
import time

import pytest
import torch

from temp_processors.sampling import SeededSampling, draw, uniform


def choices(scores: torch.Tensor, seeds: list[int], step: int = 0, *, coupled: bool = False) -> list[int]:
    """The tokens drawn for a row of scores repeated once per seed."""
    rows = scores.expand(len(seeds), -1)
    input_ids = torch.zeros(len(seeds), step + 2, dtype=torch.long)
    return SeededSampling(seeds, prompt_length=2, coupled=coupled)(input_ids, rows).argmax(-1).tolist()


def chi_square(counts: torch.Tensor, probs: torch.Tensor) -> float:
    """The statistic in standard deviations from its mean (Wilson-Hilferty), for expected counts above 5."""
    expected = probs * counts.sum()
    keep = expected > 5
    statistic = ((counts - expected).square() / expected)[keep].sum().item()
    freedom = int(keep.sum()) - 1
    return ((statistic / freedom) ** (1 / 3) - (1 - 2 / (9 * freedom))) / math.sqrt(2 / (9 * freedom))


@pytest.mark.parametrize("coupled", [False, True])
@pytest.mark.parametrize("vocab", [7, 512, 1300])
def test_draws_follow_softmax(vocab: int, coupled: bool) -> None:
    scores = torch.randn(1, vocab, generator=torch.Generator().manual_seed(vocab)) * 2
    scores[0, 3] = -torch.inf
    drawn = torch.tensor(choices(scores, list(range(20_000)), coupled=coupled))
    counts = torch.bincount(drawn, minlength=vocab).double()
    assert counts[3] == 0
    assert abs(chi_square(counts, scores.double().softmax(-1)[0])) < 4.5


def test_coupled_temperatures_take_tokens_of_similar_rank() -> None:
    """With one number for both, the colder row never takes a less probable token than the warmer one."""
    scores = torch.randn(1, 800, generator=torch.Generator().manual_seed(1)) * 2
    rank = scores.argsort(descending=True)[0].argsort()
    seeds = list(range(5000))
    cold, warm = (rank[choices(scores / temperature, seeds, coupled=True)] for temperature in (0.7, 1.3))
    assert (cold <= warm).all()
    loose = [rank[choices(scores / temperature, seeds)] for temperature in (0.7, 1.3)]
    together, apart = (torch.stack(pair).double() for pair in ([cold, warm], loose))
    assert torch.corrcoef(together)[0, 1] > torch.corrcoef(apart)[0, 1] + 0.3


def test_coupled_rows_with_masks_and_nan() -> None:
    scores = torch.full((3, 600), -torch.inf)
    scores[0, 555] = -3.0
    scores[1, 4] = torch.nan
    result = SeededSampling([1, 2, 3], coupled=True)(torch.zeros(3, 1, dtype=torch.long), scores)
    assert result[0].argmax() == 555
    assert torch.isnan(result[1]).sum() == 1
    assert torch.isneginf(result[2]).all()


def test_steps_of_one_seed_are_as_good_as_seeds() -> None:
    steps = torch.arange(50_000).unsqueeze(-1)
    numbers = uniform(torch.tensor([[7]]), steps).flatten()
    counts = torch.histc(numbers, 100, 0.0, 1.0)
    assert abs(chi_square(counts, torch.full((100,), 0.01))) < 4.5
    neighbours = torch.corrcoef(torch.stack([numbers[:-1], numbers[1:]]))[0, 1]
    assert abs(neighbours) < 0.02


def test_the_tail_is_exact() -> None:
    """Two tokens of probability 2e-12 in all, at u just inside their share of the unit interval."""
    scores = torch.full((1, 100_000), -torch.inf)
    scores[0, 40_000] = 0.0
    scores[0, [7, 99_999]] = math.log(1e-12)
    share = torch.tensor([[0.9e-12], [1.1e-12], [1 - 1.1e-12], [1 - 0.9e-12]], dtype=torch.float64)
    index, _ = draw(scores.expand(4, -1), share)
    assert index.flatten().tolist() == [7, 40_000, 40_000, 99_999]


def test_every_entry_is_found_where_the_cdf_says() -> None:
    probs = torch.tensor([0.1, 0.2, 0.3, 0.4], dtype=torch.float64)
    middle = torch.tensor([[0.05], [0.2], [0.45], [0.8]], dtype=torch.float64)
    index, _ = draw(probs.log().expand(4, -1), middle)
    assert index.flatten().tolist() == [0, 1, 2, 3]


def test_a_draw_depends_on_its_row_alone() -> None:
    scores = torch.randn(1, 999, generator=torch.Generator().manual_seed(0))
    alone = [choices(scores, [seed], step=3)[0] for seed in range(20)]
    assert choices(scores, list(range(20)), step=3) == alone
    assert choices(scores, list(reversed(range(20))), step=3) == alone[::-1]
    assert len(set(alone)) > 10


def test_calls_out_of_order_and_other_generators_change_nothing() -> None:
    scores = torch.randn(1, 999)
    forward = [choices(scores, [5], step)[0] for step in range(8)]
    torch.manual_seed(99)
    assert [choices(scores, [5], step)[0] for step in reversed(range(8))] == forward[::-1]
    assert len(set(forward)) > 4


def test_padding_does_not_change_a_draw() -> None:
    scores = torch.randn(2, 50)
    input_ids = torch.zeros(2, 9, dtype=torch.long)
    whole = SeededSampling([1, 2], prompt_length=torch.tensor([6, 4]))(input_ids, scores)
    second = SeededSampling([2], prompt_length=1)(input_ids[:1, :6], scores[1:])
    assert torch.equal(whole[1:], second)


def test_three_dimensions_equal_two() -> None:
    scores = torch.randn(2, 3, 700)
    sampler = SeededSampling([3, 4], prompt_length=5)
    input_ids = torch.zeros(2, 7, dtype=torch.long)
    together = sampler(input_ids, scores)
    for step in range(3):
        assert torch.equal(together[:, step], sampler(input_ids[:, : 5 + step], scores[:, step]))


def test_what_comes_out() -> None:
    scores = torch.randn(3, 40).bfloat16()
    before = scores.clone()
    result = SeededSampling([1, -1, 2**64 - 2])(torch.zeros(3, 1, dtype=torch.long), scores)
    assert result.dtype == torch.bfloat16
    assert (result == 0).sum(-1).tolist() == [1, 1, 1]
    assert torch.isneginf(result).sum(-1).tolist() == [39, 39, 39]
    assert torch.equal(scores, before)


def test_masked_and_broken_rows() -> None:
    scores = torch.full((3, 600), -torch.inf)
    scores[0, 555] = -3.0
    scores[1, 4] = torch.nan
    result = SeededSampling([1, 2, 3])(torch.zeros(3, 1, dtype=torch.long), scores)
    assert result[0].argmax() == 555
    assert torch.isnan(result[1]).sum() == 1
    assert torch.isneginf(result[2]).all()


@pytest.mark.parametrize("seeds", [[], [1.5], [True], ["7"]])
def test_seeds_are_whole_numbers(seeds: list[object]) -> None:
    with pytest.raises(ValueError, match=r"`seeds(\[0\])?` has to "):
        SeededSampling(seeds)


def test_one_seed_per_row() -> None:
    with pytest.raises(ValueError, match="`seeds` has 2 values, but the batch has 3 rows"):
        SeededSampling([1, 2])(torch.zeros(3, 1, dtype=torch.long), torch.zeros(3, 5))


@pytest.mark.parametrize("coupled", [False, True])
def test_compiles_without_a_graph_break(coupled: bool) -> None:
    sampler = SeededSampling([1, 2], coupled=coupled)
    scores = torch.randn(2, 1300)
    input_ids = torch.zeros(2, 4, dtype=torch.long)
    torch.compiler.reset()
    compiled = torch.compile(sampler, fullgraph=True, backend="aot_eager")
    assert torch.equal(compiled(input_ids, scores), sampler(input_ids, scores))


@pytest.mark.slow
def test_five_times_cheaper_than_multinomial() -> None:
    scores = torch.randn(8, 151_936)
    input_ids = torch.zeros(8, 4, dtype=torch.long)
    sampler = SeededSampling(range(8))

    def seconds(call: object) -> float:
        begin = time.perf_counter()
        call()
        return time.perf_counter() - begin

    ours, theirs = [], []
    for _ in range(15):
        ours.append(seconds(lambda: sampler(input_ids, scores)))
        theirs.append(seconds(lambda: torch.multinomial(scores.softmax(-1), 1)))
    assert sorted(theirs)[7] > 5 * sorted(ours)[7]
