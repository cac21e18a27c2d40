"""Rows as Arrow tables: the same as pyarrow's own way, for every kind of value that a run writes, and without pandas."""

from __future__ import annotations

import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from temp_processors.runs.columns import table_of
from temp_processors.runs.sample import Sample, sample_schema
from temp_processors.runs.writing import DrawnText, read_drawn_texts, write_table
from temp_processors.trace.columns import trace_schema

NUMBERS = st.integers(-(2**63), 2**63 - 1)
VALUES: dict[Any, st.SearchStrategy[Any]] = {
    pa.string(): st.text(),
    pa.int64(): NUMBERS,
    pa.float64(): st.floats(),
    pa.list_(pa.int64()): st.lists(NUMBERS, max_size=5),
    pa.list_(pa.float64()): st.lists(st.none() | st.floats(), max_size=5),
}


@pytest.mark.parametrize("columns", [sample_schema(), trace_schema()], ids=["samples", "traces"])
@settings(max_examples=20, deadline=None)
@given(data=st.data())
def test_a_table_is_the_one_that_pyarrow_makes(columns: pa.Schema, data: st.DataObject) -> None:
    row = st.fixed_dictionaries({}, optional={c.name: st.none() | VALUES[c.type] for c in columns})
    rows = data.draw(st.lists(row, max_size=6))
    ours = table_of(rows, columns)
    ours.validate(full=True)
    assert str(ours.to_pylist()) == str(pa.Table.from_pylist(rows, schema=columns).to_pylist())  # NaN is not NaN


def test_what_is_no_number_is_refused() -> None:
    with pytest.raises((TypeError, ValueError)):
        table_of([{"n": "fox"}], pa.schema([("n", pa.int64())]))


def test_a_table_is_made_without_pandas() -> None:
    code = (
        "import sys; from temp_processors.runs.columns import table_of; from temp_processors.trace.columns import trace_schema;"
        "table_of([{'policy': 'fox', 'top_ids': [1]}], trace_schema()); sys.exit('pandas' in sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def test_texts_that_are_scored_are_read_without_their_tokens(tmp_path: Path) -> None:
    own = Sample("cold", 0, 1, 7, "the fox", "ran", [4, 5], "stop", -1.5)
    samples = [
        own,
        replace(own, policy="warm", finish_reason="length"),
        replace(own, prompt_id=1, token_ids=None, log_prob=None, tokens=9),
        replace(own, prompt_id=2, token_ids=None, log_prob=None),
        replace(own, prompt_id=3, token_ids=[]),
    ]
    write_table(tmp_path / "samples.parquet", sample_schema(), iter([[vars(sample) for sample in samples]]))
    found = list(read_drawn_texts(tmp_path / "samples.parquet"))
    assert found == [tuple(getattr(sample, name) for name in DrawnText._fields) for sample in samples]
    assert [text.scored_tokens for text in found] == [3, 2, 9, None, 1]
