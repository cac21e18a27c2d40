"""GGUF files read once and quickly, where transformers has the `gguf` package read the same file three times.

Configuration, tokenizer and weights each parse the whole file, string by string of the vocabulary through views of a memory map, the
names of weights are looked up in a table that is made anew for every module of the model, and weights are unpacked 16 rows at a time. For
SmolLM2-135M (49,152 tokens, Q4_1) these are 18 of 20 seconds. While `read_once` is open, `gguf` has a reader that takes the strings out of
the buffer and is kept, keeps its tables, and unpacks many rows at a time, and transformers keeps what it parsed; what they return is the
same. A `gguf` or transformers without one of these names is used as it is.
"""

from __future__ import annotations

import struct
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from copy import deepcopy
from functools import lru_cache
from threading import RLock
from typing import Any

import gguf
import numpy as np
from gguf import GGUFReader, GGUFValueType, get_tensor_name_map, quants
from transformers import modeling_gguf_pytorch_utils as checkpoints

LENGTH = struct.Struct("=Q")
ARRAY_HEAD = struct.Struct("=IQ")
"""Kind and number of the values of an array."""
OVER_ROWS, PARSE = "_apply_over_grouped_rows", "load_gguf_checkpoint"
UNPACKED = 1 << 17
"""Bytes that are unpacked at a time: so many that calls cost little, so few that what is made of them stays in the cache."""
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


def over_many_rows(
    func: Callable[[Any], Any], arr: Any, otype: Any, oshape: tuple[int, ...]
) -> np.ndarray[Any, np.dtype[Any]]:
    """What `func` makes of rows, with the arguments and the result of gguf's own: `arr` (..., bytes) -> `oshape` of `otype`."""
    rows = np.asarray(arr).reshape(-1, arr.shape[-1])
    found = np.empty(oshape, otype)
    flat = found.reshape(len(rows), -1)
    size = max(1, UNPACKED // rows.strides[0])
    for begin in range(0, len(rows), size):
        flat[begin : begin + size] = func(rows[begin : begin + size])
    return found


def parsed_once(parse: Callable[..., dict[str, Any]]) -> Callable[..., dict[str, Any]]:
    """transformers' function that reads a file, whose answer without weights is kept."""
    parsed = lru_cache(maxsize=1)(parse)

    def load(path: Any, *args: Any, **kwargs: Any) -> dict[str, Any]:
        if args or kwargs.get("return_tensors"):
            return parse(path, *args, **kwargs)
        groups = {name: dict(values) for name, values in parsed(path).items()}  # callers write into their answer
        return {**groups, "config": deepcopy(groups["config"])}

    return load


@contextmanager
def read_once() -> Iterator[None]:
    """While open, one file is read once, in any thread; others that want this wait."""
    with _one_at_a_time:
        quick: dict[tuple[Any, str], Any] = {
            (gguf, "GGUFReader"): lru_cache(maxsize=1)(QuickReader),
            (gguf, "get_tensor_name_map"): lru_cache(maxsize=1)(get_tensor_name_map),
        }
        if hasattr(quants, OVER_ROWS):
            quick[quants, OVER_ROWS] = over_many_rows
        if hasattr(checkpoints, PARSE):
            quick[checkpoints, PARSE] = parsed_once(getattr(checkpoints, PARSE))
        own = {place: getattr(*place) for place in quick}
        try:
            _set(quick)
            yield
        finally:
            _set(own)


def _set(names: dict[tuple[Any, str], Any]) -> None:
    for (module, name), value in names.items():
        setattr(module, name, value)
