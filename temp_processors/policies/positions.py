"""Where each row stands: how many tokens came before a prediction, and which of them were last.

2-D scores (batch, vocab) predict one token after `input_ids`. In 3-D scores (batch, steps, vocab), `scores[:, s]`
predicts the token after the prefix `input_ids[:, : length - steps + 1 + s]`.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor

from temp_processors.policies.distribution import without_sync, working_dtype
from temp_processors.policies.few import Few


def prefix_lengths(input_ids: Tensor, scores: Tensor) -> Tensor:
    """Tokens before each prediction: shape (1, 1) for 2-D scores, (1, steps, 1) for 3-D ones."""
    length = input_ids.shape[-1]
    if scores.ndim == 2:
        return torch.full((1, 1), length, dtype=torch.long, device=scores.device)
    first = length - scores.shape[1] + 1
    if first < 0:
        raise ValueError(f"`scores` predicts {scores.shape[1]} steps, but `input_ids` has only {length} tokens")
    return torch.arange(first, length + 1, device=scores.device).view(1, -1, 1)


def per_row(values: Tensor, name: str, scores: Tensor) -> Tensor:
    """A tensor (batch,) on the device of `scores`, shaped to broadcast against them: (batch, 1) or (batch, 1, 1)."""
    if values.shape[0] != scores.shape[0]:
        raise ValueError(
            f"`{name}` has {values.shape[0]} values, but the batch has {scores.shape[0]} rows: give one per row "
            "(num_beams and num_return_sequences multiply the rows)"
        )
    return values.to(scores.device, non_blocking=True).view(-1, *[1] * (scores.ndim - 1))


NO_TOKEN = -1
"""The id that stands for padding where a batch is laid out for policies: no tag, newline or sentence end is spelled with it."""


def steps_after(input_ids: Tensor, scores: Tensor, prompt_length: int | Tensor, longest: int) -> Tensor:
    """Prefix lengths minus `prompt_length`, never below 0 (inside the prompt).

    Args:
        input_ids: (batch, length).
        scores: (batch, vocab) or (batch, steps, vocab).
        prompt_length: One for all rows, or (batch,).
        longest: The largest of them, known since they were given: looking at a tensor on a device would synchronise it.

    Raises:
        ValueError: `input_ids` ends before the longest prompt does, as with `inputs_embeds`, where the prompt has no ids.
    """
    _check_prompt(input_ids, longest)
    lengths = prefix_lengths(input_ids, scores)
    if isinstance(prompt_length, Tensor):
        return (lengths - per_row(prompt_length, "prompt_length", scores)).clamp(min=0)
    return (lengths - prompt_length).clamp(min=0)


def few_steps_after(input_ids: Tensor, scores: Tensor, prompt_length: int | Tensor, longest: int) -> Few:
    """[`steps_after`] for formulas on few numbers: float64 in an array, or a tensor in the working dtype."""
    if without_sync(scores) or scores.ndim > 2:
        return steps_after(input_ids, scores, prompt_length, longest).to(working_dtype(scores))
    _check_prompt(input_ids, longest)
    length = input_ids.shape[-1]
    if isinstance(prompt_length, Tensor):
        return np.maximum(length - per_row(prompt_length, "prompt_length", scores).numpy(), 0.0)
    return np.array([[float(max(length - prompt_length, 0))]])


def _check_prompt(input_ids: Tensor, longest: int) -> None:
    if longest > input_ids.shape[-1]:
        raise ValueError(f"`prompt_length` is {longest}, but `input_ids` has only {input_ids.shape[-1]} tokens")


def at_the_end(input_ids: Tensor, scores: Tensor) -> Few:
    """The tokens as an array where only the end of each text is asked for, and looking at them costs nothing; else as they are."""
    return input_ids if scores.ndim > 2 or without_sync(input_ids) else input_ids.numpy()


def is_one_of(input_ids: Few, ids: Sequence[int]) -> Few:
    """Where `input_ids`, a tensor or an array, holds one of a handful of `ids`; booleans of the same kind and shape."""
    if not ids:
        return input_ids != input_ids
    hit = input_ids == ids[0]
    for token in ids[1:]:
        hit = hit | (input_ids == token)
    return hit


def ends_tag(input_ids: Few, tag: Sequence[int]) -> Few:
    """Where the last token of the sequence `tag` stands in `input_ids`, a tensor or an array; booleans of the same kind and shape."""
    hit, width = input_ids == tag[-1], input_ids.shape[-1]
    for back, token in enumerate(reversed(tag[:-1]), 1):
        hit[:, back:] &= input_ids[:, : max(width - back, 0)] == token
        hit[:, :back] = False
    return hit


def last_place(hit: Tensor) -> Tensor:
    """For each prefix of length 0, 1, ..., length: where its last hit is, counted from 1; 0 for none.

    (batch, length) -> (batch, length + 1).
    """
    places = torch.arange(1, hit.shape[-1] + 1, device=hit.device)
    none = torch.zeros(hit.shape[0], 1, dtype=torch.long, device=hit.device)
    return torch.cat([none, torch.where(hit, places, 0)], dim=-1).cummax(dim=-1).values


def last_before(hit: Few, input_ids: Tensor, scores: Tensor) -> Few:
    """Where the last hit before each prediction is, counted from 1, 0 for none: (batch, 1), or (batch, steps, 1) in 3-D.

    An array for the array of [`at_the_end`].
    """
    if isinstance(hit, Tensor):
        return at_prefixes(last_place(hit), prefix_lengths(input_ids, scores))
    if hit.shape[-1] == 0:
        return np.zeros((len(hit), 1), dtype=np.int64)
    back = hit[:, ::-1].argmax(axis=-1)  # the first of the last ones; 0 for none, too
    return np.where(hit.any(axis=-1), hit.shape[-1] - back, 0)[:, None]


def at_prefixes(values: Tensor, lengths: Tensor) -> Tensor:
    """Values per prefix (batch, length + 1) at `prefix_lengths`: (batch, 1), or (batch, steps, 1) in 3-D."""
    return values[:, lengths.flatten()].view(-1, *lengths.shape[1:])


def steps_since(input_ids: Tensor, scores: Tensor, prompt_length: int | Tensor, ids: Sequence[int]) -> Tensor:
    """New tokens since the last new token in `ids` (or since the prompt): (batch, 1), or (batch, steps, 1) in 3-D."""
    found = few_steps_since(input_ids, scores, prompt_length, ids)
    return found if isinstance(found, Tensor) else torch.from_numpy(found)


def few_steps_since(input_ids: Tensor, scores: Tensor, prompt_length: int | Tensor, ids: Sequence[int]) -> Few:
    """[`steps_since`] for formulas on few numbers: whole numbers in an array, where that is quicker, else in a tensor."""
    tokens = at_the_end(input_ids, scores)
    last = last_before(is_one_of(tokens, ids), input_ids, scores)
    if isinstance(last, Tensor):
        begin = _begin(input_ids, prompt_length).view(-1, *[1] * (scores.ndim - 1))
        return (prefix_lengths(input_ids, scores) - torch.maximum(last, begin)).clamp(min=0)
    prompts = _begin(input_ids, prompt_length).numpy() if isinstance(prompt_length, Tensor) else prompt_length
    return np.maximum(input_ids.shape[-1] - np.maximum(last, prompts), 0)


def _begin(input_ids: Tensor, prompt_length: int | Tensor) -> Tensor:
    """Where the new tokens of each row begin, (batch, 1)."""
    if isinstance(prompt_length, Tensor):
        return per_row(prompt_length, "prompt_length", input_ids)
    return torch.full((input_ids.shape[0], 1), prompt_length, device=input_ids.device)
