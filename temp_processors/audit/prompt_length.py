"""Whether policies that count steps know where the prompt of a call ends."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import torch
from torch import Tensor

from temp_processors.audit.findings import Finding
from temp_processors.audit.stack import StackEntry
from temp_processors.policies.base import PolicyLogitsWarper
from temp_processors.trace.recorder import TemperatureTrace

STEPS = (0, 1, 2, 5, 11, 47, 191)
"""New tokens after which a policy is tried."""
VOCABULARY = 16


def prompt_lengths(stack: Sequence[StackEntry], rows: int, prompt: int | None) -> Iterator[Finding]:
    """A finding for every policy that would act otherwise if it were told how long the prompt is.

    Args:
        stack: What acts on the scores.
        rows: Rows of the batch.
        prompt: Tokens before the first new one; None where the call has no input: then a policy that counts steps and
            was told nothing is found, because 0 is right for `inputs_embeds` alone.
    """
    for entry in stack:
        policy = entry.processor.policy if isinstance(entry.processor, TemperatureTrace) else entry.processor
        if isinstance(policy, PolicyLogitsWarper):
            yield from _finding(entry.name, policy, rows, prompt)


def _finding(name: str, policy: PolicyLogitsWarper, rows: int, prompt: int | None) -> Iterator[Finding]:
    if prompt is None:
        if _differs(policy, policy.with_prompt_length(0), rows, 8) or not _differs(
            policy, policy.with_prompt_length(8), rows, 8
        ):
            return
        message = f"{name} counts steps from token 0, right for inputs_embeds alone; pass prompt_length=inputs['input_ids'].shape[-1]"
    elif _differs(policy, policy.with_prompt_length(prompt), rows, prompt):
        message = (
            f"{name} counts steps from another token than the prompt's end: before the first new token there are {prompt}; "
            f"pass prompt_length={prompt}"
        )
    else:
        return
    yield Finding("prompt-length", message, "warning")


def _differs(policy: PolicyLogitsWarper, told: PolicyLogitsWarper, rows: int, prompt: int) -> bool:
    """Whether the two policies give different scores somewhere on the first steps after a prompt, or one of them refuses it."""
    scores = torch.linspace(0.0, 4.0, VOCABULARY).expand(rows, -1)
    for step in STEPS:
        text = torch.zeros(rows, prompt + step, dtype=torch.long)
        right = _scores(told, text, scores)
        if right is None:  # refused for another reason, such as a policy for another number of rows
            return False
        got = _scores(policy, text, scores)
        if got is None or not torch.equal(got, right):
            return True
    return False


def _scores(policy: PolicyLogitsWarper, text: Tensor, scores: Tensor) -> Tensor | None:
    try:
        return policy(text, scores)
    except ValueError:  # what policies raise for a text that does not go with them
        return None
