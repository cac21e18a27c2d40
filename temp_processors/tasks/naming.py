"""The short form of a kind in YAML: its name alone, for a mapping of `kind` and options."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from pydantic import BaseModel

from temp_processors.policies.mistakes import suggestion


def named_kind(value: Any, kinds: Mapping[str, type[BaseModel]], what: str) -> Any:
    """A name as a mapping with that `kind`; a mapping or an object as it is.

    Args:
        value: What a configuration holds.
        kinds: By name.
        what: The noun for errors, `answer` or `score`.

    Raises:
        ValueError: No such kind, or a name alone for a kind that needs more.
    """
    if isinstance(value, BaseModel):
        return value
    if not isinstance(value, (str, Mapping)):
        raise ValueError(f"has to be the name of a kind or a mapping with `kind`, but is {value!r}")
    name = value if isinstance(value, str) else value.get("kind")
    if name is None:
        raise ValueError(f"`kind` is missing: it says which {what} this is; allowed: {', '.join(kinds)}")
    if not isinstance(name, str) or name not in kinds:
        hint = suggestion(name, kinds) or f"; allowed: {', '.join(kinds)}"
        raise ValueError(f"{name!r} is not a kind of {what}{hint}")
    needed = [field.alias or key for key, field in kinds[name].model_fields.items() if field.is_required()]
    if isinstance(value, str):
        if needed:
            shown = ", ".join(f"{key}: ..." for key in needed)
            raise ValueError(f"{name!r} alone says too little: write {{kind: {name}, {shown}}}")
        return {"kind": name}
    return dict(value)
