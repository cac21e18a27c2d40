"""What the readers of all formats share: numbers with an error that names the field, and the sorting of fields."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from typing import Any

from temp_processors.policies.mistakes import suggestion


def number(fields: Mapping[str, Any], name: str, default: float) -> float:
    """A finite number; the default where the field is missing or null.

    Raises:
        ValueError: It is something else.
    """
    value = fields.get(name)
    if value is None:
        return default
    if isinstance(value, bool) or not isinstance(value, (int, float)) or not math.isfinite(value):
        raise ValueError(f"{name} has to be a number, but is {value!r}")
    return value


def whole(fields: Mapping[str, Any], name: str, default: int) -> int:
    """A whole number, as `number`; 40.0 is one too."""
    value = number(fields, name, default)
    if value != int(value):
        raise ValueError(f"{name} has to be a whole number, but is {value!r}")
    return int(value)


def on(fields: Mapping[str, Any], off: Mapping[str, tuple[Any, ...]], why: str) -> list[str]:
    """A sentence for each field that is given and not at one of its off values."""
    given = {name: fields.get(name) for name in off}
    return [
        f"{name} ({value!r}): {why}" for name, value in given.items() if value is not None and value not in off[name]
    ]


def unknown(fields: Iterable[str], known: Iterable[str], source: str) -> list[str]:
    """A sentence for each field that nobody knows, with the one that was probably meant."""
    names = set(known)
    return [f"{name}: no field of {source}{suggestion(name, names)}" for name in fields if name not in names]
