"""The columns of a trace stand once: records, the file and the explorer follow them."""

from __future__ import annotations

import pytest
import torch

import temp_processors.trace
from temp_processors.policies.fixed import FixedTemperatureLogitsWarper
from temp_processors.trace import trace_tokens
from temp_processors.trace.columns import COLUMN_TYPES, LATER, NUMBERS, TEXT_COLUMNS, TOPS, trace_schema
from tests.models import tiny_llama


def test_groups_of_columns() -> None:
    assert [*TEXT_COLUMNS, "step", "token_id", *NUMBERS, *TOPS] == [*COLUMN_TYPES]
    assert set(LATER) <= set(COLUMN_TYPES)


@pytest.mark.parametrize("top_k", [0, 3])
def test_records_have_the_columns_in_their_order(top_k: int) -> None:
    policy = FixedTemperatureLogitsWarper(0.5)
    (record,) = trace_tokens(tiny_llama(), torch.tensor([[1, 5, 9]]), policy, 2, top_k=top_k).records(policy="p")
    assert [*record] == [*COLUMN_TYPES] == trace_schema().names


def test_the_explorer_has_the_numbers_in_their_order() -> None:
    pytest.importorskip("gradio", reason="the extra `explore` is not installed")
    from temp_processors.explore.live import Token

    assert Token._fields == ("token_id", *NUMBERS)


def test_a_name_that_the_room_has_not() -> None:
    with pytest.raises(AttributeError, match="no attribute 'Trace'"):
        _ = temp_processors.trace.Trace
    assert "trace_tokens" in dir(temp_processors.trace)
