"""The `traces` section of a configuration: whether a run records what its policies did at every token, and how much."""

from __future__ import annotations

from typing import Annotated

from pydantic import BaseModel, ConfigDict, Discriminator, Field, Tag


class TraceOptions(BaseModel):
    """What `traces.parquet` holds.

    Args:
        top_k: How many of the most probable tokens to keep at every step, with their logits.
        samples_per_policy: Trace this many samples of every policy: the first of each prompt, then the second, and so on.
            By default as many as 8,000 tokens allow (fewer for vocabularies above 3,750), and one prompt at least.
    """

    model_config = ConfigDict(strict=True, frozen=True, extra="forbid")

    top_k: Annotated[int, Field(ge=1)] = 10
    samples_per_policy: Annotated[int, Field(ge=1)] | None = None


def _tag(value: object) -> str:
    return "mapping" if isinstance(value, (dict, TraceOptions)) else "switch"


SwitchOrOptions = Annotated[
    Annotated[bool, Tag("switch")] | Annotated[TraceOptions, Tag("mapping")], Discriminator(_tag)
]
"""In YAML true, false, or a mapping of options."""


def trace_options(traces: bool | TraceOptions) -> TraceOptions | None:
    """The options that a switch stands for; None where nothing is traced."""
    if isinstance(traces, TraceOptions):
        return traces
    return TraceOptions() if traces else None
