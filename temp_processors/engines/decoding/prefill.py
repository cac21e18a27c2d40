"""Prompts through the model once, before the rows that continue them.

Built on `generate`'s own extension point: a `custom_generate` callable receives the inputs as `generate` prepares
them for this model (encoder outputs, decoder start tokens, positions, cache), so whatever `generate` runs works here.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from torch import Tensor

from temp_processors.audit.neutral import SAMPLING_FIELDS, off_values
from temp_processors.engines.decoding.batches import rectangle
from temp_processors.engines.decoding.cache import why_not_batchable
from temp_processors.engines.decoding.transformers_seam import forward, keeps_recurrent_state, missing_for_batches


class NoBatchableCacheError(TypeError):
    """The model keeps its past in something whose rows can be neither repeated nor dropped."""


def draw_kwargs() -> dict[str, Any]:
    """Arguments for `generate` under which your processors act alone and the last of them, `SeededSampling`, draws.

    `do_sample=False` skips temperature and truncation, so only what acts without sampling has to be switched off.
    `plain_sampling_kwargs` is for the call in which `generate` itself draws.

    Example:
        >>> draw_kwargs()["do_sample"], draw_kwargs()["repetition_penalty"]
        (False, 1.0)
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
    if (name := missing_for_batches(model)) is not None:
        raise NoBatchableCacheError(f"this transformers has no {name}")
    if keeps_recurrent_state(model):
        raise NoBatchableCacheError("it keeps a recurrent state")
    ids, mask = rectangle(prompts, pad_token_id, "right" if model.config.is_encoder_decoder else "left")
    prefilled: Prefilled = model.generate(
        ids.to(model.device),
        attention_mask=mask.to(model.device),
        **draw_kwargs(),
        use_cache=True,
        max_new_tokens=max_new_tokens,
        pad_token_id=pad_token_id,
        custom_generate=_first_pass,
    )
    if (kind := why_not_batchable(prefilled.cache)) is not None:
        raise NoBatchableCacheError(f"it keeps its past in {kind}")
    return prefilled


def _first_pass(
    model: Any, input_ids: Tensor, logits_processor: Any, stopping_criteria: Any, generation_config: Any, **kwargs: Any
) -> Prefilled:
    """A decoding method, as `generate` calls it, that stops after the first forward pass."""
    logits, kwargs = forward(model, input_ids, kwargs, first=True)
    return Prefilled(input_ids, logits, logits_processor, kwargs)
