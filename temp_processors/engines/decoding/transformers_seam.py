"""Every private name of torch and transformers that this package uses to draw, and what is lost without each.

A release may rename them without a word, so they stand here alone. Where one is gone the drawing goes on without the
feature, and the log says so once.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from functools import cache
from typing import Any

import torch
from torch import Tensor

from temp_processors.engines.decoding.number_type import computes_bfloat16

logger = logging.getLogger(__name__)

UPDATE = "_update_model_kwargs_for_generation"
STATEFUL = "_is_stateful"
ATTENTION = "_attn_implementation"
FLASH = "_scaled_dot_product_flash_attention_for_cpu"
PACK, PACKED = "_reorder_linear_weight", "_linear_pointwise"

ROWS_PACKED_FOR = 64
"""Rows of a step for which oneDNN lays weights out; any number of rows goes with them."""


def missing_for_batches(model: Any) -> str | None:
    """The name without which rows cannot be drawn in one batch, if there is one: `UPDATE` or `STATEFUL`.

    Lost without it: the batch. Rows go through plain `generate`, one call per policy and prompt.
    """
    return next((name for name in (UPDATE, STATEFUL) if not hasattr(model, name)), None)


def keeps_recurrent_state(model: Any) -> bool:
    """Whether the model keeps something beside keys and values (state-space models): `PreTrainedModel._is_stateful`.

    Lost without it: nobody could tell whose past can be shared out and cut, see `missing_for_batches`.
    """
    return bool(getattr(model, STATEFUL, True))


def forward(
    model: Any, input_ids: Tensor, model_kwargs: dict[str, Any], *, first: bool = False
) -> tuple[Tensor, dict[str, Any]]:
    """One forward pass as `generate` makes it: the logits after the last token, and the arguments of the next pass.

    `generate` keeps those arguments by `GenerationMixin._update_model_kwargs_for_generation`. Lost without it: the
    batch (see `missing_for_batches`) and, for a decoder without padding, the cache: every pass reads the whole text.

    Args:
        model: Any model that `generate` runs.
        input_ids: (rows, length), the whole text so far.
        model_kwargs: What `generate` hands to a decoding method, or the last pass returned.
        first: Whether nothing is in the cache yet.

    Returns:
        Logits (rows, vocab) in the model's dtype, and the new `model_kwargs`.
    """
    if not hasattr(model, UPDATE):
        say_once(UPDATE, "every step reads the whole text again")
        return model(input_ids, use_cache=False, return_dict=True).logits[:, -1], model_kwargs
    inputs = model.prepare_inputs_for_generation(
        input_ids, next_sequence_length=None if first else 1, is_first_iteration=first, **model_kwargs
    )
    outputs = model(**inputs, return_dict=True)
    update = getattr(model, UPDATE)
    return outputs.logits[:, -1], update(outputs, model_kwargs, is_encoder_decoder=model.config.is_encoder_decoder)


def attention_of(model: Any) -> str | None:
    """The name of the attention function in use, such as `sdpa`: `PreTrainedConfig._attn_implementation`.

    Lost without it (None): a prompt's keys and values kept once for all of its rows (shared_prefix.py).
    """
    if not hasattr(model.config, ATTENTION):
        say_once(ATTENTION, "every row keeps its own copy of its prompt's keys and values")
        return None
    name: str | None = getattr(model.config, ATTENTION)
    return name


def attend_by(model: Any, name: str) -> None:
    """Make `name` the attention function of a model and of the models in it. Lost without it: as `attention_of`."""
    setattr(model.config, ATTENTION, name)


def attention_with_normaliser() -> Callable[..., tuple[Tensor, Tensor]] | None:
    """Attention that also returns the logarithm of its normaliser: torch's operator behind sdpa on the CPU.

    Takes (query, keys, values, scale=...), each (rows, heads, length, size). Lost without it (None): as `attention_of`.
    """
    operator: Callable[..., tuple[Tensor, Tensor]] | None = getattr(torch.ops.aten, FLASH, None)
    if operator is None:
        say_once(FLASH, "every row keeps its own copy of its prompt's keys and values")
    return operator


def packable_types() -> set[torch.dtype]:
    """The types of weights that this processor multiplies natively, so that oneDNN lays them out for it."""
    return {torch.float32, torch.bfloat16} if computes_bfloat16() else {torch.float32}


def packed_linear(weight: Tensor) -> Callable[[Tensor, Tensor | None], Tensor] | None:
    """x W' + b with `weight` (outputs, inputs) laid out for oneDNN once, where torch's own lays it out in every call.

    On an AMD EPYC that is 1.2 times (128 rows) to 2 times (8 rows) as fast (SmolLM2's layers, one thread). Every row of the
    product has the bits that it has in a product of any other number of rows, from 2 on. Lost without it (None): that speed.

    Args:
        weight: In one of `packable_types`, on the CPU; the packed copy takes as much memory again.
    """
    operators = torch.ops.mkldnn if torch.backends.mkldnn.is_available() else None  # type: ignore[no-untyped-call]
    pack, packed = getattr(operators, PACK, None), getattr(operators, PACKED, None)
    if pack is None or packed is None:
        say_once(f"mkldnn.{PACKED}", "linear layers are not laid out once for all steps")
        return None
    laid_out = pack(weight.detach(), ROWS_PACKED_FOR)

    def product(x: Tensor, bias: Tensor | None) -> Tensor:
        y: Tensor = packed(x, laid_out, bias, "none", [], "")
        return y

    return product


@cache
def say_once(name: str, lost: str) -> None:
    """A warning in the log, the first time it is asked for."""
    logger.warning("this torch or transformers has no %s: %s", name, lost)
