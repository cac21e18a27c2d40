"""Policies for engines that batch continuously: each row as it would be alone, whatever moves around it."""

from __future__ import annotations

import json
import random

import pytest
import torch

from temp_processors import build_policy
from temp_processors.policies.kinds import KINDS
from temp_processors.serving.rows import PolicyError, PolicyRows, Request, policy_of_request
from tests.serving.request_policies import COOLING, REQUEST_POLICIES

VOCAB = 300
TOKENS = [5, 14, 16, 261, 262, 7]


def row_of(name: str, seed: int) -> tuple[dict[str, object], list[int], list[int], torch.Tensor]:
    """A policy, a prompt and new tokens of lengths that depend on the seed, and one row of scores."""
    rng = random.Random(seed)
    prompt = rng.choices(TOKENS, k=1 + seed % 7)
    new = rng.choices(TOKENS, k=seed % 5)
    return REQUEST_POLICIES[name], prompt, new, torch.randn(VOCAB, generator=torch.Generator().manual_seed(seed)) * 3


def alone(spec: dict[str, object], prompt: list[int], new: list[int], scores: torch.Tensor) -> torch.Tensor:
    """What `generate` would apply to this row in a batch of one."""
    return build_policy(spec, prompt_length=len(prompt))(torch.tensor([prompt + new]), scores[None])[0]


def test_there_is_a_request_of_every_kind_but_the_one_that_needs_a_batch() -> None:
    assert {spec["kind"] for spec in REQUEST_POLICIES.values()} == set(KINDS) - {"rows", "monte_carlo"}


def test_a_mixed_batch_equals_each_request_alone() -> None:
    names = [*REQUEST_POLICIES, *REQUEST_POLICIES, *REQUEST_POLICIES]
    random.Random(0).shuffle(names)
    rows, cases = PolicyRows(), [row_of(name, seed) for seed, name in enumerate(names)]
    for row, (spec, prompt, new, _) in enumerate(cases):
        rows.add(row, Request(policy_of_request(spec), prompt, new))
    result = rows.apply(torch.stack([scores for *_, scores in cases]))
    torch.testing.assert_close(result, torch.stack([alone(*case) for case in cases]), rtol=1e-6, atol=1e-6)


def test_rows_without_a_policy_are_untouched_to_the_bit() -> None:
    rows = PolicyRows()
    scores = torch.randn(4, VOCAB)
    rows.add(2, Request(policy_of_request(COOLING), [5], []))
    result = rows.apply(scores.clone())
    assert torch.equal(result[[0, 1, 3]], scores[[0, 1, 3]])
    assert not torch.equal(result[2], scores[2])


@pytest.mark.parametrize("name", REQUEST_POLICIES)
def test_the_list_of_new_tokens_is_read_anew_at_every_step(name: str) -> None:
    spec, prompt, _, scores = row_of(name, 4)
    rows, new = PolicyRows(), list[int]()
    rows.add(0, Request(policy_of_request(spec), prompt, new))
    for token in [7, 14, 261, 16, 5, 14, 7]:
        torch.testing.assert_close(rows.apply(scores[None].clone())[0], alone(spec, prompt, new, scores))
        new.append(token)


def test_requests_are_followed_through_moves_swaps_and_replacement() -> None:
    rows = PolicyRows()
    requests = {name: Request(policy_of_request(spec), [5], []) for name, spec in REQUEST_POLICIES.items()}
    for row, name in enumerate(["fixed", "dynamic", "edt"]):
        rows.add(row, requests[name])
    rows.move(0, 2, swap=True)
    assert rows.requests == {0: requests["edt"], 1: requests["dynamic"], 2: requests["fixed"]}
    rows.move(2, 1)
    assert rows.requests == {0: requests["edt"], 1: requests["fixed"]}
    rows.move(3, 0)
    assert rows.requests == {1: requests["fixed"]}
    rows.add(1, requests["reset"])
    rows.add(1, None)
    assert rows.requests == {}
    scores = torch.randn(2, VOCAB)
    assert torch.equal(rows.apply(scores.clone()), scores)


def test_groups_follow_a_request_that_moves() -> None:
    rows = PolicyRows()
    rows.add(0, Request(policy_of_request({"kind": "fixed", "temperature": 0.5}), [5], []))
    scores = torch.ones(3, VOCAB)
    assert rows.apply(scores.clone())[:, 0].tolist() == [2, 1, 1]
    rows.move(0, 2)
    assert rows.apply(scores.clone())[:, 0].tolist() == [1, 1, 2]


def test_a_policy_may_come_as_json_text_and_equal_ones_are_one_object() -> None:
    spec = {"kind": "dynamic", "temperature": 1.0, "range": 0.5}
    backwards = dict(reversed(spec.items()))
    assert policy_of_request(json.dumps(spec)) is policy_of_request(backwards)


@pytest.mark.parametrize(
    ("value", "message"),
    [
        (
            {"kind": "fixed", "temperature": -1},
            "temperature_policy: temperature: has to be a number >= 0 (0 is greedy)",
        ),
        ({"kind": "dynamc"}, "temperature_policy: kind: 'dynamc' is not a kind of policy (did you mean 'dynamic'?)"),
        ({"kind": "fixed", "temprature": 1}, "not a field of 'fixed' (did you mean 'temperature'?)"),
        ({"kind": "fixed", "temperature": [1, 2]}, "but the batch has 3 rows"),
        ({"kind": "rows", "policies": [COOLING, COOLING, COOLING]}, "has 3 policies, but the batch has 2 rows"),
        ({"kind": "phase", "open": "<a>", "close": "</a>", "inside": COOLING, "outside": COOLING}, "needs a tokenizer"),
        ('{"kind"', "temperature_policy: is not JSON"),
        ("[1]", "temperature_policy: has to be a mapping with a `kind`, but is '[1]'"),
        (0.5, "temperature_policy: has to be a mapping with a `kind`, but is 0.5"),
        ({"kind": {1}}, "temperature_policy: cannot be written as JSON"),
    ],
)
def test_a_bad_policy_is_refused_with_what_is_allowed(value: object, message: str) -> None:
    with pytest.raises(PolicyError) as refused:
        policy_of_request(value)
    assert message in str(refused.value)


def test_a_temperature_for_each_row_is_told_in_the_words_of_a_request() -> None:
    with pytest.raises(PolicyError, match="a request is one row: give one"):
        policy_of_request({"kind": "fixed", "temperature": [0.5, 1.0]})
