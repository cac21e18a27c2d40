"""The verdict on a task: who is best, who cannot be told from it, and how many more prompts would tell."""

from __future__ import annotations

import json
import math

import numpy as np
import pytest

from temp_processors.comparison.best import task_verdict
from temp_processors.comparison.sample_size import (
    Spread,
    level_of,
    prompts_needed,
    sizes,
    spread_from_accuracy,
    spread_from_pilot,
)
from temp_processors.comparison.task_scores import scorer_scores
from temp_processors.tasks.measures import Outcome


def drawn(accuracies: dict[str, float], prompts: int, samples: int = 16, seed: int = 0) -> dict[str, np.ndarray]:
    """Mean scores of policies that are as good as this on average, on prompts that are as hard for all."""
    rng = np.random.default_rng(seed)
    hard = rng.uniform(0.5, 1.5, prompts)
    return {name: rng.binomial(samples, np.clip(hard * p, 0, 1)) / samples for name, p in accuracies.items()}


def test_a_clear_winner() -> None:
    found = task_verdict(drawn({"cold": 0.5, "warm": 0.6, "hot": 0.2}, 200))
    assert found.leader.name == "warm"
    assert [policy.name for policy in found.which("lower")] == ["cold", "hot"]
    assert found.sentence.startswith("warm is best (accuracy 0.")
    assert found.sentence.endswith("all others are lower.")
    assert found.lines()[1].startswith("cold: 0.")
    assert found.lines()[1].endswith(", lower")


def test_equal_policies_and_what_they_buy() -> None:
    found = task_verdict(
        drawn({"cold": 0.5, "warm": 0.5, "hot": 0.2}, 1000),
        diversity={"distinct_2": {"cold": 0.3, "warm": 0.7, "hot": 0.9}},
        tokens={"cold": 40.0, "warm": 48.0, "hot": 64.0},
    )
    assert {policy.name for policy in found.which("best", "equal")} == {"cold", "warm"}
    assert "equal within 0.02" in found.sentence
    assert "Of these warm is the most diverse (distinct_2 0.7)." in found.sentence
    assert "cold is the cheapest (40 tokens a text)." in found.sentence


def test_data_that_cannot_say_say_how_many_prompts_would() -> None:
    found = task_verdict(drawn({"cold": 0.5, "warm": 0.55}, 20, samples=4, seed=3), measure="pass@1")
    (open_one,) = found.which("not resolved")
    assert open_one.statement.startswith("not resolved (could be up to ")
    assert open_one.more_prompts is not None
    assert "but not proven best" in found.sentence
    assert "cannot be told from it: not resolved (at most 0." in found.sentence
    assert f"about {open_one.more_prompts:,} more prompts would tell" in found.sentence
    assert "no difference" not in found.sentence


def test_more_prompts_resolve_it() -> None:
    """With as many prompts as were asked for, four of five runs are resolved."""
    truth = {"cold": 0.5, "warm": 0.56}
    resolved = [
        not task_verdict(drawn(truth, prompts_needed(0.06, spread), seed=seed)).which("not resolved")
        for spread in [Spread(0.0, 2 * 0.23).at(16)]
        for seed in range(100)
    ]
    assert 0.7 < np.mean(resolved) < 0.95


def test_equal_policies_are_seldom_told_apart() -> None:
    """Five equal policies, all pairs: a verdict `lower` in at most 5 % of experiments (and what 200 of them leave open)."""
    names = {f"T={i}": 0.4 for i in range(5)}
    wrong = [bool(task_verdict(drawn(names, 40, 4, seed)).which("lower")) for seed in range(200)]
    assert np.mean(wrong) < 0.08


def test_as_json() -> None:
    found = task_verdict({"a": np.array([1.0, 0.0, math.nan]), "b": np.array([0.0, 0.0, 1.0])}).to_dict()
    json.dumps(found, allow_nan=False)
    assert found["prompts"] == 2
    assert found["policies"]["a"]["no_interval"] == "needs 4 prompts, but there are 2"
    assert found["policies"]["b"]["statement"] == "not judged: needs 4 prompts, but there are 2"
    assert found["sentence"] == "accuracy cannot be judged: needs 4 prompts, but there are 2."
    whole = task_verdict(drawn({"cold": 0.5, "warm": 0.6}, 200)).to_dict()
    assert json.loads(json.dumps(whole, allow_nan=False)) == whole
    assert whole["lower"] == ["cold"]
    assert whole["policies"]["cold"]["difference"]["baseline"] == "warm"


def test_all_right_and_all_equal() -> None:
    found = task_verdict({"a": np.ones(20), "b": np.ones(20)})
    assert found.policies[1].statement == "not resolved (could be up to 0.19)"
    assert found.policies[1].more_prompts
    assert task_verdict({"a": np.ones(20)}).sentence == "a stands alone (accuracy 1, 0.813 to 1)."


