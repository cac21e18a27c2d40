"""The columns of a trace, one row per new token: their names, order and types. Loads no torch."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, TypedDict, get_args, get_type_hints

if TYPE_CHECKING:
    import pyarrow


class TraceRecord(TypedDict):
    """One new token of one text; None where a trace does not know a value.

    Args:
        policy: Name of the policy.
        prompt_id: Of the text's prompt.
        sample_id: Of the text among those of its prompt and policy.
        step: 0 = first new token.
        token_id: The token that was chosen.
        entropy: Entropy of the distribution before the policy, in nats.
        entropy_after: The same after the policy.
        temperature: What the policy set; None where it reshapes the scores without one temperature.
        log_prob: Natural-log probability of the token before the policy.
        log_prob_after: The same after the policy.
        top_ids: The most probable tokens before the policy, largest first.
        top_logits: Their scores.
        tail: Weight of all other tokens, at temperatures of a fixed grid (`trace/tail.py`).
    """

    policy: str
    prompt_id: int
    sample_id: int
    step: int
    token_id: int
    entropy: float
    entropy_after: float
    temperature: float | None
    log_prob: float
    log_prob_after: float
    top_ids: list[int] | None
    top_logits: list[float] | None
    tail: list[float] | None


def _without_none(kind: Any) -> Any:
    parts = [part for part in get_args(kind) if part is not type(None)]
    return parts[0] if type(None) in get_args(kind) else kind


COLUMN_TYPES: dict[str, Any] = {name: _without_none(kind) for name, kind in get_type_hints(TraceRecord).items()}
"""Python type of every column, in the order of `traces.parquet`; any of them may be missing in a row."""

TEXT_COLUMNS = ("policy", "prompt_id", "sample_id")
"""The columns that say which text a row belongs to."""

NUMBERS = tuple(name for name, kind in COLUMN_TYPES.items() if kind is float)
"""The columns with one real number a token."""

TOPS = tuple(name for name, kind in COLUMN_TYPES.items() if get_args(kind))
"""The columns with a list a token, filled where the most probable tokens were kept."""

LATER = ("entropy_after", "log_prob_after", "tail")
"""Columns that a file of an earlier version may lack."""


def trace_schema() -> pyarrow.Schema:
    """The Arrow schema of `traces.parquet`.

    Example:
        >>> trace_schema().names[:5], str(trace_schema().field("top_ids").type)
        (['policy', 'prompt_id', 'sample_id', 'step', 'token_id'], 'list<item: int64>')
    """
    import pyarrow

    arrow = {
        str: pyarrow.string(),
        int: pyarrow.int64(),
        float: pyarrow.float64(),
        list[int]: pyarrow.list_(pyarrow.int64()),
        list[float]: pyarrow.list_(pyarrow.float64()),
    }
    return pyarrow.schema([(name, arrow[kind]) for name, kind in COLUMN_TYPES.items()])
