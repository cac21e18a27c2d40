"""The record of a sample: its fields are the columns of `samples.jsonl` and `samples.parquet`, in this order."""

from __future__ import annotations

import json
import math
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from functools import cache
from itertools import islice
from pathlib import Path
from types import UnionType
from typing import TYPE_CHECKING, Any, BinaryIO, Literal, get_args, get_type_hints, overload

from temp_processors.datafiles import RowsError
from temp_processors.runs.checksums import SUMS, DamagedLineError, sealed, unsealed

if TYPE_CHECKING:
    import pyarrow
    import pydantic
    from pydantic_core import ErrorDetails

Key = tuple[str, int, int]
"""Policy name, prompt number, sample number."""


@dataclass(frozen=True)
class Sample:
    """One continuation, as a line of `samples.jsonl`.

    `token_ids` are the new tokens without the end-of-sequence token; `log_prob` is their summed natural-log probability
    (end-of-sequence included where it was drawn) under the model without any temperature. `finish_reason` is `stop_text` where one of
    the texts of `stop` appeared: `text` ends before it, `token_ids` with the token that brought it.

    A server may tell no token ids and no log-probability before the temperature: they are None (null) then, and `tokens` is how many
    the server counts, None where it does not say.

    The rest is of texts of `kind: power` and None elsewhere: `computed_tokens`, the tokens that were computed for this one text;
    for `method: smc` the effective sample size `ess` of its particles, how often they were resampled and how many `ancestors` the
    last have among the first; for `method: mh` the share of its moves in `acceptance`. A line leaves out what is None.
    """

    policy: str
    prompt_id: int
    sample_id: int
    seed: int
    prompt: str
    text: str
    token_ids: list[int] | None
    finish_reason: Literal["stop", "stop_text", "length"]
    log_prob: float | None
    computed_tokens: int | None = None
    ess: float | None = None
    resamplings: int | None = None
    ancestors: int | None = None
    acceptance: float | None = None
    tokens: int | None = None

    @property
    def scored_tokens(self) -> int | None:
        """How many tokens `log_prob` sums over; None where a server does not say."""
        if self.token_ids is None:
            return self.tokens
        return len(self.token_ids) + (self.finish_reason == "stop")

    @property
    def key(self) -> Key:
        """What tells this sample from all others of its run."""
        return self.policy, self.prompt_id, self.sample_id


class Samples:
    """Every sample on disk, read anew at each loop and one at a time, so that any number of them fits into memory.

    Every line is compared with its checksum; a run of a version that wrote none is read as it is. A last line without its end is what a
    run that was stopped left, and is no sample.

    Args:
        path: A `samples.jsonl`.

    Raises:
        RowsError: While looping: there is no such file, or a line is not as the run wrote it; with the number of the line.
    """

    def __init__(self, path: Path) -> None:
        self.path = path

    def __iter__(self) -> Iterator[Sample]:
        needed = needs_checks(self.path.parent)
        with self._open() as lines:
            for number, line in enumerate(lines, start=1):
                if not line.endswith(b"\n") and not (self.path.parent / "DONE").exists():
                    return
                try:
                    sample = sample_of_line(line, needed=needed)
                except DamagedLineError as error:
                    raise RowsError(
                        f"{self.path}:{number}: is damaged: {error}; `run --resume` draws this sample again"
                    ) from error
                yield sample

    def __len__(self) -> int:
        with self._open() as lines:
            return sum(1 for _ in lines)

    def _open(self) -> BinaryIO:
        try:
            return self.path.open("rb")
        except OSError as error:
            raise RowsError(f"{self.path}: cannot be read: {error.strerror}") from error

    @overload
    def __getitem__(self, place: int) -> Sample: ...
    @overload
    def __getitem__(self, place: slice) -> list[Sample]: ...
    def __getitem__(self, place: int | slice) -> Sample | list[Sample]:
        """The sample of one line, or those of a slice; reads the file up to there."""
        count = len(self)
        if isinstance(place, slice):
            wanted = range(count)[place]
            held = {number: sample for number, sample in enumerate(self) if number in wanted}
            return [held[number] for number in wanted]
        if not -count <= place < count:
            raise IndexError(f"there are {count} samples, so there is none at {place}")
        return next(islice(self, place % count, None))


NULLABLE = ("token_ids", "log_prob")
"""Fields that every line has, null where a server does not tell them."""


def sample_line(sample: Sample) -> str:
    """One line of `samples.jsonl`, checksum and newline included."""
    fields = {name: value for name, value in asdict(sample).items() if value is not None or name in NULLABLE}
    return sealed(json.dumps(fields, ensure_ascii=False)).decode()


def needs_checks(folder: Path) -> bool:
    """Whether every line of the folder's samples has a checksum: a run of a version before wrote neither them nor `SHA256SUMS`."""
    return (folder / SUMS).exists()


def sample_of_line(line: bytes, *, needed: bool) -> Sample:
    """The sample of one line, after comparing its checksum and the types of its fields.

    Args:
        line: As it stands in `samples.jsonl`.
        needed: Whether a line without a checksum is refused.

    Raises:
        DamagedLineError: It is not as a run wrote it; the message says why.
    """
    import pydantic

    text = unsealed(line, needed=needed)
    try:
        sample = _reader().validate_json(text, strict=True)
    except pydantic.ValidationError as error:
        raise DamagedLineError(_reason(error.errors(include_url=False)[0])) from error
    if sample.log_prob is not None and not math.isfinite(sample.log_prob):
        raise DamagedLineError(f"log_prob: is {sample.log_prob}")
    return sample


def _reason(details: ErrorDetails) -> str:
    """What pydantic found in one line, in our words."""
    place, said = ".".join(map(str, details["loc"])), details["msg"]
    if details["type"] == "json_invalid":
        return "it is nested too deep" if "recursion" in said else said
    if details["type"] == "missing":
        return f"it has no `{place}`"
    said = said.replace("Input should be", f"{place or 'it'} has to be")
    return f"{said}, but is {str(details['input'])[:40]!r}"


@cache
def _reader() -> pydantic.TypeAdapter[Sample]:
    import pydantic

    return pydantic.TypeAdapter(Sample)


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


def _without_none(kind: Any) -> Any:
    """The type of a column that may be empty."""
    return get_args(kind)[0] if isinstance(kind, UnionType) else kind


COLUMN_TYPES: dict[str, Any] = {name: _without_none(kind) for name, kind in get_type_hints(Sample).items()}
"""Python type of every column; a `Literal` is a string in Arrow."""
