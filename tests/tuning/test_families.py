"""Families of policies: luck of many settings does not count on the other half of the prompts."""

from __future__ import annotations

import numpy as np
import pytest

from temp_processors.tuning.families import FamilyError, compare_families, families_of


def test_luck_of_the_best_of_many_settings_is_not_carried_over() -> None:
    """Twelve settings that are all the same: the best one looks better than it is where it was chosen, not where it is judged."""
    lucky, judged = [], []
    for seed in range(200):
        rng = np.random.default_rng(seed)
        values = {f"{family}{i}": rng.binomial(4, 0.5, 40) / 4 for family in "ab" for i in range(6)}
        families = {family: [f"{family}{i}" for i in range(6)] for family in "ab"}
        found = compare_families(values, families, seed=seed)
        lucky.append(max(values[name].mean() for name in families["a"]))
        judged.append(next(p.value for p in found.verdict.policies if p.name.startswith("a (")))
        assert (found.settings, found.tuned_on, found.judged_on) == (6, 20, 20)
    assert np.mean(lucky) > 0.54
    assert abs(np.mean(judged) - 0.5) < 0.015


def test_a_better_family_wins() -> None:
    rng = np.random.default_rng(0)
    chances = {"a1": 0.3, "a2": 0.4, "b1": 0.2, "b2": 0.7}
    values = {name: rng.binomial(16, chance, 100) / 16 for name, chance in chances.items()}
    found = compare_families(
        values, families_of({name: name[0] for name in chances}), tokens=dict.fromkeys(chances, 50)
    )
    assert found.chosen == {"a": "a2", "b": "b2"}
    assert found.verdict.sentence.startswith("b (b2) is best (score 0.")
    assert list(found.lines())[-1] == "tokens drawn: a 100, b 100"
    assert found.to_dict()["verdict"]["lower"] == ["a (a2)"]


def test_too_few_prompts() -> None:
    values = {"a": np.ones(7), "b": np.ones(7)}
    with pytest.raises(FamilyError, match="two halves of prompts need 8 prompts, but there are 7"):
        compare_families(values, {"a": ["a"], "b": ["b"]})
