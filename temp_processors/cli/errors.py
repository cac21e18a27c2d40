"""How a command ends: exit codes, and the one way to tell a user's mistake in a line."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import typer

from temp_processors.cli.console import say

FAILED = 1
"""Something that was asked for could not be done; what was done is kept."""
USER_ERROR = 2
"""The command cannot be carried out as it was given. click uses the same code for options that it does not know."""
INTERRUPTED = 130
"""Ctrl-C: 128 plus the number of SIGINT, as shells count."""


def refused(message: str, code: int = USER_ERROR) -> typer.Exit:
    """Tell the message on stderr; raise what is returned to end the command with `code`."""
    say(message, error=True)
    return typer.Exit(code)


@contextmanager
def told(*errors: type[Exception], code: int = USER_ERROR) -> Iterator[None]:
    """End the command with the message of these errors instead of a traceback."""
    try:
        yield
    except errors as error:
        raise refused(str(error), code) from error
