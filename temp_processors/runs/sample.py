"""The record of a sample: its fields are the columns of `samples.jsonl` and `samples.parquet`, in this order."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, get_type_hints

if TYPE_CHECKING:
    import pyarrow


@dataclass(frozen=True)
class Sample:
    """One continuation, as a line of `samples.jsonl`.

    `token_ids` are the new tokens without the end-of-sequence token; `log_prob` is their summed natural-log probability
    (end-of-sequence included where it was drawn) under the model without any temperature.
    """

    policy: str
    prompt_id: int
    sample_id: int
    seed: int
    prompt: str
    text: str
    token_ids: list[int]
    finish_reason: Literal["stop", "length"]
    log_prob: float

    @property
    def scored_tokens(self) -> int:
        """How many tokens `log_prob` sums over."""
        return len(self.token_ids) + (self.finish_reason == "stop")


class Samples:
    """Every sample on disk, read anew at each loop and one at a time, so that any number of them fits into memory.

    Args:
        path: A `samples.jsonl`.
    """

    def __init__(self, path: Path) -> None:
        self.path = path

    def __iter__(self) -> Iterator[Sample]:
        with self.path.open(encoding="utf-8") as lines:
            for line in lines:
                yield Sample(**json.loads(line))

    def __len__(self) -> int:
        with self.path.open("rb") as lines:
            return sum(1 for _ in lines)

    def __getitem__(self, place: int) -> Sample:
        """The sample of one line; reads the file up to there."""
        count = len(self)
        if not -count <= place < count:
            raise IndexError(f"there are {count} samples, so there is none at {place}")
        return next(islice(self, place % count, None))


def sample_line(sample: Sample) -> str:
    """One line of `samples.jsonl`, newline included."""
    return json.dumps(asdict(sample), ensure_ascii=False) + "\n"


def sample_key(line: bytes | str) -> tuple[str, int, int]:
    """Policy, prompt number and sample number of one line."""
    row = json.loads(line)
    return row["policy"], row["prompt_id"], row["sample_id"]


def is_readable(row: Any) -> bool:
    """Whether a parsed line has what showing a sample takes, of the types that `Sample` declares."""
    needed = ("policy", "prompt_id", "sample_id", "text")
    return isinstance(row, dict) and all(isinstance(row.get(name), COLUMN_TYPES[name]) for name in needed)


def sample_schema() -> pyarrow.Schema:
    """The Arrow schema of `samples.parquet`.

    Example:
        >>> sample_schema().names[:4], str(sample_schema().field("token_ids").type)
        (['policy', 'prompt_id', 'sample_id', 'seed'], 'list<item: int64>')
    """
    import pyarrow

    arrow = {
        str: pyarrow.string(),
        int: pyarrow.int64(),
        float: pyarrow.float64(),
        list[int]: pyarrow.list_(pyarrow.int64()),
    }
    return pyarrow.schema([(name, arrow.get(kind, pyarrow.string())) for name, kind in COLUMN_TYPES.items()])


COLUMN_TYPES: dict[str, Any] = get_type_hints(Sample)
"""Python type of every column; a `Literal` is a string in Arrow."""
