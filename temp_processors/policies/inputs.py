"""What a policy may be called with: scores of logits in two or three dimensions, and the tokens before them."""

from __future__ import annotations

from typing import TypeGuard

import torch
from torch import Tensor

from temp_processors.policies.distribution import no_tensor

SCORE_TYPES = frozenset((torch.float32, torch.bfloat16, torch.float16, torch.float64))
"""Of the scores that a policy takes."""
TOKEN_TYPES = frozenset((torch.int64, torch.int32))
"""Of the tokens that a policy may look at."""


def are_scores(scores: object) -> TypeGuard[Tensor]:
    """Whether a policy can compute with these scores; not so where there are none, which [`check_scores`] tells apart.

    It looks at three attributes and at no value: 0.2 us a call, and no synchronisation of a device.
    """
    try:
        return scores.dtype in SCORE_TYPES and 1 < scores.ndim < 4 and scores.numel() > 0  # type: ignore[attr-defined]
    except AttributeError:
        return False


def check_scores(scores: object) -> None:
    """Raise where a policy cannot compute with `scores`; a batch without rows is fine.

    Raises:
        TypeError: They are no tensor, or not of floating-point numbers.
        ValueError: They have no rows and columns, or no token to choose from.

    Example:
        >>> check_scores(torch.zeros(0, 8)), check_scores(torch.zeros(1, 3, 8))
        (None, None)
        >>> check_scores(torch.zeros(8))
        Traceback (most recent call last):
            ...
        ValueError: scores have to be (batch, vocab) or (batch, steps, vocab), but are of shape (8,): write scores[None] for one row
    """
    if not isinstance(scores, Tensor):
        raise no_tensor(scores)
    if scores.dtype not in SCORE_TYPES:
        raise TypeError(f"scores have to be float32, bfloat16, float16 or float64, but are {scores.dtype}")
    shape = tuple(scores.shape)
    if len(shape) not in (2, 3):
        hint = ": write scores[None] for one row" if len(shape) == 1 else ""
        raise ValueError(
            f"scores have to be (batch, vocab) or (batch, steps, vocab), but are of shape {shape or '()'}{hint}"
        )
    if shape[-1] == 0:
        raise ValueError(f"scores have to hold at least one token, but are of shape {shape}")


def check_failed(input_ids: Tensor, scores: Tensor) -> None:
    """Raise where a call that failed had to fail for its arguments: what most calls never look at is asked about afterwards only.

    Raises:
        TypeError: The tokens are no tensor, or not of whole numbers.
        ValueError: They have no rows and columns, or lie on another device than the scores; the scores are sparse.
    """
    check_tokens(input_ids)
    if input_ids.device != scores.device:
        raise ValueError(f"`input_ids` is on {input_ids.device}, but scores are on {scores.device}: move one of them")
    if scores.layout != torch.strided:
        raise ValueError(f"scores have to be dense, but are {scores.layout}: write scores.to_dense()")


def check_tokens(input_ids: object) -> None:
    """Raise where these are no tokens of a batch.

    Raises:
        TypeError: They are no tensor, or not of whole numbers.
        ValueError: They have no rows and columns.
    """
    if not isinstance(input_ids, Tensor):
        name = type(input_ids).__name__
        raise TypeError(f"`input_ids` has to be a tensor, but is of type {name}: write torch.as_tensor(input_ids)")
    if input_ids.dtype not in TOKEN_TYPES:
        raise TypeError(f"`input_ids` has to be of whole numbers (torch.long), but is {input_ids.dtype}")
    if input_ids.ndim != 2:
        raise ValueError(f"`input_ids` has to be (batch, length), but is of shape {tuple(input_ids.shape)}")
