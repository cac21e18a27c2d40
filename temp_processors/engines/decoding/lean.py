"""A model as its decoding step needs it: linear layers laid out once, attention over places that rows take and leave.

It plugs in as an attention function of transformers, on a view of the model with a configuration of its own (see
shared_prefix.py), so every decoder that attends by sdpa can have one. Whether a model gives the same with it is tried once, on
prompts of two lengths.
"""

from __future__ import annotations

import copy
import inspect
from collections.abc import Iterator
from typing import Any

import psutil
import torch
from torch import Tensor, nn
from transformers.cache_utils import DynamicCache, DynamicLayer
from transformers.masking_utils import ALL_MASK_ATTENTION_FUNCTIONS
from transformers.modeling_utils import ALL_ATTENTION_FUNCTIONS
from transformers.pytorch_utils import Conv1D

from temp_processors.engines.decoding.packed import prefill_rows
from temp_processors.engines.decoding.prefill import NoBatchableCacheError, prefill
from temp_processors.engines.decoding.remarks import remark
from temp_processors.engines.decoding.shared_prefix import view_of
from temp_processors.engines.decoding.slots import EXACT, Past
from temp_processors.engines.decoding.transformers_seam import (
    attend_by,
    attention_of,
    attention_with_normaliser,
    forward,
    packable_types,
    packed_linear,
)
from temp_processors.engines.model_errors import MODEL_CODE_FAILURES, first_line

NAME = "slots"
SPARE = 2.0
"""Weights are packed where this many times their copy fits into the memory that is free."""
TRIED = ((5, 6, 7), (7, 5, 6, 5, 7, 6, 8))
"""Prompts on which a view is compared with its model."""
TOLERANCE, HALF = 1e-3, 5e-2
"""Largest difference of logits, relative and absolute, in float32 and float64, and in the 16-bit types."""


def attention(
    module: Any, query: Tensor, key: Tensor, value: Tensor, attention_mask: Tensor | None, **kwargs: Any
) -> tuple[Tensor, Any]:
    """The attention function for transformers: of the layer that the keys come from, over places or packed prompts, else sdpa."""
    layer = getattr(key, "slot_layer", None)
    if layer is None:
        return ALL_ATTENTION_FUNCTIONS["sdpa"](module, query, key, value, attention_mask, **kwargs)  # type: ignore[no-any-return]
    return layer.attend(module, query, **kwargs), None


def _mask(*args: Any, q_length: int, **kwargs: Any) -> Tensor | None:
    """The mask for transformers: none for one token a row, whose layer knows how much of each place is filled."""
    if q_length == 1:
        return None
    mask: Tensor | None = ALL_MASK_ATTENTION_FUNCTIONS["sdpa"](*args, q_length=q_length, **kwargs)
    return mask


ALL_ATTENTION_FUNCTIONS.register(NAME, attention)
ALL_MASK_ATTENTION_FUNCTIONS.register(NAME, _mask)


def lean_view(model: Any) -> Any | None:
    """The view of `model` that decodes rows at their own places; None where the model cannot.

    It has to be a decoder on the CPU whose layers all attend by sdpa over everything before, without processors of its own, and give
    the same logits. What it keeps of the model is its weights; where memory allows, linear layers in float32, and in bfloat16 where the
    processor multiplies that, are kept a second time, laid out for the processor.
    """
    if not _could(model):
        return None
    try:
        view, exact = _attending(model), _in_float32(model)
        _pack(view)
        reason = _difference(model, view) if exact is None else _difference(exact, _attending(exact))
    except NoBatchableCacheError:
        return None
    except MODEL_CODE_FAILURES as error:
        reason = f"{type(error).__name__}: {first_line(error)}"
    if reason is None:
        return view
    remark(model, "refilling", f"rows that end leave their place empty until their batch is done ({reason})")
    return None


def _attending(model: Any) -> Any:
    """A view of a model that attends by this module's function."""
    view = view_of(model)
    attend_by(view, NAME)
    return view


def _in_float32(model: Any) -> Any | None:
    """A copy of a 16-bit model whose view is compared in its place, as 16 bits hide what differs; None where none is needed or fits."""
    size = 4 * model.num_parameters() * SPARE
    if model.dtype in EXACT or hasattr(model.config, "quantization_config") or size > psutil.virtual_memory().available:
        return None
    return copy.deepcopy(model).float()


