"""Which rows are decoded together, and how their prompts become one rectangle of tokens."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

import torch
from torch import Tensor

SLACK = 16  # prompt tokens by which the longest prompt of a batch may exceed twice its shortest


WHOLE = 256
"""Rows of a batch whose rows are not replaced as they end, where nobody says how many."""


def plan_batches(prompt_lengths: Sequence[int], size: int | None) -> list[list[int]]:
    """Positions of the rows of every batch: at most `size` rows (`WHOLE` for None), prompts of similar length together.

    The plan depends on its arguments alone. A batch is the unit of computation: a row's neighbours move the last
    bits of its logits, so a run that is taken up again computes whole batches of the same plan and gets the same bits.

    Example:

    ```python
    >>> from temp_processors.engines.decoding.batches import plan_batches
    >>> plan_batches([5, 80, 5, 5, 80], size=2)
    [[0, 2], [3], [1, 4]]

    ```
    """
    size = size or WHOLE
    batches: list[list[int]] = []
    for row in sorted(range(len(prompt_lengths)), key=lambda row: prompt_lengths[row]):
        batch = batches[-1] if batches else []
        full = not batch or len(batch) == size
        if full or prompt_lengths[row] > 2 * prompt_lengths[batch[0]] + SLACK:
            batches.append([row])
        else:
            batch.append(row)
    return batches


def rectangle(
    prompts: Sequence[Sequence[int]], pad_token_id: int, side: Literal["left", "right"]
) -> tuple[Tensor, Tensor]:
    """Token ids and attention mask, both (prompts, longest): shorter prompts are padded at `side`."""
    width = max(map(len, prompts))
    ids = torch.full((len(prompts), width), pad_token_id, dtype=torch.long)
    mask = torch.zeros_like(ids)
    for row, prompt in enumerate(prompts):
        where = slice(width - len(prompt), None) if side == "left" else slice(0, len(prompt))
        ids[row, where] = torch.tensor(prompt, dtype=torch.long)
        mask[row, where] = 1
    return ids, mask
