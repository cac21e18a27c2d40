"""Tell griffe that an `Example:` of a docstring is code: it knows the section as `Examples:` alone."""

from __future__ import annotations

import re
from typing import Any

from griffe import Extension, Object

EXAMPLE = re.compile(r"^Example:\n(?=\s*>>>)", flags=re.M)


class Examples(Extension):
    """Rename the section before it is read."""

    def on_object(self, *, obj: Object, **_: Any) -> None:
        """Called for every object that griffe finds."""
        if obj.docstring is not None:
            obj.docstring.value = EXAMPLE.sub("Examples:\n", obj.docstring.value)
