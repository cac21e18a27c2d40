"""The model's past: buffers that rows fill, shared out to rows that continue a prompt, cut to rows that are left."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor
from transformers.cache_utils import (
    Cache,
    DynamicCache,
    DynamicLayer,
    DynamicSlidingWindowLayer,
    EncoderDecoderCache,
    LinearAttentionLayer,
)
from transformers.utils import ModelOutput

if TYPE_CHECKING:
    from temp_processors.engines.decoding.prefill import Prefilled


LAYERS = (DynamicLayer, DynamicSlidingWindowLayer, LinearAttentionLayer)
"""Layers of a cache whose rows `reorder_cache` repeats and drops."""


def why_not_batchable(cache: Any) -> str | None:
    """The name of the class whose rows can be neither repeated nor dropped; None where all of them can.

    By exact type: a subclass may keep more than keys and values (MiniMax's keeps the states of its linear layers beside
    them), and nothing here would know of it.
    """
    if type(cache) not in (DynamicCache, EncoderDecoderCache):
        return type(cache).__name__
    parts = _caches(cache)
    kinds = {type(part) for part in parts} - {DynamicCache}
    kinds |= {type(layer) for part in parts if type(part) is DynamicCache for layer in part.layers} - set(LAYERS)
    return min((kind.__name__ for kind in kinds), default=None)


class PreallocatedLayer(DynamicLayer):
    """Keys and values of one layer in buffers allocated once, at full length; the model sees the part that is filled.

    `DynamicLayer` concatenates at every step, which copies the whole past, and past 32 MiB also pays for fresh pages
    from the system each time. `StaticLayer` attends over the empty part too. This does neither.

    Args:
        keys: (prompts, heads, length, size) of a prefilled layer; values alike.
        index: (rows,), the prompt that each row continues.
        capacity: Length of the buffers, in tokens.
    """

    def __init__(self, keys: Tensor, values: Tensor, index: Tensor, capacity: int) -> None:
        super().__init__()
        self.dtype, self.device, self.is_initialized = keys.dtype, keys.device, True
        self._buffers = [_buffer(past, index, capacity) for past in (keys, values)]
        self._show(len(index), keys.shape[-2])

    def _show(self, rows: int, length: int) -> None:
        self.keys, self.values = (buffer[:rows, :, :length] for buffer in self._buffers)

    def update(self, key_states: Tensor, value_states: Tensor, *args: Any, **kwargs: Any) -> tuple[Tensor, Tensor]:
        """Write the new tokens behind the filled part, and return all of it."""
        rows, _, length, _ = self.keys.shape
        end = length + key_states.shape[-2]
        for buffer, new in zip(self._buffers, (key_states, value_states), strict=True):
            buffer[:rows, :, length:end] = new
        self._show(rows, end)
        return self.keys, self.values

    def batch_select_indices(self, indices: Tensor) -> None:
        """Keep the rows at `indices` (ascending), moved to the front of the same buffers."""
        length = self.keys.shape[-2]
        for buffer in self._buffers:
            part = buffer[:, :, :length]
            if buffer.device.type == "cpu":
                _move_up(part, indices.tolist())
            else:
                part[: len(indices)] = part[indices]
        self._show(len(indices), length)

    def copy_rows(self, sources: Tensor) -> None:
        """Row i becomes what row `sources[i]` was, in any order and any number of times; only rows that change are copied.

        There may be more rows than before, up to as many as the layer began with.
        """
        length = self.keys.shape[-2]
        changed = (sources != torch.arange(len(sources), device=sources.device)).nonzero().flatten()
        for buffer in self._buffers if len(changed) else ():
            part = buffer[:, :, :length]
            part[changed] = part[sources[changed]]
        self._show(len(sources), length)


def _buffer(past: Tensor, index: Tensor, capacity: int) -> Tensor:
    _, heads, length, size = past.shape
    buffer = past.new_empty(len(index), heads, capacity, size)
    buffer[:, :, :length] = past[index]
    return buffer


def _move_up(rows: Tensor, indices: list[int]) -> None:
    """rows[i] = rows[indices[i]] without a second tensor: ascending indices never overwrite what is still needed."""
    for target, source in enumerate(indices):
        if target != source:
            rows[target].copy_(rows[source])


def share_out(prefilled: Prefilled, index: Tensor, capacity: int) -> dict[str, Any]:
    """The `model_kwargs` of `prefilled`, one row for every entry of `index`; caches grow up to `capacity` tokens."""
    kwargs = select_rows(prefilled.model_kwargs, index, prefilled.input_ids.shape[0])
    for cache in _caches(prefilled.cache):
        grows = cache is _caches(prefilled.cache)[0]
        for position, layer in enumerate(cache.layers):
            if isinstance(layer, PreallocatedLayer):
                continue  # its rows are those of `index` already
            if grows and type(layer) is DynamicLayer and layer.is_initialized:
                cache.layers[position] = PreallocatedLayer(layer.keys, layer.values, index, capacity)
            else:
                layer.reorder_cache(index)
    return kwargs


def keep_rows(kwargs: dict[str, Any], indices: Tensor, rows: int) -> dict[str, Any]:
    """`model_kwargs` of the rows at `indices` (ascending) out of `rows`; the cache inside is cut in place."""
    for cache in _caches(kwargs["past_key_values"]):
        for layer in cache.layers:
            if isinstance(layer, PreallocatedLayer):
                layer.batch_select_indices(indices)
            else:
                layer.reorder_cache(indices)
    return select_rows(kwargs, indices, rows)


def copy_rows(kwargs: dict[str, Any], sources: Tensor, rows: int) -> dict[str, Any]:
    """`model_kwargs` whose row i is row `sources[i]` of `rows`: rows may repeat, move and go; the cache changes in place."""
    for cache in _caches(kwargs["past_key_values"]):
        for layer in cache.layers:
            if isinstance(layer, PreallocatedLayer):
                layer.copy_rows(sources)
            else:
                layer.reorder_cache(sources)
    return select_rows(kwargs, sources, rows)


def _caches(cache: Any) -> list[Cache]:
    """The cache that grows first; for encoder-decoder models the one over the encoder's output second."""
    if isinstance(cache, EncoderDecoderCache):
        return [cache.self_attention_cache, cache.cross_attention_cache]
    return [cache]


def select_rows(kwargs: dict[str, Any], index: Tensor, rows: int) -> dict[str, Any]:
    """Rows of every tensor that has `rows` of them, also inside encoder outputs; anything else is passed on.

    Positions of several axes, (axes, rows, length) as vision-language models have them, hold their rows second.
    """
    return {name: _select(name, value, index, rows) for name, value in kwargs.items()}


def _select(name: str, value: Any, index: Tensor, rows: int) -> Any:
    if isinstance(value, Tensor) and value.ndim > 0:
        axis = 1 if name == "position_ids" and value.ndim == 3 else 0
        return value.index_select(axis, index.to(value.device)) if value.shape[axis] == rows else value
    if isinstance(value, ModelOutput):
        return type(value)(**{part: _select(part, inner, index, rows) for part, inner in value.items()})
    return value
