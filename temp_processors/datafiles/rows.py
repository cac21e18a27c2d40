"""Rows of files and datasets, whatever the format."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

from temp_processors.datafiles.errors import RowsError, expanded, expanded_path, reason_of
from temp_processors.datafiles.formats import DataFile, Format
from temp_processors.datafiles.json_rows import json_lines, json_rows
from temp_processors.datafiles.position import Position
from temp_processors.datafiles.tables import csv_records, refuse_repeated, table_rows, tsv_records


def read_rows(
    path: Path,
    column: str = "text",
    asked: Sequence[str] = (),
    also: Sequence[str] = (),
    *,
    position: Position | None = None,
) -> Iterator[dict[str, Any]]:
    """Rows of one file, streamed.

    Args:
        path: JSON Lines, a JSON list, CSV, TSV or Parquet by its suffix, also compressed (`.gz`, `.bz2`, `.xz`, `.zst`); other names are
            plain text, one row a line, blank lines skipped. A TSV has one row a line: a field in quotes from end to end is unquoted, any
            other quote is text.
        column: Name under which a line of plain text appears.
        asked: Columns that the caller cannot do without. Where all are there, a Parquet file gives these and `also`, and nothing else is
            read from it; all columns of it by default.
        also: Columns that the caller takes where there are such.
        position: Is moved on as the file is read.

    Raises:
        RowsError: No such file, a suffix of something else, not UTF-8 (with the line), not JSON (with the line), no table (with the line),
            two columns of one name, or damaged.
    """
    path = expanded_path(path)
    try:
        present, folder = path.exists(), path.is_dir()
    except OSError as error:
        raise RowsError(f"{path}: {reason_of(error)}") from error
    if folder or not present:
        raise RowsError(f"{path}: {'is a folder, not a file' if folder else 'no such file'}")
    file = DataFile.named(path)
    if file.format == "text":
        return ({column: line} for line in _plain(file, position))
    readers: dict[Format, Callable[[DataFile], Iterator[dict[str, Any]]]] = {
        "jsonl": lambda found: json_lines(found.path, enumerate(found.lines(position), start=1)),
        "json": lambda found: json_rows(found, position),
        "csv": lambda found: table_rows(found.path, csv_records(found, position)),
        "tsv": lambda found: table_rows(found.path, tsv_records(found, position)),
        "parquet": lambda found: _parquet(found, asked, also, position or Position()),
    }
    return readers[file.format](file)


def read_dataset(
    name: str, subset: str | None = None, split: str = "train", *, streaming: bool = False
) -> Iterator[dict[str, Any]]:
    """Rows of a dataset: a folder that `save_to_disk` wrote, a folder of data files, or a Hub id.

    Raises:
        RowsError: It cannot be found, has no such split, or is damaged.
    """
    import pyarrow
    from datasets import DatasetDict, load_dataset, load_from_disk
    from datasets.exceptions import DatasetsError

    name = expanded(name)
    if not name.strip("/ "):
        raise RowsError(f"{name!r} names no dataset")
    try:
        if (Path(name) / "dataset_info.json").is_file() or (Path(name) / "dataset_dict.json").is_file():
            found: Any = load_from_disk(name)
            yield from found[split] if isinstance(found, DatasetDict) else found
        else:
            yield from load_dataset(name, subset, split=split, streaming=streaming)
    except (DatasetsError, OSError, KeyError, ValueError, pyarrow.ArrowException) as error:
        raise RowsError(f"{name}: cannot be read as a dataset: {reason_of(error)}") from error


def column_of(row: dict[str, Any], column: str, where: str) -> Any:
    """The value of a column.

    Raises:
        RowsError: No such column; the message names those that exist.
    """
    if column not in row:
        raise RowsError(f"{where}: there is no column {column!r}; columns: {', '.join(map(str, row))}")
    return row[column]


def text_of(value: Any) -> str | None:
    """A text, or the text of content parts as chats have them; None for anything else.

    Example:
        >>> text_of("hi"), text_of([{"type": "text", "text": "h"}, {"type": "text", "text": "i"}]), text_of([5]), text_of([])
        ('hi', 'hi', None, None)
    """
    if isinstance(value, str):
        return value
    if not isinstance(value, list) or not value:
        return None
    parts = [part.get("text") if isinstance(part, dict) and part.get("type") == "text" else None for part in value]
    return "".join(part for part in parts if part) if all(isinstance(part, str) for part in parts) else None


def _plain(file: DataFile, position: Position | None) -> Iterator[str]:
    for number, line in enumerate(file.lines(position), start=1):
        if "\0" in line:
            raise RowsError(f"{file.path}:{number}: holds a NUL character, so it is no text")
        if line.strip():
            yield line.rstrip("\r\n")


def _parquet(file: DataFile, asked: Sequence[str], also: Sequence[str], position: Position) -> Iterator[dict[str, Any]]:
    import pyarrow
    import pyarrow.parquet

    try:
        with pyarrow.parquet.ParquetFile(file.path) as table:
            names = table.schema_arrow.names
            refuse_repeated(names, file.path)
            few = bool(asked) and set(asked) <= set(names)  # else an error is to come, which names all columns
            columns = [name for name in names if name in {*asked, *also}] if few else None
            for batch in table.iter_batches(columns=columns):
                yield from batch.to_pylist()
                position.done += file.path.stat().st_size * len(batch) // table.metadata.num_rows
    except RowsError:
        raise
    except (pyarrow.ArrowException, OSError, ValueError, OverflowError) as error:
        raise RowsError(f"{file.path}: is not a Parquet file, or damaged: {reason_of(error)}") from error
