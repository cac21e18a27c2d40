"""Rows of text files, JSONL, CSV, Parquet and datasets, one at a time, with errors that name the file and the line."""

from __future__ import annotations

import csv
import json
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

SUFFIXES = (".txt", ".jsonl", ".ndjson", ".csv", ".tsv", ".parquet")


class RowsError(ValueError):
    """A file or dataset cannot be read; the message says where and why."""


def expanded(path: str) -> str:
    """`path` with a leading `~` or `~user` as that home folder, as in a shell; anything else, such as a Hub id, as it is.

    Raises:
        RowsError: There is no such home folder, or the text holds a NUL character, which no path can hold.
    """
    if "\0" in path:
        raise RowsError(f"{path!r}: holds a NUL character, which no path can hold")
    try:
        return str(Path(path).expanduser()) if path.startswith("~") else path
    except RuntimeError as error:
        raise RowsError(f"{path}: there is no home folder {path.partition('/')[0]}") from error


def read_rows(path: Path, column: str = "text") -> Iterator[dict[str, Any]]:
    """Rows of one file, streamed.

    Args:
        path: `.jsonl`, `.csv`, `.tsv` and `.parquet` by their suffix; every other file is plain text, one row a line, blank lines
            skipped.
        column: Name under which a line of plain text appears.

    Raises:
        RowsError: No such file, not UTF-8 (with the line), not JSON (with the line), no table, or a `.json` file.
    """
    path = Path(expanded(str(path)))
    if not path.is_file():
        raise RowsError(f"{path}: no such file")
    if path.suffix == ".json":
        raise RowsError(f"{path}: one JSON document is no list of rows; write one object a line, as .jsonl")
    if path.suffix == ".parquet":
        yield from _parquet(path)
    elif path.suffix in (".csv", ".tsv"):
        yield from _table(path, "," if path.suffix == ".csv" else "\t")
    elif path.suffix in (".jsonl", ".ndjson"):
        yield from _jsonl(path)
    else:
        yield from ({column: line.rstrip("\r\n")} for line in _lines(path) if line.strip())


def read_dataset(
    name: str, subset: str | None = None, split: str = "train", *, streaming: bool = False
) -> Iterable[Any]:
    """Rows of a dataset: a folder that `save_to_disk` wrote, a folder of data files, or a Hub id.

    Raises:
        RowsError: It cannot be found or has no such split.
    """
    from datasets import DatasetDict, load_dataset, load_from_disk
    from datasets.exceptions import DatasetNotFoundError

    name = expanded(name)
    try:
        if (Path(name) / "dataset_info.json").is_file() or (Path(name) / "dataset_dict.json").is_file():
            found: Any = load_from_disk(name)
            chosen: Iterable[Any] = found[split] if isinstance(found, DatasetDict) else found
            return chosen
        rows: Iterable[Any] = load_dataset(name, subset, split=split, streaming=streaming)
        return rows
    except (DatasetNotFoundError, FileNotFoundError, ConnectionError, KeyError, ValueError) as error:
        reason = str(error).strip().splitlines()[0] if str(error).strip() else type(error).__name__
        raise RowsError(f"{name}: cannot be read as a dataset: {reason}") from error


def column_of(row: dict[str, Any], column: str, where: str) -> Any:
    """The value of a column.

    Raises:
        RowsError: No such column; the message names those that exist.
    """
    if column not in row:
        raise RowsError(f"{where}: there is no column {column!r}; columns: {', '.join(map(str, row))}")
    return row[column]


def _lines(path: Path) -> Iterator[str]:
    with path.open("rb") as binary:
        for number, line in enumerate(binary, start=1):
            try:
                yield line.decode("utf-8-sig" if number == 1 else "utf-8")
            except UnicodeDecodeError as error:
                raise RowsError(f"{path}:{number}: is not UTF-8 (byte {error.start} of the line)") from error


def _table(path: Path, delimiter: str) -> Iterator[dict[str, Any]]:
    reader = csv.DictReader(_lines(path), delimiter=delimiter)
    try:
        yield from reader
    except csv.Error as error:
        raise RowsError(f"{path}:{reader.line_num + 1}: is no table: {error}") from error


def _jsonl(path: Path) -> Iterator[dict[str, Any]]:
    for number, line in enumerate(_lines(path), start=1):
        if not line.strip():
            continue
        try:
            row = json.loads(line)
        except json.JSONDecodeError as error:
            raise RowsError(f"{path}:{number}: is not JSON: {error.msg} at character {error.colno}") from error
        if not isinstance(row, dict):
            raise RowsError(f"{path}:{number}: has to be a JSON object, but is {line.strip()[:40]}")
        yield row


def _parquet(path: Path) -> Iterator[dict[str, Any]]:
    import pyarrow.parquet

    try:
        for batch in pyarrow.parquet.ParquetFile(path).iter_batches():
            yield from batch.to_pylist()
    except pyarrow.ArrowInvalid as error:
        raise RowsError(f"{path}: is not a Parquet file: {error}") from error
