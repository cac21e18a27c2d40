"""The past of rows that come and go: one tensor for all layers, in which every row has a place of its own.

A row's keys begin at the front of its place, whatever its neighbours are, so that nothing is moved when rows of other lengths come
in, and every number is computed as it would be beside other rows. Tokens that many rows begin with (a *stem*: the prompt of many
samples, the template of many prompts) are kept once and attended to by one product for all of them, see shared_prefix.py.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import groupby, pairwise
from typing import Any, NamedTuple

import torch
from torch import Tensor
from transformers.cache_utils import DynamicCache, DynamicLayer

from temp_processors.engines.decoding.indexed import QUICK, Pattern, attend, pattern
from temp_processors.engines.decoding.packed import ALIGNED, aligned
from temp_processors.engines.decoding.transformers_seam import attention_with_normaliser

WRITTEN_OUT = 400
"""Multiplications below which torch takes products one by one, in an order of their own."""
TOGETHER = 32
"""Rows whose keys are read to one extent, at least: parts of fewer cost more calls than they save reading."""
EXACT = (torch.float32, torch.float64)
"""Types in which attention may be written out as products; in the others torch's own keeps sums in float32."""


@dataclass(frozen=True, eq=False)
class Stem:
    """Tokens that many rows begin with, kept once: their keys and values (layers, 2, heads, tokens, size)."""

    past: Tensor

    @property
    def length(self) -> int:
        """In tokens."""
        return int(self.past.shape[3])


@dataclass(eq=False)
class _Part:
    """Rows next to each other whose keys are read to the same extent.

    Attributes:
        places: Theirs.
        mask: Which keys they see, (rows x heads, 1, extent).
        read_at: At which place each of their keys is read, (rows, extent): rows of one prompt read that of the first of them.
        pattern: The same for each of their queries, once the first layer has asked for it.
    """

    places: slice
    mask: Tensor
    read_at: Tensor
    pattern: Pattern | None = None

    def pattern_of(self, group: int, capacity: int, keys: int) -> Pattern:
        """`pattern`, where a head has `group` queries and each place room for `capacity` of a layer's `keys`."""
        if self.pattern is None:
            rows, extent = self.read_at.shape
            heads = len(self.mask) // rows
            kind = torch.int32 if max(keys, rows * heads * group * extent) < 1 << 31 else torch.int64
            begun = (self.read_at.unsqueeze(1) * heads + torch.arange(heads).unsqueeze(1)) * capacity
            index = (begun + torch.arange(extent)).to(kind).unsqueeze(2)
            queries = index.expand(-1, -1, group, -1).reshape(-1, extent)
            self.pattern = pattern(queries, self.mask.expand(-1, group, -1).reshape(-1, extent), keys)
        return self.pattern


class _Now(NamedTuple):
    """What all layers of one step have in common: where the new keys go, keys of the longest row, what rows see, whose stems."""

    written: Tensor
    extent: int
    parts: list[_Part]
    stems: list[tuple[Stem, Tensor | None]]


