"""Prompts of any lengths through the model in one row, end to end: each attends to itself alone.

Linear layers see as many rows as there are tokens, so a prompt has the bits that it has alone. It plugs in as the slots do: keys
know their layer, whose `attend` the attention function of lean.py calls.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import accumulate, pairwise
from typing import Any, NamedTuple

import torch
from torch import Tensor
from torch.nn.functional import pad
from transformers.cache_utils import DynamicCache, DynamicLayer
from transformers.modeling_utils import ALL_ATTENTION_FUNCTIONS

ALIGNED = 16
"""Prompts and keys are padded to a multiple of this inside attention: sums over keys are cut into the same vectors in every batch."""


class Prefill(NamedTuple):
    """Tokens after one forward pass: their keys and values (layers, 2, heads, tokens, size), and what comes next, (vocab,)."""

    past: Tensor
    logits: Tensor


class PackedLayer(DynamicLayer):
    """Keys and values of one layer for prompts that stand end to end, as transformers' models see it.

    Args:
        spans: Where each prompt begins and ends.
        masks: What each prompt may see of what all begin with and of itself, both padded, (tokens, keys).
        prefix: Keys and values of what all begin with, (2, heads, tokens, size).
    """

    def __init__(self, spans: Sequence[tuple[int, int]], masks: Sequence[Tensor], prefix: Tensor | None) -> None:
        super().__init__()
        self._spans, self._masks, self._prefix, self.is_initialized = spans, masks, prefix, True

    def get_seq_length(self) -> int:
        """Nothing is there before the prompts; models are told positions."""
        return 0

    def get_mask_sizes(self, query_length: int) -> tuple[int, int]:
        """Keys that a query sees, and where they begin."""
        return query_length, 0

    def update(self, key_states: Tensor, value_states: Tensor, *args: Any, **kwargs: Any) -> tuple[Tensor, Tensor]:
        """Keep those of all prompts, (1, heads, tokens, size); the keys know this layer."""
        self.keys, self.values = key_states, value_states
        key_states.slot_layer = self  # type: ignore[attr-defined]
        return key_states, value_states

    def attend(self, module: Any, query: Tensor, **kwargs: Any) -> Tensor:
        """Attention of every prompt, of (1, heads, tokens, size), over what is before in it. -> (1, tokens, heads, size)"""
        found = []
        begun = 0 if self._prefix is None else self._prefix.shape[2]
        front = begun % ALIGNED
        for (begin, end), mask in zip(self._spans, self._masks, strict=True):
            tokens, (width, seen) = end - begin, mask.shape
            part = pad(query[:, :, begin:end], (0, 0, front, width - front - tokens))
            own = [self.keys[:, :, begin:end], self.values[:, :, begin:end]]
            if self._prefix is not None:
                own = [torch.cat([old.unsqueeze(0), new], dim=2) for old, new in zip(self._prefix, own, strict=True)]
            own = [pad(x, (0, 0, 0, seen - begun - tokens)) for x in own]
            attended: Tensor = ALL_ATTENTION_FUNCTIONS["sdpa"](module, part, *own, mask, **kwargs)[0]
            found.append(attended[:, front : front + tokens])
        return torch.cat(found, dim=1)


@torch.inference_mode()
def prefill_rows(view: Any, prompts: Sequence[Sequence[int]], prefix: Tensor | None) -> list[Prefill]:
    """Run prompts through the model once, together; what is behind `prefix`, where they begin with the same tokens.

    Args:
        view: Of the model, from `lean_view`.
        prompts: Token ids, without those of the prefix; none is empty.
        prefix: Keys and values, (layers, 2, heads, tokens, size).
    """
    count = len(prompts)
    if count == 1:  # one row alone is rounded otherwise: neither a token nor a prediction is
        prompts = [prompts[0], prompts[0][:1]]
    begun = 0 if prefix is None else prefix.shape[3]
    spans = list(pairwise(accumulate(map(len, prompts), initial=0)))
    masks = [_mask(len(prompt), begun) for prompt in prompts]
    cache = DynamicCache(config=view.config)
    layers = [PackedLayer(spans, masks, None if prefix is None else prefix[n]) for n in range(len(cache.layers))]
    cache.layers = list(layers)
    outputs = view(
        input_ids=torch.tensor([token for prompt in prompts for token in prompt])[None],
        position_ids=torch.cat([torch.arange(begun, begun + len(prompt)) for prompt in prompts])[None],
        past_key_values=cache,
        use_cache=True,
        logits_to_keep=torch.tensor([end - 1 for _, end in spans]),
        return_dict=True,
    )
    past = torch.stack([torch.cat([layer.keys, layer.values]) for layer in layers])
    return [Prefill(past[:, :, :, begin:end], outputs.logits[0, row]) for row, (begin, end) in enumerate(spans[:count])]


def _mask(tokens: int, begun: int) -> Tensor:
    """Which keys, those before the prompt included, each token may see: both begin and end at multiples of `ALIGNED`."""
    front = begun % ALIGNED
    return torch.ones(aligned(front + tokens), aligned(begun + tokens), dtype=torch.bool).tril(begun - front)


def aligned(tokens: int) -> int:
    """The next multiple of `ALIGNED`."""
    return -(-tokens // ALIGNED) * ALIGNED
