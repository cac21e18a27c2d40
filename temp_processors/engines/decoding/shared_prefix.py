"""Attention over a prompt that many rows continue: its keys and values are read once for all of them.

At one token a step, attention takes as long as reading the keys and values does, and every row used to have its own copy
of the prompt's. Here a row keeps its new tokens alone: attention over the prompt is one product for all of its rows,
attention over the new tokens is each row's own, and the two are merged by their normalisers, which is exact. The idea
is that of Hydragen (Juravsky et al. 2024, arXiv 2402.05099). It plugs in as an attention function of transformers, on a view of
the model with a configuration of its own: the model itself stays as it is, for whoever else uses it at the same time.
"""

from __future__ import annotations

import copy
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any, NamedTuple

import torch
from torch import Tensor
from transformers.cache_utils import DynamicCache, DynamicLayer
from transformers.masking_utils import ALL_MASK_ATTENTION_FUNCTIONS
from transformers.modeling_utils import ALL_ATTENTION_FUNCTIONS

from temp_processors.engines.decoding.cache import PreallocatedLayer, share_out
from temp_processors.engines.decoding.prefill import Prefilled
from temp_processors.engines.decoding.remarks import remark
from temp_processors.engines.decoding.transformers_seam import (
    attend_by,
    attention_of,
    attention_with_normaliser,
    forward,
)
from temp_processors.engines.model_errors import MODEL_CODE_FAILURES

NAME = "shared_prefix"
WORTH_SHARING = 2048
"""Tokens of prompts that rows would hold as copies, from which on sharing saves more than a second product costs."""
FEWEST_ROWS = 8
"""Rows a prompt, on average, below which a product for each prompt costs more than it saves."""


class _Prompt(NamedTuple):
    """Keys and values of one prompt without its padding, (1, heads, length, size), and the rows that continue it."""

    keys: Tensor
    values: Tensor
    rows: Tensor


class SharedPrefixLayer(PreallocatedLayer):
    """Keys and values of one layer: those of the prompts once, and of every row its new tokens.

    Args:
        keys: (prompts, heads, width, size) of a prefilled layer, padded on the left; values alike.
        padding: (prompts,), how many places of each prompt are padding.
        index: (rows,), the prompt that each row continues.
        capacity: Most tokens of a row, prompt and padding included.
    """

    def __init__(self, keys: Tensor, values: Tensor, padding: Sequence[int], index: Tensor, capacity: int) -> None:
        width = keys.shape[-2]
        super().__init__(keys[:, :, :0], values[:, :, :0], index, capacity - width)
        self.width = width
        self._shared = [
            (keys[place : place + 1, :, empty:], values[place : place + 1, :, empty:])
            for place, empty in enumerate(padding)
        ]
        self._assign(index)

    def _assign(self, index: Tensor) -> None:
        """Note which rows continue which prompt."""
        self._index = index
        rows = [(index == place).nonzero().flatten() for place in range(len(self._shared))]
        self.prompts = [_Prompt(*pair, own) for pair, own in zip(self._shared, rows, strict=True) if len(own)]

    def get_seq_length(self) -> int:
        """Tokens of a row so far, prompt and padding included."""
        return self.width + int(self.keys.shape[-2])

    def get_mask_sizes(self, query_length: int) -> tuple[int, int]:
        """Keys that a query sees, and where they begin: the model asks as if every row held its prompt."""
        return self.get_seq_length() + query_length, 0

    def update(self, key_states: Tensor, value_states: Tensor, *args: Any, **kwargs: Any) -> tuple[Tensor, Tensor]:
        """Write the new tokens, and return all that are each row's own; the keys know this layer."""
        keys, values = super().update(key_states, value_states)
        keys.shared_prefix = self  # type: ignore[attr-defined]
        return keys, values

    def batch_select_indices(self, indices: Tensor) -> None:
        """Keep the rows at `indices` (ascending)."""
        super().batch_select_indices(indices)
        self._assign(self._index[indices])

    def copy_rows(self, sources: Tensor) -> None:
        """Row i becomes what row `sources[i]` was."""
        super().copy_rows(sources)
        self._assign(self._index[sources])

    def attend(self, query: Tensor, keys: Tensor, values: Tensor, scaling: float | None) -> Tensor:
        """Attention of one new token a row, (rows, heads, 1, size), over its prompt and its own tokens.

        Heads that share keys (grouped queries) count as further queries of the same head. -> (rows, 1, heads, size)
        """
        rows, heads, _, size = query.shape
        query = query.reshape(rows, keys.shape[1], -1, size)
        own, weight = _attention(query, keys, values, scaling)
        for prompt in self.prompts:
            alone = len(self.prompts) == 1
            part = query if alone else query[prompt.rows]
            count, kv_heads, group, _ = part.shape
            together = part.transpose(0, 1).reshape(1, kv_heads, count * group, size)
            shared, shared_weight = _attention(together, prompt.keys, prompt.values, scaling)
            shared = shared.view(kv_heads, count, group, size).transpose(0, 1)
            shared_weight = shared_weight.view(kv_heads, count, group).transpose(0, 1)
            mine, my_weight = (own, weight) if alone else (own[prompt.rows], weight[prompt.rows])
            share = torch.sigmoid(shared_weight - my_weight).unsqueeze(-1)
            merged = torch.lerp(mine, shared, share.to(mine.dtype))
            own = merged if alone else own.index_copy(0, prompt.rows, merged)
        return own.reshape(rows, 1, heads, size)


