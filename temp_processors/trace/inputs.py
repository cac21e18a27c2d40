"""What finished texts and a policy are handed as: checked by types and shapes, before a model runs over them."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from torch import Tensor

from temp_processors.policies.base import PolicyLogitsWarper
from temp_processors.policies.checks import check_prompt_length
from temp_processors.policies.inputs import check_tokens

Head = Callable[[Tensor], Tensor]


def check_texts(
    input_ids: Tensor,
    policy: PolicyLogitsWarper | Tensor,
    prompt_length: int | Tensor,
    attention_mask: Tensor | None,
) -> None:
    """Raise where an argument of `policy_log_probs` is not what it is called.

    Raises:
        TypeError: One is of another type.
        ValueError: One has another shape, or the prompt length is no whole number >= 0.

    Example:
        >>> import torch
        >>> check_texts(torch.zeros(1, 4, dtype=torch.long), "fixed", 2, None)
        Traceback (most recent call last):
            ...
        TypeError: `policy` has to be a policy, such as FixedTemperatureLogitsWarper(0.7), or a tensor of temperatures, but is of type str
    """
    check_tokens(input_ids)
    if not isinstance(policy, (PolicyLogitsWarper, Tensor)):
        example = "FixedTemperatureLogitsWarper(0.7)"
        raise TypeError(
            f"`policy` has to be a policy, such as {example}, or a tensor of temperatures, but is of type {type(policy).__name__}"
        )
    check_prompt_length(prompt_length)
    if attention_mask is not None:
        check_tensor("attention_mask", attention_mask)
        rows, length = input_ids.shape
        widths = sorted({*prompt_ends(prompt_length), length})
        check_shape("attention_mask", attention_mask, [(rows, width) for width in widths])


def check_hidden(hidden: Tensor, head: Tensor | Head) -> None:
    """Raise where these are no hidden states and no head that goes with them.

    Raises:
        TypeError: One is of another type.
        ValueError: One has another shape.
    """
    check_tensor("hidden", hidden)
    if hidden.ndim != 3:
        raise ValueError(f"`hidden` has to be (batch, steps, hidden), but is of shape {tuple(hidden.shape)}")
    if not isinstance(head, Tensor):
        if not callable(head):
            raise TypeError(f"`head` has to be a tensor or a function, but is of type {type(head).__name__}")
    elif head.ndim != 2 or head.shape[1] != hidden.shape[2]:
        raise ValueError(f"`head` has to be (vocab, {hidden.shape[2]}), but is of shape {tuple(head.shape)}")


def check_tensor(name: str, value: object) -> None:
    """Raise TypeError where a value is no tensor."""
    if not isinstance(value, Tensor):
        raise TypeError(f"`{name}` has to be a tensor, but is of type {type(value).__name__}")


def check_shape(name: str, value: Tensor, allowed: Sequence[tuple[int, ...]]) -> None:
    """Raise ValueError where a tensor has none of the shapes that it may have."""
    if tuple(value.shape) not in allowed:
        raise ValueError(f"`{name}` has to have shape {' or '.join(map(str, allowed))}, but has {tuple(value.shape)}")


def prompt_ends(prompt_length: int | Tensor) -> tuple[int, int]:
    """The least and the largest of the prompt lengths."""
    if isinstance(prompt_length, Tensor):
        return int(prompt_length.amin()), int(prompt_length.amax())
    return prompt_length, prompt_length
