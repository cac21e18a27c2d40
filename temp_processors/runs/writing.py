"""The files that samples are appended to while they are drawn, and the Parquet file that is made of them."""

from __future__ import annotations

import json
import os
from collections.abc import Iterable, Iterator, Sequence
from itertools import islice
from pathlib import Path
from types import TracebackType
from typing import Any, BinaryIO

import pyarrow as pa
import pyarrow.parquet as pq

from temp_processors.runs.folder import RunFolderError
from temp_processors.runs.sample import Sample, sample_line, sample_schema

ROWS_AT_ONCE = 1000


class Part:
    """What one process writes: its samples, one line each, on disk as soon as they are finished.

    Args:
        folder: The run folder.
        rank: Position of the process; None when it is the only one, which then writes `samples.jsonl` itself.
    """

    def __init__(self, folder: Path, rank: int | None) -> None:
        self.path = folder / ("samples.jsonl" if rank is None else f"samples.{rank}.jsonl")
        self.kept = 0
        self._file: BinaryIO = self.path.open("ab", buffering=0)

    def __enter__(self) -> Part:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        with self._file:
            try:
                os.fsync(self._file.fileno())
            except OSError as failure:
                raise self._not_written(failure) from failure

    def write(self, sample: Sample) -> None:
        """Append one line.

        Raises:
            RunFolderError: The disk is full or gone.
        """
        left = memoryview(sample_line(sample).encode())
        try:
            while left:
                left = left[self._file.write(left) :]
        except OSError as error:
            raise self._not_written(error) from error
        self.kept += 1

    def _not_written(self, error: OSError) -> RunFolderError:
        return RunFolderError(
            f"{self.path}: cannot be written: {error.strerror}; what was finished before is kept: "
            "make room and go on with --resume"
        )


def write_parquet(samples: Path, target: Path, policies: Sequence[str]) -> None:
    """`samples.jsonl` as Parquet, in the order policy, prompt, sample, whatever the order on disk.

    Holds `ROWS_AT_ONCE` samples in memory at a time. Read it with `datasets.load_dataset("parquet", data_files=...)`.

    Raises:
        RunFolderError: The disk is full, or the folder is read-only.
    """
    with samples.open("rb") as lines:
        order = iter(_places(lines, {name: position for position, name in enumerate(policies)}))
        batches = iter(lambda: [_line_at(lines, place) for place in islice(order, ROWS_AT_ONCE)], [])
        write_table(target, sample_schema(), batches)


def read_parquet(path: Path) -> Iterator[Sample]:
    """The samples of `samples.parquet`, in the order policy, prompt, sample; `ROWS_AT_ONCE` are in memory at a time."""
    with pq.ParquetFile(path) as file:
        for batch in file.iter_batches(batch_size=ROWS_AT_ONCE):
            for row in batch.to_pylist():
                yield Sample(**row)


def write_table(target: Path, columns: pa.Schema, batches: Iterable[list[dict[str, Any]]]) -> None:
    """A Parquet file of all rows of all batches, whole or not at all; one batch is in memory at a time.

    Raises:
        RunFolderError: The disk is full, or the folder is read-only.
    """
    partial = target.with_name(f".{target.name}.partial")
    try:
        try:
            with pq.ParquetWriter(partial, columns) as out:
                for rows in batches:
                    out.write_table(pa.Table.from_pylist(rows, schema=columns))
            with partial.open("rb") as file:
                os.fsync(file.fileno())
            partial.replace(target)
        finally:
            partial.unlink(missing_ok=True)
    except OSError as error:
        raise RunFolderError(f"{target}: cannot be written: {error.strerror or error}") from error


def _places(lines: BinaryIO, policies: dict[str, int]) -> list[int]:
    """Where in the file each sample begins, in the order policy, prompt, sample."""
    found, place = [], 0
    for line in lines:
        sample = json.loads(line)
        found.append((policies[sample["policy"]], sample["prompt_id"], sample["sample_id"], place))
        place += len(line)
    return [place for *_, place in sorted(found)]


def _line_at(lines: BinaryIO, place: int) -> dict[str, Any]:
    lines.seek(place)
    sample: dict[str, Any] = json.loads(lines.readline())
    return sample
