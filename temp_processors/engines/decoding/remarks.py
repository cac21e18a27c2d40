"""What the log says about a model, once for each model and kind of remark."""

from __future__ import annotations

import logging
from typing import Any
from weakref import WeakKeyDictionary

logger = logging.getLogger(__name__)
_said: WeakKeyDictionary[Any, set[str]] = WeakKeyDictionary()


def remark(model: Any, about: str, message: str) -> None:
    """Write `message` to the log, unless something `about` the same was said of this model.

    Args:
        model: Whose remark it is; forgotten with the model.
        about: What it is about, such as "padding": a second message about it is left out even if it reads otherwise.
        message: The line, without the model's class, which stands before it.
    """
    said = _said.setdefault(model, set())
    if about not in said:
        said.add(about)
        logger.warning("%s: %s", type(model).__name__, message)
