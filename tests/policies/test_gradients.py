"""Gradients through every policy against finite differences, with masked entries: finite, and right."""

from __future__ import annotations

import pytest
import torch

from temp_processors import DynamicTemperatureLogitsWarper, TruncateThenTemperLogitsWarper, build_policy
from tests.policies.examples import EXAMPLES

IDS = torch.tensor([[0, 5, 1], [0, 5, 1]])
GREEDY = {"fixed_greedy", "fixed_tiny"}


@pytest.mark.parametrize("name", sorted(set(EXAMPLES) - GREEDY))
@pytest.mark.parametrize("masked", [False, True])
def test_gradients_are_those_of_finite_differences(name: str, masked: bool) -> None:
    policy = build_policy(EXAMPLES[name][0], prompt_length=2)
    base = torch.tensor([[2.0, 1.0, 0.1, -1.0, 0.7], [0.3, 1.4, -0.6, 0.9, 2.2]], dtype=torch.float64)

    def chance(scores: torch.Tensor) -> torch.Tensor:
        if masked:
            scores = scores.masked_fill(torch.tensor([[False, False, True, False, False]]), -torch.inf)
        return policy(IDS, scores).softmax(dim=-1)[:, 0]

    scores = base.clone().requires_grad_(True)
    chance(scores).sum().backward()
    assert scores.grad is not None
    assert torch.isfinite(scores.grad).all()
    step = 1e-6
    for place in range(base.shape[1]):
        move = torch.zeros_like(base)
        move[:, place] = step
        with torch.no_grad():
            wanted = (chance(base + move) - chance(base - move)) / (2 * step)
        torch.testing.assert_close(scores.grad[:, place], wanted, rtol=1e-4, atol=1e-6)


def test_a_policy_on_truncated_scores_has_the_published_case() -> None:
    policy = TruncateThenTemperLogitsWarper(DynamicTemperatureLogitsWarper(1.0, 0.5), top_k=3)
    scores = torch.tensor([[2.0, 1.0, 0.0, -1.0]], requires_grad=True)
    policy(torch.tensor([[1]]), scores).softmax(dim=-1)[0, 0].backward()
    torch.testing.assert_close(scores.grad, torch.tensor([[0.2412, -0.1564, -0.0847, 0.0]]), rtol=0, atol=1e-4)
