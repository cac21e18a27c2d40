"""GGUF files read once and quickly, where transformers has the `gguf` package read the same file three times.

Configuration, tokenizer and weights each parse the whole file, string by string of the vocabulary through views of a memory map, and the
names of weights are looked up in a table that is made anew for every module of the model. For SmolLM2-135M (49,152 tokens, Q4_1) these
two are 17 of 20 seconds. While `read_once` is open, `gguf` has a reader that takes the strings out of the buffer and is kept, and keeps
its tables; what they return is the same. A `gguf` without one of these names is used as it is.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from contextlib import contextmanager
from functools import lru_cache
from threading import RLock
from typing import Any

import gguf
import numpy as np
from gguf import GGUFReader, GGUFValueType, get_tensor_name_map

LENGTH = struct.Struct("=Q")
ARRAY_HEAD = struct.Struct("=IQ")
"""Kind and number of the values of an array."""
_one_at_a_time = RLock()


class QuickReader(GGUFReader):
    """`gguf.GGUFReader` with the values of an array as bytes (texts) or as parts of one array (numbers)."""

    def _get_field_parts(self, orig_offs: int, raw_type: int) -> tuple[int, list[Any], list[int], list[GGUFValueType]]:
        """Size in bytes, parts, places of the values among the parts, kinds: as the method that this one stands for."""
        if raw_type != GGUFValueType.ARRAY or self.byte_order != "I":
            return super()._get_field_parts(orig_offs, raw_type)
        buffer = self.data.data
        number, count = ARRAY_HEAD.unpack_from(buffer, orig_offs)
        kind, start = GGUFValueType(number), orig_offs + ARRAY_HEAD.size
        if kind == GGUFValueType.STRING:
            values, end = _texts(buffer, start, count)
        elif kind in self.gguf_scalar_to_np:
            numbers = np.frombuffer(buffer, self.gguf_scalar_to_np[kind], count, start)
            values, end = list(numbers.reshape(-1, 1)), start + numbers.nbytes
        else:
            return super()._get_field_parts(orig_offs, raw_type)
        head = [np.array([number], np.uint32), np.array([count], np.uint64)]
        places = list(range(len(head), len(head) + len(values)))
        return end - orig_offs, [*head, *values], places, [GGUFValueType.ARRAY, *([kind] if count else [])]


def _texts(buffer: memoryview, start: int, count: int) -> tuple[list[Any], int]:
    """`count` texts, each behind its length, and where they end. Raises `struct.error` where the buffer ends before them."""
    texts = []
    for _ in range(count):
        (length,) = LENGTH.unpack_from(buffer, start)
        start += LENGTH.size
        texts.append(bytes(buffer[start : start + length]))
        start += length
    return texts, start


@contextmanager
def read_once() -> Iterator[None]:
    """While open, `gguf` reads one file once, in any thread; others that want this wait."""
    quick = {
        "GGUFReader": lru_cache(maxsize=1)(QuickReader),
        "get_tensor_name_map": lru_cache(maxsize=1)(get_tensor_name_map),
    }
    with _one_at_a_time:
        own = {name: getattr(gguf, name) for name in quick}
        vars(gguf).update(quick)
        try:
            yield
        finally:
            vars(gguf).update(own)
