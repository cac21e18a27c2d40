"""The race of policies, on simulated prompts whose accuracies are known."""

from __future__ import annotations

import numpy as np
import pytest

from temp_processors.tuning.race import Race

PROMPTS, SAMPLES, ROUNDS = 400, 4, 10
ACCURACIES = {
    "T=0.1": 0.44,
    "T=0.3": 0.5,
    "T=0.5": 0.58,
    "T=0.7": 0.52,
    "T=0.9": 0.45,
    "T=1.1": 0.36,
    "T=1.3": 0.2,
    "T=1.5": 0.06,
}


def simulated(accuracies: dict[str, float], seed: int, budget: int | None = None) -> tuple[Race, int]:
    """A race on prompts of different difficulty, draws coupled as `coupled: true` does; the texts that it took."""
    rng = np.random.default_rng(seed)
    hard = rng.uniform(0.4, 1.6, PROMPTS)
    race, texts = Race(list(accuracies), rounds=ROUNDS), 0
    for prompts in np.split(np.arange(PROMPTS), ROUNDS):
        draws = rng.random((len(prompts), SAMPLES))
        cost = len(race.alive) * draws.size
        if budget is not None and texts + cost > budget:
            race.stop("the budget is spent")
            break
        chances = {name: np.clip(hard[prompts] * accuracies[name], 0, 1)[:, None] for name in race.alive}
        own = {name: np.where(rng.random(draws.shape) < 0.5, draws, rng.random(draws.shape)) for name in race.alive}
        race.add({name: (own[name] < chances[name]).mean(axis=1) for name in race.alive}, tokens=10 * cost)
        texts += cost
        if race.ended:
            break
    assert race.tokens == 10 * texts
    return race, texts


def test_best_of_eight_is_found_at_half_the_samples() -> None:
    grid = PROMPTS * SAMPLES * len(ACCURACIES)
    found, spent, lost = 0, [], 0
    for seed in range(200):
        race, texts = simulated(ACCURACIES, seed, budget=grid // 2)
        found += race.leader == "T=0.5"
        lost += "T=0.5" in race.left
        spent.append(texts)
    assert found >= 180
    assert lost <= 10
    assert max(spent) <= grid // 2


def test_a_policy_that_equals_the_best_stays() -> None:
    """In at least 95 % of races, although it is looked at after each of 10 rounds."""
    equal = {**ACCURACIES, "T=0.7": 0.58}
    races = [simulated(equal, seed)[0] for seed in range(200)]
    assert np.mean(["T=0.7" in race.left for race in races]) <= 0.05
    assert np.mean(["T=0.5" in race.left for race in races]) <= 0.05
    assert np.mean([set(race.alive) == {"T=0.5", "T=0.7"} for race in races]) > 0.5


def test_an_equivalent_set_ends_the_race() -> None:
    race = Race(["a", "b", "c"], rounds=4, margin=0.1)
    rng = np.random.default_rng(0)
    values = rng.binomial(32, 0.5, 300) / 32
    race.add({"a": values, "b": rng.permutation(values), "c": values / 4})
    assert race.ended == "the 2 policies that are left are equal within 0.1"
    assert race.alive == ["a", "b"]
    assert race.left["c"].leader in "ab"
    assert 0.3 < race.left["c"].at_least < 0.375


def test_the_end_of_the_prompts_ends_the_race() -> None:
    race = Race(["a", "b"], rounds=2)
    for _ in range(2):
        race.add({"a": np.array([1.0, 0.0, np.nan]), "b": np.array([0.0, 1.0, 1.0])})
    assert race.ended == "all prompts are used"
    assert len(race.values("b")) == 4  # a prompt without a value counts for no policy
    with pytest.raises(ValueError, match="the race has ended: all prompts are used"):
        race.add({"a": np.ones(1), "b": np.ones(1)})


def test_all_equal_values_prove_nothing() -> None:
    race = Race(["a", "b"], rounds=5)
    race.add({"a": np.ones(8), "b": np.ones(8)})
    assert race.ended is None
    assert race.alive == ["a", "b"]


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: Race(["a"], rounds=3), r"a race needs two policies or more, each with its own name, but has \['a'\]"),
        (lambda: Race(["a", "a"], rounds=3), "each with its own name"),
        (lambda: Race(["a", "b"], rounds=0), "`rounds` has to be at least 1, but is 0"),
        (lambda: Race(["a", "b"], rounds=1, error=1), "`error` has to be between 0 and 1, but is 1"),
        (lambda: Race(["a", "b"], rounds=1).add({"a": np.ones(4)}), "needs the values of a, b, but has those of a"),
        (lambda: Race(["a", "b"], rounds=1).add({"a": np.ones(4), "b": np.ones(3)}), "different numbers of prompts"),
    ],
)
def test_races_that_cannot_be(call, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        call()