def _could(model: Any) -> bool:
    config = model.config.get_text_config(decoder=True)
    takes = inspect.signature(model.forward).parameters
    return (
        not model.config.is_encoder_decoder
        and model.device.type == "cpu"
        and attention_of(model) == "sdpa"
        and attention_with_normaliser() is not None
        and {"position_ids", "logits_to_keep"} <= set(takes)
        and not _bends_with_length(config)
        and max(max(prompt) for prompt in TRIED) < config.vocab_size
    )


def _bends_with_length(config: Any) -> bool:
    """Whether positions are read otherwise in longer texts, so that a long row would move its neighbours."""
    found = getattr(config, "rope_parameters", None) or {}
    kinds = [found, *(value for value in found.values() if isinstance(value, dict))]
    return any(kind.get("rope_type") in ("dynamic", "longrope") for kind in kinds)


class PackedLinear(nn.Linear):
    """A linear layer over the same parameters, laid out once for oneDNN."""

    def __init__(self, weight: nn.Parameter, bias: nn.Parameter | None, product: Any) -> None:
        nn.Module.__init__(self)
        self.weight, self._product = weight, product
        self.register_parameter("bias", bias)
        self.out_features, self.in_features = weight.shape

    def forward(self, x: Tensor) -> Tensor:
        """(..., inputs) -> (..., outputs)."""
        y: Tensor = self._product(x, self.bias)
        return y


def _pack(view: Any) -> None:
    """Lay out the linear layers of a view, all of them or, where memory is short or the processor lacks their type, none."""
    found = list(_linear_layers(view))
    size = sum(layer.weight.numel() * layer.weight.element_size() for _, _, layer in found)
    if not {layer.weight.dtype for _, _, layer in found} <= packable_types():
        return
    if size * SPARE > psutil.virtual_memory().available:
        return
    for parent, name, layer in found:
        product = packed_linear(layer.weight if type(layer) is nn.Linear else layer.weight.t().contiguous())
        if product is None:
            return
        setattr(parent, name, PackedLinear(layer.weight, layer.bias, product))


def _linear_layers(view: Any) -> Iterator[tuple[nn.Module, str, Any]]:
    for parent in view.modules():
        for name, child in parent.named_children():
            if type(child) in (nn.Linear, Conv1D):
                yield parent, name, child


@torch.inference_mode()
def _difference(model: Any, view: Any) -> str | None:
    """In what the view differs from the model, on two prompts together and two steps behind them; None for nothing."""
    wanted, tokens = [], []
    for prompt in TRIED:
        start = prefill(model, [prompt], max_new_tokens=3, pad_token_id=0)
        if start.processors:
            return "generate() has processors of its own for it"
        if why := _other_layers(start.cache):
            return why
        logits, ids, kwargs = [start.logits], start.input_ids, start.model_kwargs
        for _ in range(2):
            ids = torch.cat([ids, logits[-1].argmax(dim=-1, keepdim=True)], dim=-1)
            new, kwargs = forward(model, ids, kwargs)
            logits.append(new)
        wanted.append(torch.cat(logits))
        tokens.append(ids[0, len(prompt) :])
    got = _stepwise(view, torch.stack(tokens))
    tolerance = TOLERANCE if got.dtype in EXACT else HALF
    same = torch.allclose(torch.stack(wanted).float(), got.float(), rtol=tolerance, atol=tolerance)
    return None if same else "it does more to its attention than scale it"


def _other_layers(cache: Any) -> str | None:
    """The name of a layer that is no plain one, or what the layers do not have in common."""
    if type(cache) is not DynamicCache:
        return f"it keeps its past in {type(cache).__name__}"
    for layer in cache.layers:
        if type(layer) is not DynamicLayer or not layer.is_initialized:
            return f"it has a {type(layer).__name__}"
        first = cache.layers[0].keys
        if any(past.shape != first.shape or past.dtype != first.dtype for past in (layer.keys, layer.values)):
            return "its layers keep pasts of different shapes"
    return None


def _stepwise(view: Any, tokens: Tensor) -> Tensor:
    """Logits of `TRIED` together and after each of `tokens` (prompts, steps): (prompts, 1 + steps, vocab)."""
    starts = prefill_rows(view, TRIED, None)
    past = Past(starts[0].past)
    for place, start in enumerate(starts):
        past.put(place, start.past, None)
    logits = [torch.stack([start.logits for start in starts])]
    for step in range(tokens.shape[1]):
        logits.append(past.step(view, tokens[:, step]))
    return torch.stack(logits, dim=1)
