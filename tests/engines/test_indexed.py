"""Attention over keys that are named one by one: the values of the formula, whatever queries stand beside."""

from __future__ import annotations

import math

import pytest
import torch
from torch import Tensor

from temp_processors.engines.decoding import slots
from temp_processors.engines.decoding.indexed import attend, pattern
from tests.engines.test_continuous import PROMPTS, assert_same, drawn, rows_of
from tests.engines.test_shared_prefix import CONFIGS, random_model

QUERIES, KEYS, SIZE, SEEN = 37, 300, 24, 16


def case(kind: torch.dtype, dtype: torch.dtype) -> tuple[Tensor, Tensor, Tensor, Tensor, Tensor]:
    """Queries, keys, values, which keys each query names, and how many of them it sees as a mask."""
    draw = torch.Generator().manual_seed(0)
    query, keys, values = (torch.randn(n, SIZE, generator=draw, dtype=dtype) for n in (QUERIES, KEYS, KEYS))
    index = torch.stack([torch.randperm(KEYS, generator=draw)[:SEEN].sort().values for _ in range(QUERIES)])
    seen = torch.randint(1, SEEN + 1, (QUERIES, 1), generator=draw)
    mask = torch.zeros(QUERIES, SEEN, dtype=dtype).masked_fill(torch.arange(SEEN) >= seen, -math.inf)
    return query, keys, values, index.to(kind), mask


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("kind", [torch.int32, torch.int64])
def test_it_is_the_formula(kind: torch.dtype, dtype: torch.dtype) -> None:
    query, keys, values, index, mask = case(kind, dtype)
    got, weight = attend(pattern(index, mask, KEYS), query, keys, values, 0.3, weighed=True)
    scores = torch.einsum("qd,qkd->qk", query, keys[index.long()]) * 0.3 + mask
    wanted = torch.einsum("qk,qkd->qd", scores.softmax(-1), values[index.long()])
    tolerance = 1e-5 if dtype == torch.float32 else 1e-12
    torch.testing.assert_close(got, wanted, rtol=tolerance, atol=tolerance)
    torch.testing.assert_close(weight, scores.logsumexp(-1), rtol=tolerance, atol=tolerance)


def test_no_bit_depends_on_the_queries_beside_nor_on_keys_that_are_not_seen() -> None:
    query, keys, values, index, mask = case(torch.int32, torch.float32)
    wanted, _ = attend(pattern(index, mask, KEYS), query, keys, values, 0.3, weighed=False)
    longer = torch.cat([index, index], dim=1)
    unseen = torch.cat([mask, torch.full_like(mask, -math.inf)], dim=1)
    for some in (slice(0, 1), slice(5, 7), slice(3, QUERIES)):
        for places, added in ((index, mask), (longer, unseen)):
            got, _ = attend(pattern(places[some], added[some], KEYS), query[some], keys, values, 0.3, weighed=False)
            assert torch.equal(got, wanted[some])


def test_texts_are_those_of_products_written_out(monkeypatch: pytest.MonkeyPatch) -> None:
    model, rows = random_model(CONFIGS["grouped queries"]).float(), rows_of(PROMPTS, 3)
    wanted = drawn(model, rows, 7)
    monkeypatch.setattr(slots, "QUICK", not slots.QUICK)
    assert_same(drawn(model, rows, 7), wanted)


def test_rows_of_one_prompt_read_its_keys_at_one_place(monkeypatch: pytest.MonkeyPatch) -> None:
    """The texts are bit for bit those of rows that read their own copies, while rows end and others take their places."""
    model, rows = random_model(CONFIGS["grouped queries"]).float(), rows_of(PROMPTS, 5)
    shared, read_at, put = list[bool](), slots.Past._read_at, slots.Past.put

    def seen(past: slots.Past, count: int, extent: int) -> Tensor:
        found = read_at(past, count, extent)
        shared.append(bool((found != torch.arange(count)[:, None]).any()))
        return found

    monkeypatch.setattr(slots.Past, "_read_at", seen)
    together = drawn(model, rows, 8)
    assert any(shared)
    shared.clear()
    monkeypatch.setattr(slots.Past, "put", lambda past, place, own, stem, *prompt: put(past, place, own, stem))
    assert drawn(model, rows, 8) == together
    assert not any(shared)
