"""Rows of plain data as an Arrow table, built from numpy buffers, and the table in a Parquet file.

`pyarrow.Table.from_pylist` and `pyarrow.parquet.read_table` give the same tables and import pandas on the way, for objects and folders that
are none of ours: a quarter of a second of every run.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import accumulate, chain
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq


def table_of(rows: Sequence[Mapping[str, Any]], columns: pa.Schema) -> pa.Table:
    """The rows as a table; what a row does not have is null, what the schema does not name is left out.

    Args:
        rows: Values that are texts, whole numbers, real numbers, lists of these, or None.
        columns: Fields of the types `string`, `int64`, `float64`, and lists of them.

    Example:
        >>> columns = pa.schema([("text", pa.string()), ("ids", pa.list_(pa.int64()))])
        >>> table_of([{"text": "fox", "ids": [1, 2]}, {"ids": []}], columns).to_pylist()
        [{'text': 'fox', 'ids': [1, 2]}, {'text': None, 'ids': []}]
    """
    arrays = [_array([row.get(column.name) for row in rows], column.type) for column in columns]
    return pa.Table.from_arrays(arrays, schema=columns)


def table_in(file: Path, names: Sequence[str] | None = None) -> pa.Table:
    """All columns of a Parquet file, or those of some names, in the order of the file."""
    with pq.ParquetFile(file) as held:
        return held.read(columns=None if names is None else list(names))


def _array(values: Sequence[Any], kind: pa.DataType) -> pa.Array:
    known = np.array([value is not None for value in values], dtype=bool)
    valid = None if known.all() else pa.py_buffer(np.packbits(known, bitorder="little"))
    if pa.types.is_list(kind):
        filled = [() if value is None else value for value in values]
        inner = _array(list(chain.from_iterable(filled)), kind.value_type)
        return pa.Array.from_buffers(kind, len(values), [valid, _offsets(filled)], children=[inner])
    if pa.types.is_string(kind):
        texts = [b"" if value is None else value.encode() for value in values]
        buffers = [valid, _offsets(texts), pa.py_buffer(b"".join(texts))]
        return pa.Array.from_buffers(kind, len(values), buffers)
    numbers = np.array([0 if value is None else value for value in values], dtype=kind.to_pandas_dtype())
    return pa.Array.from_buffers(kind, len(values), [valid, pa.py_buffer(numbers)])


def _offsets(values: Sequence[Any]) -> pa.Buffer:
    """Where each value begins in what all of them make together, and where the last one ends."""
    return pa.py_buffer(np.array([*accumulate(map(len, values), initial=0)], dtype=np.int32))
