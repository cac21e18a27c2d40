"""Which tokens of a batch the policy drew, and where the turn of each began."""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

import torch
from torch import Tensor


class Turns(NamedTuple):
    """One entry per token that is predicted, (batch, steps)."""

    drawn: Tensor  # whether the policy drew it
    number: Tensor  # of its turn in the row, from 0 (for what was drawn before the first turn seen) or 1
    start: Tensor  # how many tokens stand before its turn: the prompt length of the call that drew it


def find_turns(drawn: Tensor, prompt_length: int | Tensor, first: int) -> Turns:
    """The turns of every row: unbroken runs of drawn tokens.

    Args:
        drawn: Boolean (batch, steps), for the tokens in columns `first`, `first` + 1, ...
        prompt_length: Of the first turn, one or (batch,); it may lie before `first`.
        first: Column of the first of them.
    """
    columns = torch.arange(first, first + drawn.shape[1], device=drawn.device).expand(drawn.shape)
    before = torch.nn.functional.pad(drawn, (1, 0))[:, :-1]
    begins = drawn & ~before
    start = torch.where(begins, columns, 0)
    prompt = torch.as_tensor(prompt_length, device=drawn.device).expand(drawn.shape[0])
    start[:, 0] = torch.where(begins[:, 0], torch.minimum(start[:, 0], prompt), 0)
    return Turns(drawn, begins.long().cumsum(dim=1), start.cummax(dim=1).values)


def turns_within(turns: Turns, begin: int, end: int) -> Iterator[tuple[Tensor, Tensor]]:
    """For each turn that steps `begin` to `end` meet: the prompt length of every row, (batch,); where it counts, (batch, n)."""
    number, start = turns.number[:, begin:end], turns.start[:, begin:end]
    rank = number - number[:, :1]
    for turn in range(int(rank.amax()) + 1):
        here = rank == turn
        yield torch.where(here, start, 0).amax(dim=1), here
