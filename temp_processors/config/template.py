"""Prompts made of columns: `"Q: {question}\\nA:"`, few-shot text included.

`{column}` is a text or a number of the row, `{choices[0]}` a part of a list, `{answers[text][0]}` of a mapping, and `{choices:letters}` a
list with one line an entry, `A. first`, `B. second`. Braces that are meant as such are doubled: `{{` and `}}`. Attributes and everything
else that Python's format strings can do are refused.
"""

from __future__ import annotations

import string
from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple

from temp_processors.policies.mistakes import suggestion

LETTERS = "letters"


class Part(NamedTuple):
    """Text as it is, then a field: a column, the way into it, and whether it is written with letters."""

    text: str
    column: str | None
    way: tuple[str | int, ...]
    letters: bool


def parts_of(template: str) -> Iterator[Part]:
    """The parts of a template.

    Raises:
        ValueError: It is no template, or asks for more than columns.
    """
    for text, field, form, conversion in string.Formatter().parse(template):
        if field is None:
            yield Part(text, None, (), False)
            continue
        column, way = _way(field)
        if conversion or form not in ("", LETTERS):
            shown = f"{{{field}{'!' + conversion if conversion else ''}{':' + form if form else ''}}}"
            raise ValueError(
                f"has {shown}: a column is written as {{{column}}}, a list with letters as {{{column}:letters}}"
            )
        yield Part(text, column, way, form == LETTERS)


def _way(field: str) -> tuple[str, tuple[str | int, ...]]:
    column, bracket, rest = field.partition("[")
    if not column.strip() or "." in column or "]" in column:
        raise ValueError(
            f"has {{{field}}}, which names no column; braces that are meant as such are doubled: {{{{ }}}}"
        )
    if not bracket:
        return column, ()
    if not rest.endswith("]"):
        raise ValueError(f"has {{{field}}}, whose bracket is not closed behind it")
    keys = rest[:-1].split("][")
    return column, tuple(int(key) if key.isdecimal() else key for key in keys)


def checked_template(template: str) -> str:
    """The template, if it is one.

    Raises:
        ValueError: As `parts_of`, or it names no column, so that all prompts would be the same.
    """
    try:
        named = [part.column for part in parts_of(template) if part.column is not None]
    except ValueError as error:
        known = str(error)
        raise ValueError(
            known if known.startswith("has ") else f"is no template: {known}; it is {template!r}"
        ) from error
    if not named:
        raise ValueError(f"names no column, so that all prompts would be the same: {template!r}")
    return template


def filled_template(template: str, row: Mapping[str, Any]) -> str:
    """The prompt that a row gives.

    Raises:
        ValueError: The row has no such column or part, or what is there is no text and no number.

    Example:
        >>> filled_template("Q: {q}\\n{options:letters}\\nA:", {"q": "Which barks?", "options": ["cat", "dog"]})
        'Q: Which barks?\\nA. cat\\nB. dog\\nA:'
    """
    return "".join(part.text + (_field(part, row) if part.column is not None else "") for part in parts_of(template))


def _field(part: Part, row: Mapping[str, Any]) -> str:
    assert part.column is not None
    if part.column not in row:
        hint = suggestion(part.column, row) or f"; columns: {', '.join(map(str, row))}"
        raise ValueError(f"there is no column {part.column!r}{hint}")
    value, shown = row[part.column], part.column
    for key in part.way:
        try:
            value = value[key]
        except (KeyError, IndexError, TypeError) as error:
            raise ValueError(f"{shown!r} has no part [{key}]: it is {str(value)[:60]!r}") from error
        shown += f"[{key}]"
    if part.letters:
        if not isinstance(value, list) or not 0 < len(value) <= 26:
            raise ValueError(
                f"{shown!r} has to be a list of 1 to 26 entries to be written with letters, but is {str(value)[:60]!r}"
            )
        return "\n".join(
            f"{letter}. {_plain(entry, shown)}" for letter, entry in zip(string.ascii_uppercase, value, strict=False)
        )
    return _plain(value, shown)


def _plain(value: Any, shown: str) -> str:
    if isinstance(value, str):
        return value
    if isinstance(value, (int, float)) and not isinstance(value, bool):
        return str(value)
    more = (
        f": name its parts, as {{{shown}[0]}}, or write {{{shown}:letters}}" if isinstance(value, (list, dict)) else ""
    )
    raise ValueError(f"{shown!r} holds {str(value)[:60]!r}, which is no text and no number{more}")
