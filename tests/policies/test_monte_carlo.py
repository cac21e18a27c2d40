"""`kind: monte_carlo`: one temperature a text, from its seed, uniform, the same in any batch."""

from __future__ import annotations

from pathlib import Path

import pyarrow.parquet as pq
import pytest
import torch
from scipy.stats import kstest

from temp_processors import MonteCarloTemperatureLogitsWarper, SeededSampling, build_policy, load_config, run_experiment
from temp_processors.policies.monte_carlo import temperature_of
from temp_processors.sampling import uniform
from temp_processors.serving.rows import of_text, policy_of_request

IDS = torch.zeros(4, 3, dtype=torch.long)
SCORES = torch.randn(4, 9, generator=torch.Generator().manual_seed(1))
POLICY = {"kind": "monte_carlo", "low": 0.5, "high": 1.5}


def test_every_row_has_the_temperature_of_its_seed_at_every_step_and_shape() -> None:
    seeds = [11, 2**60, -3, 11]
    policy = MonteCarloTemperatureLogitsWarper(0.5, 1.5, seeds=seeds)
    expected = torch.tensor([[temperature_of(0.5, 1.5, seed)] for seed in seeds])
    for length in (1, 3):
        torch.testing.assert_close(policy.temperature(IDS[:, :length], SCORES), expected)
    torch.testing.assert_close(policy(IDS, SCORES), SCORES / expected)
    deep = SCORES[:, None].expand(4, 2, 9)
    torch.testing.assert_close(policy(IDS, deep), deep / expected[:, None])
    for row in range(4):
        alone = build_policy(POLICY).with_seeds([seeds[row]])
        torch.testing.assert_close(alone(IDS[:1], SCORES[row : row + 1]), policy(IDS, SCORES)[row : row + 1])


def test_the_temperatures_are_uniform_and_no_draw_of_the_text() -> None:
    seeds = torch.arange(4000)
    drawn = torch.tensor([temperature_of(0.0, 1.0, seed) for seed in seeds.tolist()])
    assert kstest(drawn.numpy(), "uniform").pvalue > 0.01
    first = uniform(seeds, torch.tensor(0))
    assert abs(torch.corrcoef(torch.stack([drawn.double(), first]))[0, 1]) < 0.05


def test_it_is_found_inside_other_policies() -> None:
    inside = {"kind": "chain", "steps": [{"kind": "top_k", "top_k": 5}, {"kind": "product", "policies": [POLICY]}]}
    policy = build_policy(inside)
    assert policy.needs_seeds
    with pytest.raises(ValueError, match=r"`seeds` have to be given, one whole number per row"):
        policy(IDS, SCORES)
    seeded = policy.with_seeds(torch.tensor([1, 2, 3, 4]))
    assert not seeded.needs_seeds
    assert seeded.temperature(IDS, SCORES)[2].item() == pytest.approx(temperature_of(0.5, 1.5, 3))
    plain = build_policy({"kind": "fixed", "temperature": 1})
    assert plain.with_seeds([1]) is plain
    assert of_text(inside, 3)["steps"][1]["policies"] == [{"kind": "fixed", "temperature": temperature_of(0.5, 1.5, 3)}]
    policy_of_request(of_text(inside, 3))


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"high": 0.4}, "`high` has to be at least `low`, 0.5, but is 0.4|has to be at least `low`, 0.5, but is 0.4"),
        ({"seeds": []}, "has to hold one whole number per row of the batch, but is"),
        ({"seeds": b"x"}, "has to hold one whole number per row of the batch, but is"),
        ({"seeds": [2**64]}, r"has to be a whole number, a number in .* \(64 bits\), but is 18446744073709551616"),
        ({"seeds": [1.5]}, "has to be a whole number"),
    ],
)
def test_refused(changes: dict[str, object], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        build_policy({**POLICY, **changes})


def test_a_number_of_seeds_that_is_not_that_of_the_rows() -> None:
    with pytest.raises(ValueError, match="`seeds` has 2 values, but the batch has 4 rows"):
        build_policy(POLICY).with_seeds([1, 2])(IDS, SCORES)


def test_texts_of_a_run_are_those_of_their_temperature_in_any_batch(tmp_path: Path) -> None:
    """Each text has one temperature, which traces show, and is that of `fixed` at this temperature under its seed."""
    few = ["samples_per_prompt=4", "max_new_tokens=8", "coupled=true", "metrics=[distinct_1]"]
    both = "policies=[{name: mc, kind: monte_carlo, low: 0.3, high: 1.2}, {name: T, kind: fixed, temperature: 1}]"
    runs = [
        run_experiment(load_config("fox", [*few, both, f"batch_size={size}"], out=tmp_path / str(size)))
        for size in (1, 8)
    ]
    texts = [{(s.policy, s.sample_id): s.token_ids for s in run.samples} for run in runs]
    assert texts[0] == texts[1]
    seeds = {sample.sample_id: sample.seed for sample in runs[0].samples}
    rows = [row for row in pq.read_table(runs[0].path / "traces.parquet").to_pylist() if row["policy"] == "mc"]
    assert {row["sample_id"] for row in rows} == set(seeds)
    for row in rows:
        assert row["temperature"] == pytest.approx(temperature_of(0.3, 1.2, seeds[row["sample_id"]]))
    one = temperature_of(0.3, 1.2, seeds[2])
    fixed = f"policies=[{{name: one, kind: fixed, temperature: {one!r}}}]"
    again = run_experiment(load_config("fox", [*few, fixed], out=tmp_path / "fixed"))
    assert {s.sample_id: s.token_ids for s in again.samples}[2] == texts[0]["mc", 2]


def test_in_generate_the_seeds_are_those_of_the_draw() -> None:
    draw = SeededSampling([5, 6], prompt_length=1)
    assert torch.equal(MonteCarloTemperatureLogitsWarper(0.5, 1.5, seeds=draw.seeds).seeds, draw.seeds)
