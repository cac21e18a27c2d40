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
from transformers.cache_utils import DynamicCache, DynamicLayer
from transformers.modeling_utils import ALL_ATTENTION_FUNCTIONS

ALIGNED = 16
"""Prompts and keys are padded to a multiple of this inside attention: sums over keys are cut into the same vectors in every batch."""


class Prefill(NamedTuple):
    """Tokens after one forward pass: their keys and values (layers, 2, heads, tokens, size), and what comes next, (vocab,)."""

    past: Tensor
    logits: Tensor


class _Alike(NamedTuple):
    """Prompts that are of one length once they are padded, by the places of their tokens; padding is the nearest token.

    Attributes:
        mask: What each query may see of what all begin with and of its prompt, (queries, keys).
        queries: (prompts, queries).
        keys: Those behind what all begin with, (prompts, keys).
    """

    mask: Tensor
    queries: Tensor
    keys: Tensor


class PackedLayer(DynamicLayer):
    """Keys and values of one layer for prompts that stand end to end, as transformers' models see it.

    Args:
        groups: The prompts, those of one padded length together.
        order: Where the tokens of the row are among those of the groups.
        prefix: Keys and values of what all begin with, (2, heads, tokens, size).
    """

    def __init__(self, groups: Sequence[_Alike], order: Tensor, prefix: Tensor | None) -> None:
        super().__init__()
        self._groups, self._order, self._prefix, self.is_initialized = groups, order, prefix, True

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
        found = [self._attend(module, query[0], group, **kwargs) for group in self._groups]
        return torch.cat(found).index_select(0, self._order).unsqueeze(0)

    def _attend(self, module: Any, query: Tensor, group: _Alike, **kwargs: Any) -> Tensor:
        """That of the prompts of one padded length, (prompts x queries, heads, size), padding included."""
        own = [past[0][:, group.keys].transpose(0, 1) for past in (self.keys, self.values)]
        if self._prefix is not None:
            many = self._prefix.unsqueeze(1).expand(-1, len(group.keys), -1, -1, -1)
            own = [torch.cat([old, new], dim=2) for old, new in zip(many, own, strict=True)]
        part = query[:, group.queries].transpose(0, 1)
        attended: Tensor = ALL_ATTENTION_FUNCTIONS["sdpa"](module, part, *own, group.mask, **kwargs)[0]
        return attended.flatten(0, 1)


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
    groups, order = _grouped(spans, begun)
    cache = DynamicCache(config=view.config)
    layers = [PackedLayer(groups, order, None if prefix is None else prefix[n]) for n in range(len(cache.layers))]
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


def _grouped(spans: Sequence[tuple[int, int]], begun: int) -> tuple[list[_Alike], Tensor]:
    """Prompts by their padded length, and where each token of the row is among all tokens of the groups.

    Queries and keys, those before the prompt included, begin and end at multiples of `ALIGNED`.
    """
    front = begun % ALIGNED
    shapes: dict[tuple[int, int], list[tuple[int, int]]] = {}
    for begin, end in spans:
        shape = aligned(front + end - begin), aligned(begun + end - begin)
        shapes.setdefault(shape, []).append((begin, end))
    groups, places = list[_Alike](), dict[int, Tensor]()
    behind = 0
    for (width, seen), alike in shapes.items():
        begins, ends = (torch.tensor(values)[:, None] for values in zip(*alike, strict=True))
        queries = (begins + torch.arange(-front, width - front)).clamp(begins, ends - 1)
        keys = (begins + torch.arange(seen - begun)).clamp(max=ends - 1)
        mask = torch.ones(width, seen, dtype=torch.bool).tril(begun - front)
        groups.append(_Alike(mask, queries, keys))
        for begin, end in alike:
            places[begin] = torch.arange(behind + front, behind + front + end - begin)
            behind += width
    return groups, torch.cat([places[begin] for begin, _ in spans])


def aligned(tokens: int) -> int:
    """The next multiple of `ALIGNED`."""
    return -(-tokens // ALIGNED) * ALIGNED