class Past:
    """Keys and values of the rows in flight; rows are the places 0, 1, ... without a gap.

    Args:
        like: A past, (layers, 2, heads, tokens, size), whose sizes and type this one takes.
        places, tokens: Room to begin with, which grows.
    """

    def __init__(self, like: Tensor, *, places: int = 2, tokens: int = ALIGNED) -> None:
        layers, _, self.heads, _, size = like.shape
        places = max(2, places)
        self._store = like.new_zeros(layers, 2, places, self.heads, aligned(tokens), size)
        self._own = torch.zeros(places, dtype=torch.long)
        self._stems: list[Stem | None] = []
        self._starts: list[tuple[int | None, int]] = []
        self._groups: list[tuple[Stem, Tensor | None]] | None = None
        self.cache = DynamicCache()
        self.cache.layers = [SlotLayer(self, number) for number in range(layers)]
        self.now: _Now

    def __len__(self) -> int:
        return len(self._stems)

    def layer(self, number: int) -> Tensor:
        """Keys and values of one layer, (2, places, heads, capacity, size)."""
        return self._store[number]

    def put(self, place: int, past: Tensor, stem: Stem | None, prompt: int | None = None) -> None:
        """A row that goes on behind `stem` and then `past`: at the next place, or instead of the row that was there.

        Rows that are put with the same number of a `prompt` have the same `past`, which is read once for all of them.
        """
        length = past.shape[3]
        self._reserve(place + 1, length)
        if place == len(self._stems):
            self._stems.append(stem)
            self._starts.append((prompt, length))
        self._store[:, :, place, :, :length] = past
        self._own[place] = length
        self._stems[place], self._starts[place], self._groups = stem, (prompt, length), None

    def drop(self, place: int) -> None:
        """Take a row out; the last one moves to its place."""
        last = len(self._stems) - 1
        if place != last:
            length = int(self._own[last])
            self._store[:, :, place, :, :length] = self._store[:, :, last, :, :length]
            self._own[place] = self._own[last]
            self._stems[place], self._starts[place] = self._stems[last], self._starts[last]
        self._stems.pop()
        self._starts.pop()
        self._groups = None

    def _reserve(self, places: int, tokens: int) -> None:
        """Make room; more than is asked for, so that growing takes no time that counts, and all zeros: 0 x NaN is NaN."""
        there, capacity = self._store.shape[2], self._store.shape[4]
        if places <= there and tokens <= capacity:
            return
        wider = there if places <= there else max(places, 2 * there)
        longer = capacity if tokens <= capacity else aligned(max(tokens, capacity + capacity // 2))
        layers, two, _, heads, _, size = self._store.shape
        store = self._store.new_zeros(layers, two, wider, heads, longer, size)
        rows, length = len(self._stems), int(self._own[: len(self._stems)].max()) if self._stems else 0
        store[:, :, :rows, :, :length] = self._store[:, :, :rows, :, :length]
        self._store = store
        self._own = torch.cat([self._own, self._own.new_zeros(wider - there)])

    @torch.inference_mode()
    def step(self, view: Any, tokens: Tensor) -> Tensor:
        """Append one token to every row, (rows,), and predict the next: (rows, vocab).

        A row alone is computed beside an empty one, because products of one row are rounded otherwise.
        """
        count = len(self._stems)
        rows = max(count, 2)
        if count == 1:
            tokens = tokens.expand(2)
            self._own[1] = 0
        own = self._own[:rows]
        extent = self._seen(int(own.max()))
        self._reserve(rows, extent)
        own = self._own[:rows]
        self.now = self._begin(rows, own, extent)
        begun = own + torch.tensor([0 if stem is None else stem.length for stem in self._stems] + [0] * (rows - count))
        outputs = view(
            input_ids=tokens[:, None],
            position_ids=begun[:, None],
            past_key_values=self.cache,
            use_cache=True,
            return_dict=True,
        )
        self._own[:rows] += 1
        logits: Tensor = outputs.logits[:count, -1]
        return logits

    def _seen(self, length: int) -> int:
        """Keys that are read for a row with so many before its new one."""
        return aligned(max(length + 1, WRITTEN_OUT // self._store.shape[5]))

    def _begin(self, rows: int, own: Tensor, extent: int) -> _Now:
        each = own.repeat_interleave(self.heads)
        index = torch.arange(rows * self.heads) * self._store.shape[4] + each
        seen = torch.arange(extent) <= each[:, None]
        mask = torch.zeros(seen.shape, dtype=self._store.dtype).masked_fill_(~seen, -torch.inf).unsqueeze(1)
        if self._groups is None:
            self._groups = _grouped(self._stems)
        read_at = self._read_at(rows, extent)
        parts = [
            _Part(slice(begin, end), mask[begin * self.heads : end * self.heads, :, :seen], read_at[begin:end, :seen])
            for begin, end, seen in _extents(list(map(self._seen, own.tolist())))
        ]
        return _Now(index, extent, parts, self._groups)

    def _read_at(self, rows: int, extent: int) -> Tensor:
        """At which place each key of a row is read, (rows, extent): every place has them all, and what is read once stays in the cache."""
        firsts: dict[int, int] = {}
        starts = self._starts + [(None, 0)] * (rows - len(self._starts))
        first = [n if prompt is None else firsts.setdefault(prompt, n) for n, (prompt, _) in enumerate(starts)]
        shared = torch.arange(extent) < torch.tensor([length for _, length in starts]).unsqueeze(1)
        return torch.where(shared, torch.tensor(first).unsqueeze(1), torch.arange(rows).unsqueeze(1))


def _extents(seen: Sequence[int]) -> Iterator[tuple[int, int, int]]:
    """Rows cut into parts of `TOGETHER` or more, from the keys that each has to read: (begin, end, keys)."""
    count = max(1, len(seen) // TOGETHER)
    cuts = pairwise(len(seen) * part // count for part in range(count + 1))
    parts = [(begin, end, max(seen[begin:end])) for begin, end in cuts]
    for keys, same in groupby(parts, key=lambda part: part[2]):
        alike = list(same)
        yield alike[0][0], alike[-1][1], keys


def _grouped(stems: Sequence[Stem | None]) -> list[tuple[Stem, Tensor | None]]:
    """Every stem with the places of its rows; None where all rows have one and the same."""
    places: dict[Stem, list[int]] = {}
    for place, stem in enumerate(stems):
        if stem is not None:
            places.setdefault(stem, []).append(place)
    alone = len(stems) > 1 and any(len(own) == len(stems) for own in places.values())
    return [(stem, None if alone else torch.tensor(own)) for stem, own in places.items()]


class SlotLayer(DynamicLayer):
    """One layer of a [`Past`], as transformers' models see it."""

    def __init__(self, past: Past, number: int) -> None:
        super().__init__()
        self._past, self._number, self.is_initialized = past, number, True

    def get_seq_length(self) -> int:
        """Keys of the longest row, its stem left out: models are told positions, and need no more than a number."""
        return self._past.now.extent - 1

    def get_mask_sizes(self, query_length: int) -> tuple[int, int]:
        """Keys that a query sees, and where they begin."""
        return self._past.now.extent, 0

    def update(self, key_states: Tensor, value_states: Tensor, *args: Any, **kwargs: Any) -> tuple[Tensor, Tensor]:
        """Write one token of every row, (rows, heads, 1, size), to where its place goes on; the keys know this layer."""
        for store, new in zip(self._past.layer(self._number), (key_states, value_states), strict=True):
            store.view(-1, store.shape[-1]).index_copy_(0, self._past.now.written, new.reshape(-1, new.shape[-1]))
        key_states.slot_layer = self  # type: ignore[attr-defined]
        return key_states, value_states

    def attend(self, module: Any, query: Tensor, *, scaling: float | None = None, **kwargs: Any) -> Tensor:
        """Attention of one new token a row, (rows, heads, 1, size), over its stem and its own keys.

        Heads that share keys (grouped queries) are further queries of the same keys, which are read once. -> (rows, 1, heads, size)
        """
        now, heads = self._past.now, self._past.heads
        rows, all_heads, _, size = query.shape
        scale = size**-0.5 if scaling is None else scaling
        query = query.reshape(rows, heads, all_heads // heads, size)
        found = [self._attend_own(query[part.places], part, scale) for part in now.parts]
        own, weight = found[0] if len(found) == 1 else map(torch.cat, zip(*found, strict=True))
        for stem, places in now.stems:
            part, mine, my_weight = (x if places is None else x[places] for x in (query, own, weight))
            merged = _merged(part, mine, my_weight, stem.past[self._number], scale)
            own = merged if places is None else own.index_copy(0, places, merged)
        return own.reshape(rows, 1, all_heads, size)

    def _attend_own(self, query: Tensor, part: _Part, scale: float) -> tuple[Tensor, Tensor]:
        """Attention of some rows over their own keys, and its normaliser's logarithm where there are stems."""
        mask, extent, group = part.mask, part.mask.shape[-1], query.shape[2]
        layer, weighed = self._past.layer(self._number), bool(self._past.now.stems)
        if query.dtype == torch.float32 and QUICK:
            keys, values = layer.flatten(1, 3)
            seen = part.pattern_of(group, layer.shape[3], len(keys))
            own, weight = attend(seen, query.reshape(-1, query.shape[3]), keys, values, scale, weighed=weighed)
            return own.view(query.shape), weight.view(query.shape[:3] if weighed else (len(query), 0))
        keys, values = (store[part.places, :, :extent] for store in layer)
        if query.dtype in EXACT:
            return _written_out(query, keys, values, mask, scale, weighed)
        mask = mask.reshape(len(query), -1, 1, extent)[:, :1]
        return _attend(query, keys, values, attn_mask=mask, scale=scale)


def _written_out(
    query: Tensor, keys: Tensor, values: Tensor, mask: Tensor, scale: float, weighed: bool
) -> tuple[Tensor, Tensor]:
    """Attention as two batched products, twice as fast as torch's own for few queries, and its normaliser's logarithm."""
    rows, heads, group, size = query.shape
    scores = torch.baddbmm(mask, query.reshape(-1, group, size), keys.flatten(0, 1).transpose(1, 2), alpha=scale)
    weight = scores.logsumexp(-1).view(rows, heads, group) if weighed else scores.new_empty(rows, 0)
    own = torch.bmm(scores.softmax(dim=-1), values.flatten(0, 1)).view(query.shape)
    return own, weight


def _attend(query: Tensor, keys: Tensor, values: Tensor, **kwargs: Any) -> tuple[Tensor, Tensor]:
    attend = attention_with_normaliser()
    if attend is None:
        raise RuntimeError("rows are decoded at places, though `lean_view` says that they cannot be")
    return attend(query, keys, values, **kwargs)


def _merged(query: Tensor, own: Tensor, weight: Tensor, stem: Tensor, scale: float) -> Tensor:
    """Attention over own keys, (rows, heads, group, size), merged with that over a stem, (2, heads, tokens, size)."""
    rows, heads, group, size = query.shape
    together = query.transpose(0, 1).reshape(1, heads, rows * group, size)
    shared, shared_weight = _attend(together, stem[0].unsqueeze(0), stem[1].unsqueeze(0), scale=scale)
    shared = shared.view(heads, rows, group, size).transpose(0, 1)
    shared_weight = shared_weight.view(heads, rows, group).transpose(0, 1)
    share = torch.sigmoid(shared_weight - weight).unsqueeze(-1)
    return torch.lerp(own, shared, share.to(own.dtype))