def _attention(query: Tensor, keys: Tensor, values: Tensor, scaling: float | None) -> tuple[Tensor, Tensor]:
    """Attention without a mask, and the logarithm of its normaliser."""
    attend = attention_with_normaliser()
    if attend is None:
        raise RuntimeError("prompts are shared, though `sharing_view` says that they cannot be")
    return attend(query, keys, values, scale=scaling)


def attention(
    module: Any, query: Tensor, key: Tensor, value: Tensor, attention_mask: Tensor | None, **kwargs: Any
) -> tuple[Tensor, Any]:
    """The attention function for transformers: shared where the keys come from a [`SharedPrefixLayer`], else sdpa."""
    layer = getattr(key, "shared_prefix", None)
    if layer is None:
        return ALL_ATTENTION_FUNCTIONS["sdpa"](module, query, key, value, attention_mask, **kwargs)  # type: ignore[no-any-return]
    return layer.attend(query, key, value, kwargs.get("scaling")), None


ALL_ATTENTION_FUNCTIONS.register(NAME, attention)
ALL_MASK_ATTENTION_FUNCTIONS.register(NAME, ALL_MASK_ATTENTION_FUNCTIONS["sdpa"])


def sharing_view(model: Any, start: Prefilled, index: Tensor) -> Any | None:
    """A view of `model` for rows that share their prompts: its weights, and this module's attention.

    None where sharing is not worth it for the rows of `index` (each the prompt that it continues), or the model does not
    give the same with it, which is tried on two rows and one token.
    """
    prompts, width = start.input_ids.shape
    copies = (len(index) - prompts) * width
    if copies < WORTH_SHARING or len(index) < FEWEST_ROWS * prompts or not _attends_plainly(model, start):
        return None
    try:
        view = view_of(model)
        reason = None if _gives_the_same(model, view, start) else "it does more to its attention than scale it"
    except MODEL_CODE_FAILURES as error:
        reason = f"{type(error).__name__}: {error}".splitlines()[0]
    if reason is None:
        return view
    remark(model, "sharing", f"every row keeps its own copy of its prompt's keys and values ({reason})")
    return None


def view_of(model: Any) -> Any:
    """A copy of the modules and the configuration of a model, over the same weights, that attends by this module's function.

    Keys that are not shared go to sdpa, as ever. What is done to the view's configuration, the model does not see, so any
    number of views and the model itself run at once.
    """
    tensors = [*model.parameters(), *model.buffers()]
    view = copy.deepcopy(model, {id(tensor): tensor for tensor in tensors})
    attend_by(view, NAME)
    return view


def _attends_plainly(model: Any, start: Prefilled) -> bool:
    """Whether the model is a decoder on the CPU with sdpa, none of whose layers drops keys (as a sliding window does)."""
    if model.config.is_encoder_decoder or attention_of(model) != "sdpa":
        return False
    cache = start.cache
    if type(cache) is not DynamicCache or start.input_ids.device.type != "cpu":
        return False
    return all(_keeps_all(layer) for layer in cache.layers) and attention_with_normaliser() is not None


def _keeps_all(layer: Any) -> bool:
    """Whether a layer holds every key on the CPU, or is one that the model does not use."""
    return type(layer) is DynamicLayer and (not layer.is_initialized or layer.keys.device.type == "cpu")


def _gives_the_same(model: Any, view: Any, start: Prefilled) -> bool:
    """Whether the next logits are the same with and without sharing; they differ where a model does more to its attention than scale it."""
    usual, shared = _next_logits(model, start, share_out), _next_logits(view, start, share_prefix)
    tolerance = 1e-3 if start.logits.dtype == torch.float32 else 5e-2
    return torch.allclose(usual, shared, rtol=tolerance, atol=tolerance)


def _next_logits(model: Any, start: Prefilled, share: Callable[..., dict[str, Any]]) -> Tensor:
    """The logits after the first prompt and its likeliest next token, on two rows; `start` is left as it is."""
    cache = copy.deepcopy(start.cache)
    begun = replace(start, model_kwargs={**start.model_kwargs, "past_key_values": cache})
    kwargs = share(begun, torch.zeros(2, dtype=torch.long), start.input_ids.shape[1] + 1)
    token = start.logits[:1].argmax(dim=-1, keepdim=True)
    ids = torch.cat([start.input_ids[:1], token], dim=-1).expand(2, -1)
    logits, _ = forward(model, ids, kwargs)
    return logits.float()


def share_prefix(start: Prefilled, index: Tensor, capacity: int) -> dict[str, Any]:
    """As `share_out`, with the prompts' keys and values kept once."""
    prompts, width = start.input_ids.shape
    mask = start.model_kwargs.get("attention_mask")  # None: nothing is padded
    padding = [0] * prompts if mask is None else (mask[:, :width] == 0).sum(dim=-1).tolist()
    for place, layer in enumerate(start.cache.layers):
        if layer.is_initialized:
            start.cache.layers[place] = SharedPrefixLayer(layer.keys, layer.values, padding, index, capacity)
    return share_out(start, index, capacity)
