"""JSON Lines and JSON lists, with errors at the line."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator
from itertools import chain
from pathlib import Path
from typing import Any

from temp_processors.datafiles.errors import RowsError
from temp_processors.datafiles.formats import DataFile
from temp_processors.datafiles.position import Position

HALF = re.compile(r"\\u[dD][89a-fA-F]")
"""The escape of half a character."""


class _RepeatedNameError(ValueError):
    """An object of JSON with two values of one name."""


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) < len(pairs):
        names = [name for name, _ in pairs]
        raise _RepeatedNameError(f"has two values named {next(n for n in names if names.count(n) > 1)!r}")
    return found


def parse_json(text: str, path: Path, line: int = 1) -> Any:
    """JSON as data that can be computed with and written as UTF-8.

    Args:
        text: What is parsed.
        path: The file that it comes from, for messages.
        line: The line at which it begins.

    Raises:
        RowsError: It is not JSON, is nested too deep, holds half of a character, a number too long to compute with, or a name twice.
    """
    where = f"{path}:{line}"
    try:
        value = json.loads(text, object_pairs_hook=_object)
        if HALF.search(text):
            json.dumps(value, ensure_ascii=False).encode()
    except json.JSONDecodeError as error:
        where = f"{path}:{line + error.lineno - 1}"
        raise RowsError(f"{where}: is not JSON: {error.msg.removesuffix(' at')} at character {error.colno}") from error
    except RecursionError as error:
        raise RowsError(f"{where}: is nested too deep") from error
    except UnicodeEncodeError as error:
        raise RowsError(f"{where}: holds half of a character (a lone surrogate), which is no text") from error
    except _RepeatedNameError as error:
        raise RowsError(f"{where}: {error}") from error
    except ValueError as error:
        raise RowsError(f"{where}: holds a number of more digits than can be computed with") from error
    return value


def json_lines(path: Path, lines: Iterable[tuple[int, str]]) -> Iterator[dict[str, Any]]:
    """The objects of (number, line), blank lines skipped. Raises `RowsError` as `parse_json`, and for what is no object."""
    for number, line in lines:
        if line.strip():
            yield _row(parse_json(line.strip(), path, number), f"{path}:{number}")


def json_rows(file: DataFile, position: Position | None = None) -> Iterator[dict[str, Any]]:
    """The rows of one list, or of one object a line."""
    lines = enumerate(file.lines(position), start=1)
    first = next(((number, line) for number, line in lines if line.strip()), None)
    if first is None:
        return
    if not first[1].lstrip().startswith("["):
        yield from json_lines(file.path, chain([first], lines))
        return
    found = parse_json(first[1] + "".join(line for _, line in lines), file.path, first[0])
    yield from (_row(row, f"{file.path}: row {number}") for number, row in enumerate(found, start=1))


def _row(row: Any, where: str) -> dict[str, Any]:
    if not isinstance(row, dict):
        raise RowsError(f"{where}: has to be a JSON object, but is {json.dumps(row)[:40]}")
    return row
