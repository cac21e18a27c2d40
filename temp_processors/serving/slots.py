"""Policies inside an engine that keeps its requests in slots, with their tokens in one table on the device.

Knows no engine: what one has to say, at every step, is `SlotRows`. A row is one row of scores, not a request: under
speculative decoding a request has one row for every guessed token and one more, and rows are in another order at every step.

```python
>>> import torch
>>> from temp_processors.serving import PolicySlots, SlotRows, policy_of_request
>>> slots = PolicySlots()
>>> slots.put(3, policy_of_request({"kind": "fixed", "temperature": 0.5}))
True
>>> tokens = torch.zeros(8, 16, dtype=torch.int32)  # of eight slots
>>> rows = SlotRows(slots=[3, 1], lengths=[2, 2], prompts=[2, 1], guessed=[0, 0], fed=torch.tensor([7, 7]), tokens=tokens)
>>> slots.apply(torch.tensor([[1.0, 2.0], [1.0, 2.0]]), rows)
tensor([[2., 4.],
        [1., 2.]])

```
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import torch
from torch import Tensor

from temp_processors.policies.base import PolicyLogitsWarper
from temp_processors.policies.positions import NO_TOKEN
from temp_processors.serving.rows import as_index


class SlotRows(NamedTuple):
    """The rows of one step. What is a list here is known on the host, so that nothing waits for the device.

    Args:
        slots: Slot of every row; negative for a row that belongs to no request.
        lengths: Tokens that every row sees: prompt, new tokens, and the guessed ones before it.
        prompts: How many of them are the prompt.
        guessed: How many of them are guessed and not yet accepted: 0, 1, 2, ... in the rows of one request, which follow one
            another.
        fed: (rows,) on the device, the newest token that each row sees.
        tokens: (slots, longest) on the device, the accepted tokens of every slot. What stands behind them is never read.
    """

    slots: Sequence[int]
    lengths: Sequence[int]
    prompts: Sequence[int]
    guessed: Sequence[int]
    fed: Tensor
    tokens: Tensor


class PolicySlots:
    """Which policy each slot has. Rows of slots without one are left alone, to the bit."""

    def __init__(self) -> None:
        self.policies: dict[int, PolicyLogitsWarper] = {}

    def put(self, slot: int, policy: PolicyLogitsWarper | None) -> bool:
        """Give `slot` this policy in place of what it had; None empties it. Returns whether it has one now."""
        self.policies.pop(slot, None)
        if policy is not None:
            self.policies[slot] = policy
        return policy is not None

    def any_in(self, slots: Sequence[int]) -> bool:
        """Whether any of these slots has a policy."""
        return bool(self.policies) and not self.policies.keys().isdisjoint(slots)

    def apply(self, logits: Tensor, rows: SlotRows) -> Tensor:
        """Every policy on its own rows of `logits` (rows, vocab), which may be changed in place."""
        for policy, places in self._groups(rows.slots):
            index = as_index(places, logits.device)
            scores = evaluate_slots(policy, places, rows, logits[index])
            if len(places) == len(logits):
                return scores
            logits[index] = scores
        return logits

    def _groups(self, slots: Sequence[int]) -> list[tuple[PolicyLogitsWarper, list[int]]]:
        """Every policy with the rows that it has, rising."""
        places: dict[int, tuple[PolicyLogitsWarper, list[int]]] = {}
        for row, slot in enumerate(slots):
            if (policy := self.policies.get(slot)) is not None:
                places.setdefault(id(policy), (policy, []))[1].append(row)
        return list(places.values())


def evaluate_slots(policy: PolicyLogitsWarper, places: Sequence[int], rows: SlotRows, scores: Tensor) -> Tensor:
    """`policy` on `scores`, those of the rows `places`, with the tokens that each sees on the right of `input_ids`.

    A policy that `supports_continuous_batching` gets the last token alone, as transformers gives it. In a prompt that the
    engine takes in by parts (its scores are thrown away) the step is 0.
    """
    if policy.supports_continuous_batching:
        return policy(rows.fed[as_index(places, scores.device)].long().view(-1, 1), scores)
    width = max(rows.lengths[row] for row in places)
    new = torch.tensor([max(rows.lengths[row] - rows.prompts[row], 0) for row in places])
    return policy.with_prompt_length(width - new)(seen_tokens(places, rows, width), scores)


def seen_tokens(places: Sequence[int], rows: SlotRows, width: int) -> Tensor:
    """What the rows `places` see, (places, width), `NO_TOKEN` on the left: accepted tokens, then the guessed ones."""
    device = rows.tokens.device
    slots = torch.tensor([rows.slots[row] for row in places]).to(device, non_blocking=True)
    lengths = torch.tensor([rows.lengths[row] for row in places]).to(device, non_blocking=True)
    columns = torch.arange(width, device=device) - (width - lengths)[:, None]
    table = rows.tokens[slots[:, None], columns.clamp(min=0)].long().masked_fill_(columns < 0, NO_TOKEN)
    for back in range(max(rows.guessed[row] for row in places)):
        behind = [place for place, row in enumerate(places) if rows.guessed[row] > back]
        newest = [places[place] - back for place in behind]
        table[as_index(behind, device), width - 1 - back] = rows.fed[as_index(newest, device)].long()
    return table
