"""Whether a model gives a row of a batch what it gives the row alone: tried once for every model, with its own prompts.

Some do not. XLM counts padding as words, so that a shorter prompt beside a longer one is read at other positions. The
recurrent state of RWKV is mixed up between the rows of a batch. Both give right texts where that is avoided.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any
from weakref import WeakKeyDictionary

import torch
from torch import Tensor

from temp_processors.engines.decoding.prefill import Prefilled, draw_kwargs, prefill
from temp_processors.engines.decoding.remarks import remark

TOLERANCE = {torch.float32: 0.01, torch.float64: 0.01}
HALF = 0.1
"""Largest probability that rounding may move between tokens, in float32 and in the 16-bit types."""

_pads: WeakKeyDictionary[Any, bool] = WeakKeyDictionary()
_batches: WeakKeyDictionary[Any, bool] = WeakKeyDictionary()


class CountsPaddingError(TypeError):
    """The model gives a padded prompt other predictions than the prompt alone."""


def refuse_padding(model: Any, start: Prefilled, prompts: Sequence[Sequence[int]], pad_token_id: int) -> None:
    """Compare the most padded prompt of a batch with that prompt alone.

    Args:
        model: What prefilled them.
        start: The prompts, prefilled together.
        prompts: Their token ids, in the same order.
        pad_token_id: What they were padded with.

    Raises:
        CountsPaddingError: They differ; prompts of one length go together then.
    """
    lengths = [len(prompt) for prompt in prompts]
    if min(lengths) == max(lengths):
        return

    def same() -> bool:
        shortest = lengths.index(min(lengths))
        alone = prefill(model, [prompts[shortest]], max_new_tokens=1, pad_token_id=pad_token_id)
        return _agree(start.logits[shortest], alone.logits[0])

    if not _once(_pads, model, same):
        remark(model, "padding", "a padded prompt is read otherwise, so that only prompts of one length share a batch")
        raise CountsPaddingError(type(model).__name__)


def rows_together(model: Any, prompt: Tensor, pad_token_id: int) -> bool:
    """Whether two rows of `prompt` (length,) through `generate` predict at the second token what one row does."""

    def same() -> bool:
        one, two = (_second(model, prompt.expand(rows, -1), pad_token_id) for rows in (1, 2))
        return _agree(two[0], one[0])

    together = _once(_batches, model, same)
    if not together:
        remark(model, "rows", "a row beside others is read otherwise, so that each goes through generate() alone")
    return together


def _second(model: Any, prompts: Tensor, pad_token_id: int) -> Tensor:
    """The logits of the second new token of greedy texts, (rows, vocab)."""
    output = model.generate(
        prompts,
        attention_mask=torch.ones_like(prompts),
        **draw_kwargs(),
        max_new_tokens=2,
        eos_token_id=[-1],
        pad_token_id=pad_token_id,
        return_dict_in_generate=True,
        output_logits=True,
    )
    logits: Tensor = output.logits[-1]
    return logits


def _once(known: WeakKeyDictionary[Any, bool], model: Any, ask: Callable[[], bool]) -> bool:
    if model not in known:
        known[model] = ask()
    return known[model]


def _agree(together: Tensor, alone: Tensor) -> bool:
    """Whether two predictions (vocab,) differ by no more than rounding; a model that gives NaN alone is not asked."""
    moved = (together.float().softmax(dim=-1) - alone.float().softmax(dim=-1)).abs().sum().item() / 2
    return bool(alone.isnan().any()) or moved <= TOLERANCE.get(alone.dtype, HALF)
