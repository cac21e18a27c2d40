"""One seed for a call, and from it one for every row: by the row's prompt, so that the batch around it does not count."""

from __future__ import annotations

import hashlib
from collections import Counter

import torch
from torch import Tensor

from temp_processors.policies.checks import FINITE, check_whole


def row_seeds(
    seed: int,
    prompts: Tensor | None,
    attention_mask: Tensor | None = None,
    *,
    repeats: int = 1,
    pad_token_id: int | None = None,
    seen: Counter[bytes] | None = None,
) -> list[int]:
    """The seeds of the rows of a call of `generate`: each a hash of `seed`, the row's prompt without padding, and how often it came before.

    The text of a prompt is the same alone, in any batch, at any place in it and behind any padding; rows of one prompt (repeated in the
    batch, or by `num_return_sequences`) have different seeds, the first, the second... in order.

    Args:
        seed: A whole number.
        prompts: Token ids (batch, length), or embeddings or features with a batch in front; None for a call without input.
        attention_mask: 0 at padding, (batch, length).
        repeats: `num_return_sequences`.
        pad_token_id: What padding is where there is no `attention_mask`.
        seen: How often each prompt came in earlier calls, for rows of one prompt in several batches; it is counted up.

    Returns:
        `batch * repeats` whole numbers of 53 bits, in the order of the rows that `generate` draws.

    Example:
        >>> both = row_seeds(7, torch.tensor([[0, 5], [6, 5]]), torch.tensor([[0, 1], [1, 1]]))
        >>> both == [*row_seeds(7, torch.tensor([[5]])), *row_seeds(7, torch.tensor([[6, 5]]))]
        True
        >>> twice = row_seeds(7, torch.tensor([[5], [5]]))
        >>> twice == row_seeds(7, torch.tensor([[5]]), repeats=2), twice[0] == twice[1]
        (True, False)
    """
    check_whole("seeds", seed, FINITE)
    counted = Counter[bytes]() if seen is None else seen
    found = []
    for prompt in _contents(prompts, attention_mask, pad_token_id):
        for _ in range(repeats):
            identity = f"{seed}/{counted[prompt]}/".encode() + prompt
            found.append(int.from_bytes(hashlib.blake2b(identity, digest_size=8).digest(), "big") >> 11)
            counted[prompt] += 1
    return found


def _contents(prompts: Tensor | None, mask: Tensor | None, pad: int | None) -> list[bytes]:
    """What each row holds, without padding."""
    if prompts is None:
        return [b""]
    rows = prompts.double() if prompts.is_floating_point() else prompts.long()
    if mask is None and not prompts.is_floating_point() and pad is not None:
        mask = prompts != pad
    if mask is None or mask.shape != rows.shape[:2]:
        mask = torch.ones(rows.shape[:2], dtype=torch.bool)
    return [row[kept].numpy().tobytes() for row, kept in zip(rows.cpu(), mask.bool().cpu(), strict=True)]