def test_the_vote_of_several_policies_against_each_alone() -> None:
    """Each policy knows half of the prompts and gives wrong answers that differ elsewhere: together they win every vote."""

    def table(knows: int) -> list[list[Outcome]]:
        return [
            [Outcome(1, "right") if prompt % 2 == knows else Outcome(0, f"{knows} {sample}") for sample in range(4)]
            for prompt in range(40)
        ]

    found = scorer_scores({"cold": table(0), "warm": table(1)})["pooled"]
    assert list(found["maj@k"]) == ["1", "2", "4"]
    assert found["maj@k"]["1"]["value"] == 0.5
    assert found["maj@k"]["4"]["value"] > 0.7
    change = found["differences"]["cold"]["4"]
    assert change["value"] == pytest.approx(found["maj@k"]["4"]["value"] - 0.5)
    assert (change["baseline"], change["verdict"]) == ("cold", "higher")
    assert found["differences"]["warm"]["1"]["statement"].startswith("not resolved")


@pytest.mark.parametrize(
    ("values", "margin", "message"),
    [
        ({}, 0.02, "a verdict needs at least one policy"),
        ({"a": np.ones(5)}, 0.0, "`margin` has to be between 0 and 1, but is 0.0"),
        ({"a": np.ones(5), "b": np.ones(4)}, 0.02, "policies have different numbers of prompts: a 5, b 4"),
    ],
)
def test_what_cannot_be_judged(values: dict[str, np.ndarray], margin: float, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        task_verdict(values, margin=margin)


@pytest.mark.parametrize(
    ("accuracy", "difference", "samples", "pilot"),
    [(0.5, 0.08, 4, False), (0.9, 0.05, 1, False), (0.2, 0.1, 16, False), (0.5, 0.1, 4, True), (0.7, 0.08, 8, True)],
)
def test_power_at_the_planned_size(accuracy: float, difference: float, samples: int, pilot: bool) -> None:
    """The verdict's own test finds the difference in 75 to 90 % of experiments, give or take what 300 of them leave open."""
    rng = np.random.default_rng(11)

    def tables(prompts: int, count: int) -> tuple[np.ndarray, np.ndarray]:
        """Scores (prompts, samples); difficulties with correlation 0.3, four of five shared, the second better on average."""
        low, size = accuracy - difference / 2, 0.7 / 0.3
        first = rng.beta(low * size, (1 - low) * size, prompts)
        own = rng.beta(low * size, (1 - low) * size, prompts)
        second = np.where(rng.random(prompts) < 0.8, first, own)
        second = second + (1 - second) * difference / (1 - low)
        return tuple((rng.random((prompts, count)) < chance[:, None]).astype(float) for chance in (first, second))

    spread = spread_from_pilot(*tables(2000, 4)) if pilot else spread_from_accuracy(accuracy)
    size = next(size for size in sizes(spread, difference) if size.samples == samples)
    found = 0
    for _ in range(300):
        one, other = (table.mean(axis=1) for table in tables(size.prompts, samples))
        found += task_verdict({"one": one, "other": other}).policies[1].verdict == "lower"
    assert 0.72 < found / 300 < 0.92


def test_sizes() -> None:
    spread = spread_from_accuracy(0.5)
    planned = sizes(spread, 0.02)
    assert [size.samples for size in planned] == [1, 2, 4, 8, 16, 32]
    prompts = [size.prompts for size in planned]
    assert prompts == sorted(prompts, reverse=True)
    assert planned[0].texts == min(size.texts for size in planned)  # a prompt more is worth more than a sample more
    more = sizes(spread, 0.02, policies=8)
    assert all(eight.prompts > two.prompts for eight, two in zip(more, planned, strict=True))
    assert level_of(8) == pytest.approx(0.05 / 28)


def test_pilot_takes_off_what_coupled_draws_share() -> None:
    rng = np.random.default_rng(0)
    draws = rng.random((200, 8))
    chance = rng.random((200, 1))
    first, second = ((draws < np.clip(chance + more, 0, 1)).astype(float) for more in (0, 0.1))
    apart = (rng.random((200, 8)) < np.clip(chance + 0.1, 0, 1)).astype(float)
    assert spread_from_pilot(first, second).within < 0.4 * spread_from_pilot(first, apart).within
    single = spread_from_pilot(first[:, :1], second[:, :1])
    assert single.between == 0
    with pytest.raises(ValueError, match="a pilot needs 4 prompts that both policies have scores for, but has 3"):
        spread_from_pilot(first[:3], second[:3])


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: spread_from_accuracy(1.0), "an accuracy to plan with has to be between 0 and 1, but is 1.0"),
        (lambda: spread_from_accuracy(0.5, correlation=2), "`correlation` has to be in .0, 1., but is 2"),
        (lambda: sizes(Spread(0, 1), 0.0), "a difference to plan for has to be between 0 and 1, but is 0.0"),
        (lambda: sizes(Spread(0, 1), 0.1, policies=1), "a comparison needs two policies, but there is 1"),
    ],
)
def test_plans_that_cannot_be(call, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        call()
