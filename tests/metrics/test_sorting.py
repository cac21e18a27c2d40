"""Sorting of small integers in parts: against Python's `sorted`, for any number of bits and any size of the parts."""

from __future__ import annotations

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from temp_processors.metrics.sorting import between, order_within, stable_order

BOUNDS = st.sampled_from([1, 2, 255, 256, 257, 1 << 16, (1 << 16) + 1, 1 << 33, 1 << 62])


@st.composite
def entries(draw: st.DrawFn) -> tuple[list[int], list[int], int]:
    """Numbers that ascend, values below a bound, and the bound."""
    bound = draw(BOUNDS)
    values = draw(st.lists(st.integers(0, bound - 1), max_size=40))
    gram = draw(st.lists(st.sampled_from([0, 1, 2, 70_000]), min_size=len(values), max_size=len(values)))
    return sorted(gram), values, bound


@given(entries(), st.integers(1, 50))
@settings(max_examples=100, deadline=None)
def test_orders_are_those_of_a_stable_sort(held: tuple[list[int], list[int], int], size: int) -> None:
    gram, values, bound = held
    places = range(len(values))
    assert stable_order(np.array(values, dtype=np.int64), bound).tolist() == sorted(places, key=lambda i: values[i])
    order = order_within(np.array(gram, dtype=np.int64), np.array(values, dtype=np.int64), bound, size)
    assert order.tolist() == sorted(places, key=lambda i: (gram[i], values[i]))
    cuts = [end for _, end in between(np.array(gram, dtype=np.int64), size)]
    assert all(gram[cut - 1] != gram[cut] for cut in cuts[:-1])
