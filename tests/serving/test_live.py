"""Policies in an engine that shows its request objects: each row as it would be alone, and what cannot be applied is refused."""

from __future__ import annotations

import json
import weakref
from array import array
from types import SimpleNamespace
from typing import Any

import pytest
import torch

from temp_processors.serving.live import apply_live
from tests.serving.request_policies import COOLING, DYNAMIC, REQUEST_POLICIES
from tests.serving.test_serving import VOCAB, alone, row_of


class Req:
    """What SGLang's request has of it: token ids, steps launched, sampling values, and how it is to end."""

    def __init__(self, prompt: list[int], new: list[int], *, behind: int = 0, temperature: float = 1.0) -> None:
        self.origin_input_ids, self.output_ids = array("q", prompt), array("q", new)
        self.decode_batch_idx = len(new) + behind
        self.sampling_params = SimpleNamespace(temperature=temperature)
        self.to_finish: str | None = None


def refuse(request: Req, reason: str) -> None:
    request.to_finish = reason


def params(request: Req, policy: Any) -> dict[str, Any]:
    return {"temperature_policy": policy, "__req__": weakref.proxy(request)}


def test_a_mixed_batch_equals_each_request_alone() -> None:
    names = [*REQUEST_POLICIES, *REQUEST_POLICIES]
    cases = [row_of(name, seed) for seed, name in enumerate(names)]
    requests = [Req(prompt, new) for _, prompt, new, _ in cases]
    rows: list[Any] = []
    for (spec, *_), request in zip(cases, requests, strict=True):
        rows += [params(request, json.dumps(spec)), None]
    scores = torch.stack([scores for *_, scores in cases]).repeat_interleave(2, dim=0)
    result = apply_live(scores.clone(), rows, refuse)
    torch.testing.assert_close(result[::2], torch.stack([alone(*case) for case in cases]), rtol=1e-6, atol=1e-6)
    assert torch.equal(result[1::2], scores[1::2])
    assert not any(request.to_finish for request in requests)


@pytest.mark.parametrize(
    ("policy", "request_", "reason"),
    [
        ({"kind": "fixed", "temperature": -1}, Req([5], []), "has to be a number >= 0"),
        ("{", Req([5], []), "is not JSON"),
        (DYNAMIC, Req([5], [], temperature=0.7), "`temperature` has to be 1 beside a policy, but is 0.7"),
        (COOLING, Req([5], [], behind=1), "--disable-overlap-schedule"),
    ],
)
def test_what_cannot_be_applied_ends_its_request_and_no_other(policy: Any, request_: Req, reason: str) -> None:
    other, scores = Req([5], []), torch.randn(2, VOCAB)
    result = apply_live(scores.clone(), [params(request_, policy), params(other, DYNAMIC)], refuse)
    assert reason in str(request_.to_finish)
    assert other.to_finish is None
    assert torch.equal(result[0], scores[0])
    assert not torch.equal(result[1], scores[1])


def test_a_policy_of_the_scores_alone_needs_no_tokens() -> None:
    behind, scores = Req([5], [7], behind=1), torch.randn(3, VOCAB)
    guessed = params(behind, DYNAMIC)
    result = apply_live(scores.clone(), [guessed] * 3, refuse)
    torch.testing.assert_close(result, torch.stack([alone(DYNAMIC, [5], [7], row) for row in scores]))
    assert behind.to_finish is None


def test_a_policy_that_follows_the_text_is_refused_where_tokens_are_guessed() -> None:
    request = Req([5], [7])
    scores = torch.randn(3, VOCAB)
    shared = params(request, COOLING)
    assert torch.equal(apply_live(scores.clone(), [shared] * 3, refuse), scores)
    assert "speculative decoding" in str(request.to_finish)
