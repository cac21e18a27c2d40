"""What a policy shows of itself: its class and the parameters that were given, in Python that builds it again."""

from __future__ import annotations

import copy
import pickle
from typing import Any

import pytest
import torch

import temp_processors
from temp_processors import *  # noqa: F403  (the names that a repr is made of)
from temp_processors.policies.base import PolicyLogitsWarper
from temp_processors.policies.kinds import WARPERS, build_policy
from tests.policies.examples import EXAMPLES


@pytest.mark.parametrize("config", [config for config, _ in EXAMPLES.values()], ids=EXAMPLES)
def test_the_repr_builds_the_policy_again(config: dict[str, Any]) -> None:
    policy = build_policy(config, prompt_length=2)
    text = repr(policy)
    assert text.startswith(f"{type(policy).__name__}(")
    assert all(repr(one) == text for one in (copy.copy(policy), pickle.loads(pickle.dumps(policy))))
    if "..." not in text:
        assert repr(eval(text)) == text


@pytest.mark.parametrize(
    ("policy", "expected"),
    [
        (temp_processors.FixedTemperatureLogitsWarper(1), "FixedTemperatureLogitsWarper(temperature=1)"),
        (
            temp_processors.FixedTemperatureLogitsWarper(torch.ones(9)),
            "FixedTemperatureLogitsWarper(temperature=[1.0, 1.0, 1.0, 1.0, 1.0, 1.0, ...])",
        ),
        (
            temp_processors.FixedTemperatureLogitsWarper(0.5).with_prompt_length(torch.tensor([3, 4])),
            "FixedTemperatureLogitsWarper(temperature=0.5, prompt_length=[3, 4])",
        ),
        (temp_processors.GenerateLogitsWarper(0.6, top_k=20), "GenerateLogitsWarper(temperature=0.6, top_k=20)"),
        (
            temp_processors.RowsLogitsWarper([temp_processors.EESLogitsWarper()]),
            "RowsLogitsWarper(policies=[EESLogitsWarper()])",
        ),
        (temp_processors.SeededSampling([1, 2]), "SeededSampling([1, 2], prompt_length=0)"),
    ],
)
def test_parameters_are_shown_as_they_were_given(policy: Any, expected: str) -> None:
    assert repr(policy) == expected


def test_a_policy_of_the_user_has_a_repr_too() -> None:
    class Mine(PolicyLogitsWarper):
        pass

    assert repr(Mine(prompt_length=3)) == "Mine(prompt_length=3)"


def test_every_public_name_is_listed_and_imported() -> None:
    listed = set(dir(temp_processors))
    assert set(temp_processors.__all__) <= listed
    assert {warper.__name__ for warper in WARPERS.values()} <= listed
    assert {name for name in listed if not name.startswith("__")} == set(temp_processors.PUBLIC)
    assert all(name in globals() for name in temp_processors.__all__)
