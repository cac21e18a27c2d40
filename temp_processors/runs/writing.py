"""The files that samples are appended to while they are drawn, and the Parquet file that is made of them."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, Sequence
from itertools import islice
from pathlib import Path
from types import TracebackType
from typing import Any, BinaryIO, NamedTuple

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from temp_processors.runs.checksums import DamagedLineError
from temp_processors.runs.columns import table_of
from temp_processors.runs.folder import RunFolderError
from temp_processors.runs.sample import Sample, needs_checks, sample_line, sample_of_line, sample_schema

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
        try:
            self._file: BinaryIO = self.path.open("ab", buffering=0)
        except OSError as error:
            raise self._not_written(error) from error

    def __enter__(self) -> Part:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        with self._file:
            try:
                os.fsync(self._file.fileno())
            except OSError as failure:
                if error is None:
                    raise self._not_written(failure) from failure

    def write(self, sample: Sample) -> None:
        """Append one line.

        Raises:
            RunFolderError: The disk is full or gone, or the folder was deleted or renamed.
        """
        left = memoryview(sample_line(sample).encode())
        try:
            while left:
                left = left[self._file.write(left) :]
            here, written = self.path.stat(), os.fstat(self._file.fileno())
        except FileNotFoundError as error:
            raise self._gone() from error
        except OSError as error:
            raise self._not_written(error) from error
        if (here.st_dev, here.st_ino) != (written.st_dev, written.st_ino):
            raise self._gone()
        self.kept += 1

    def _not_written(self, error: OSError) -> RunFolderError:
        return RunFolderError(
            f"{self.path}: cannot be written: {error.strerror}; what was finished before is kept: "
            "make room and go on with --resume"
        )

    def _gone(self) -> RunFolderError:
        """The folder is elsewhere, or deleted: what was finished is wherever the file is now, if it is anywhere."""
        if os.fstat(self._file.fileno()).st_nlink:
            return RunFolderError(
                f"{self.path}: was renamed while the run went on; what was finished is in the file under its new name: "
                "go on with --resume and --out NEW_FOLDER"
            )
        return RunFolderError(
            f"{self.path}: was deleted while the run went on, and what was finished with it: begin again"
        )


def write_parquet(samples: Path, target: Path, policies: Sequence[str]) -> int:
    """`samples.jsonl` as Parquet, in the order policy, prompt, sample, whatever the order on disk; how many samples there are.

    Holds `ROWS_AT_ONCE` samples in memory at a time. Read it with `datasets.load_dataset("parquet", data_files=...)`.

    Raises:
        RunFolderError: The disk is full, the folder is read-only, or a line is damaged.
    """
    needed = needs_checks(samples.parent)
    with samples.open("rb") as lines:
        places = _places(lines, {name: position for position, name in enumerate(policies)}, needed)
        order = iter(places)
        batches = iter(lambda: [_row_at(lines, place, needed) for place in islice(order, ROWS_AT_ONCE)], [])
        write_table(target, sample_schema(), batches)
    return len(places)


class DrawnText(NamedTuple):
    """What scoring needs of a sample; names as in `Sample`."""

    policy: str
    prompt_id: int
    sample_id: int
    prompt: str
    text: str
    log_prob: float | None
    scored_tokens: int | None


def read_drawn_texts(path: Path) -> Iterator[DrawnText]:
    """The texts of `samples.parquet`, in the order policy, prompt, sample: no other column is read, and of token ids only their number."""
    plain = ("policy", "prompt_id", "sample_id", "prompt", "text", "log_prob")
    with pq.ParquetFile(path, page_checksum_verification=True) as file:
        counted = [name for name in ("token_ids", "finish_reason", "tokens") if name in file.schema_arrow.names]
        for batch in file.iter_batches(batch_size=ROWS_AT_ONCE, columns=[*plain, *counted]):
            drawn = pc.list_value_length(batch["token_ids"]).to_pylist()
            told = batch["tokens"].to_pylist() if "tokens" in counted else [None] * len(drawn)
            ended = batch["finish_reason"].to_pylist()  # for a text to compare with, pyarrow would import pandas
            tokens = [
                other if own is None else own + (reason == "stop")
                for own, other, reason in zip(drawn, told, ended, strict=True)
            ]
            yield from map(DrawnText, *(batch[name].to_pylist() for name in plain), tokens)


def read_parquet(path: Path) -> Iterator[Sample]:
    """The samples of `samples.parquet`, in the order policy, prompt, sample; `ROWS_AT_ONCE` are in memory at a time."""
    with pq.ParquetFile(path, page_checksum_verification=True) as file:
        for batch in file.iter_batches(batch_size=ROWS_AT_ONCE):
            for row in batch.to_pylist():
                yield Sample(**row)


def write_table(target: Path, columns: pa.Schema, batches: Iterable[list[dict[str, Any]]]) -> None:
    """A Parquet file of all rows of all batches, whole or not at all, with a checksum in every page; one batch is in memory at a time.

    Raises:
        RunFolderError: The disk is full, or the folder is read-only.
    """
    partial = target.with_name(f".{target.name}.partial")
    try:
        try:
            with pq.ParquetWriter(partial, columns, write_page_checksum=True) as out:
                for rows in batches:
                    out.write_table(table_of(rows, columns))
            with partial.open("rb") as file:
                os.fsync(file.fileno())
            partial.replace(target)
        finally:
            partial.unlink(missing_ok=True)
    except OSError as error:
        raise RunFolderError(f"{target}: cannot be written: {error.strerror or error}") from error


def _places(lines: BinaryIO, policies: dict[str, int], needed: bool) -> list[int]:
    """Where in the file each sample begins, in the order policy, prompt, sample."""
    found, place = [], 0
    for number, line in enumerate(lines, start=1):
        try:
            sample = sample_of_line(line, needed=needed)
        except DamagedLineError as error:
            raise RunFolderError(f"{lines.name}:{number}: is damaged: {error}") from error
        found.append((policies[sample.policy], sample.prompt_id, sample.sample_id, place))
        place += len(line)
    return [place for *_, place in sorted(found)]


def _row_at(lines: BinaryIO, place: int, needed: bool) -> dict[str, Any]:
    lines.seek(place)
    return vars(sample_of_line(lines.readline(), needed=needed))
