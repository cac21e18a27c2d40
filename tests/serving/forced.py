"""What a policy does at every step of `generate`, along the text that another engine drew."""

from __future__ import annotations

from typing import Any, NamedTuple

import torch

from temp_processors.policies.kinds import WARPERS
from tests.serving.request_policies import REQUEST_POLICIES

PROMPTS = [[1, 270, 404, 405, 295], [1, 270], [1, 261, 525, 546, 14, 273, 262], [1, 495, 306]]
"""Token ids of the shipped model."""
SCALING = [
    name
    for name, config in REQUEST_POLICIES.items()
    if name not in {"greedy", "quadratic"} and not WARPERS[config["kind"]].only_cuts
]
"""Policies that do nothing but divide the scores, by a temperature that can be measured."""


class Step(NamedTuple):
    """One row of one step: how many new tokens there were, and the scores before and after the processor."""

    new_tokens: int
    before: torch.Tensor
    after: torch.Tensor


def measured_temperature(before: torch.Tensor, after: torch.Tensor) -> float:
    """T of after = before / T, by least squares over the entries that were not masked."""
    kept = torch.isfinite(after)
    left, right = before[kept].double(), after[kept].double()
    left, right = left - left.mean(), right - right.mean()
    return ((left @ left) / (left @ right)).item() if kept.sum() > 1 else float("nan")


class Forced:
    """A logits processor that records what a policy does and then leaves only the token that the other engine took."""

    def __init__(self, policy: Any, prompt_length: int, tokens: list[int]) -> None:
        self.policy, self.prompt_length, self.tokens = policy, prompt_length, tokens
        self.steps: list[Step] = []

    def __call__(self, input_ids: torch.Tensor, scores: torch.Tensor) -> torch.Tensor:
        new = input_ids.shape[-1] - self.prompt_length
        self.steps.append(Step(new, scores[0].clone(), self.policy(input_ids, scores)[0].clone()))
        forced = torch.full_like(scores, -torch.inf)
        forced[:, self.tokens[new]] = 0.0
        return forced
