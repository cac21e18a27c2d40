"""CSV, read strictly, and TSV, with errors at the line at which a row begins."""

from __future__ import annotations

import csv
import re
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from temp_processors.datafiles.errors import RowsError
from temp_processors.datafiles.formats import DataFile
from temp_processors.datafiles.position import Position

LONGEST_CELL = 100_000_000
"""Characters of one field of a CSV file; more is a quote that is never closed."""
IN_QUOTES = re.compile(r'"((?:[^"]|"")*)"')


def table_rows(path: Path, records: Iterator[tuple[int, list[str]]]) -> Iterator[dict[str, Any]]:
    """Rows by the names of the first record, from (line, fields)."""
    _, head = next(records, (1, []))
    refuse_repeated(head, path)
    for line, fields in records:
        if len(fields) != len(head):
            raise RowsError(f"{path}:{line}: has {len(fields)} fields, and the head has {len(head)}: {', '.join(head)}")
        yield dict(zip(head, fields, strict=True))


def refuse_repeated(columns: Sequence[str], path: Path) -> None:
    """Raise `RowsError` where two columns have one name; several may have none."""
    repeated = [name for name in columns if name and columns.count(name) > 1]
    if repeated:
        raise RowsError(f"{path}: has two columns named {repeated[0]!r}")


_csv_limit = threading.Lock()


@contextmanager
def _long_cells() -> Iterator[None]:
    """The module `csv` with a limit of `LONGEST_CELL`, which it keeps for the whole process: as short as can be, one thread at a time."""
    with _csv_limit:
        before = csv.field_size_limit(LONGEST_CELL)
        try:
            yield
        finally:
            csv.field_size_limit(before)


CSV_ERRORS = {
    "unexpected end of data": "a quote that opens in this row is never closed",
    "',' expected after '\"'": "a quote ends before its field does: a quote inside of quotes is written twice",
    f"field larger than field limit ({LONGEST_CELL})": f"a field of more than {LONGEST_CELL:,} characters: is a quote never closed?",
}  # fmt: skip


def csv_records(file: DataFile, position: Position | None = None) -> Iterator[tuple[int, list[str]]]:
    """(line, fields) of every record that is not blank; the line is that at which it begins.

    Raises:
        RowsError: Its quotes are not those of a table.
    """
    reader = csv.reader(file.lines(position), strict=True)
    while True:
        line = reader.line_num + 1
        try:
            with _long_cells():
                fields = next(reader, None)
        except csv.Error as error:
            raise RowsError(f"{file.path}:{line}: is no table: {CSV_ERRORS.get(str(error), error)}") from error
        if fields is None:
            return
        if fields:
            yield line, fields


def tsv_records(file: DataFile, position: Position | None = None) -> Iterator[tuple[int, list[str]]]:
    """(line, fields) of every line that is not blank."""
    for number, line in enumerate(file.lines(position), start=1):
        if line.strip("\r\n"):
            yield number, [_unquoted(field) for field in line.rstrip("\r\n").split("\t")]


def _unquoted(field: str) -> str:
    whole = IN_QUOTES.fullmatch(field) if field.startswith('"') else None
    return whole[1].replace('""', '"') if whole else field
