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
        raise refused(told_of(error), code) from error


def told_of(error: Exception) -> str:
    """An error in a line; of the system's own the file and its reason, without the number and Python's quotes.

    Example:
        >>> told_of(FileNotFoundError(2, "No such file or directory", "nowhere/a.svg")), told_of(ValueError("no"))
        ('nowhere/a.svg: No such file or directory', 'no')
    """
    if isinstance(error, OSError) and error.filename is not None and error.strerror:
        return f"{error.filename}: {error.strerror}"
    return str(error)
