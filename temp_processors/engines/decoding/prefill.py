"""Prompts through the model once, and their cache shared out to the rows that continue them.

Built on `generate`'s own extension point: a `custom_generate` callable receives the inputs as `generate` prepares
them for this model (encoder outputs, decoder start tokens, positions, cache), so whatever `generate` runs works here.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from torch import Tensor
from transformers.cache_utils import Cache, DynamicCache, DynamicLayer, EncoderDecoderCache
from transformers.utils import ModelOutput

from temp_processors.audit.neutral import SAMPLING_FIELDS, off_values
from temp_processors.engines.decoding.batches import rectangle


class NoBatchableCacheError(TypeError):
    """The model keeps its past in something whose rows can be neither repeated nor dropped."""


def draw_kwargs() -> dict[str, Any]:
    """Arguments for `generate` under which the listed processors act alone and the last of them draws.

    `do_sample=False` skips temperature and truncation, so only what acts without sampling has to be switched off.
    """
    off = {name: value for name, value in off_values().items() if not SAMPLING_FIELDS[name].only_sampling}
    return {"do_sample": False, "num_beams": 1, **off}


@dataclass
class Prefilled:
    """Prompts after one forward pass.

    Attributes:
        input_ids: (prompts, width), padded; for encoder-decoder models the decoder's start tokens.
        logits: (prompts, vocab), the prediction after each prompt, as the model gives it.
        processors: The processors that `generate` itself would apply before the caller's.
        model_kwargs: What the next forward pass needs, cache included, as `generate` keeps it.
    """

    input_ids: Tensor
    logits: Tensor
    processors: Any
    model_kwargs: dict[str, Any]

    @property
    def cache(self) -> Any:
        """The model's past."""
        return self.model_kwargs.get("past_key_values")


def prefill(model: Any, prompts: Sequence[Sequence[int]], *, max_new_tokens: int, pad_token_id: int) -> Prefilled:
    """Run every prompt once.

    Raises:
        NoBatchableCacheError: The model's cache cannot be shared out (state-space models, models without a cache).
    """
    if getattr(model, "_is_stateful", False):
        raise NoBatchableCacheError(f"{type(model).__name__} keeps a recurrent state")
    ids, mask = rectangle(prompts, pad_token_id, "right" if model.config.is_encoder_decoder else "left")
    found: Prefilled = model.generate(
        ids.to(model.device),
        attention_mask=mask.to(model.device),
        **draw_kwargs(),
        use_cache=True,
        max_new_tokens=max_new_tokens,
        pad_token_id=pad_token_id,
        custom_generate=_prefill,
    )
    if not isinstance(found.cache, (DynamicCache, EncoderDecoderCache)):
        raise NoBatchableCacheError(f"{type(model).__name__} keeps its past in {type(found.cache).__name__}")
    return found


def _prefill(
    model: Any, input_ids: Tensor, logits_processor: Any, stopping_criteria: Any, generation_config: Any, **kwargs: Any
) -> Prefilled:
    """A decoding method, as `generate` calls it, that stops after the first forward pass."""
    inputs = model.prepare_inputs_for_generation(input_ids, is_first_iteration=True, **kwargs)
    outputs = model(**inputs, return_dict=True)
    encoder_decoder = model.config.is_encoder_decoder
    kwargs = model._update_model_kwargs_for_generation(outputs, kwargs, is_encoder_decoder=encoder_decoder)
    return Prefilled(input_ids, outputs.logits[:, -1], logits_processor, kwargs)


class PreallocatedLayer(DynamicLayer):
    """Keys and values of one layer in buffers as long as they will ever be; the model sees the part that is filled.

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


def _caches(cache: Any) -> list[Cache]:
    """The cache that grows first; for encoder-decoder models the one over the encoder's output second."""
    if isinstance(cache, EncoderDecoderCache):
        return [cache.self_attention_cache, cache.cross_attention_cache]
    return [cache]


def select_rows(kwargs: dict[str, Any], index: Tensor, rows: int) -> dict[str, Any]:
    """Rows of every tensor that has `rows` of them, also inside encoder outputs; anything else is passed on."""
    return {name: _select(value, index, rows) for name, value in kwargs.items()}


def _select(value: Any, index: Tensor, rows: int) -> Any:
    if isinstance(value, Tensor) and value.ndim > 0 and value.shape[0] == rows:
        return value.index_select(0, index.to(value.device))
    if isinstance(value, ModelOutput):
        return type(value)(**{name: _select(part, index, rows) for name, part in value.items()})
    return value
