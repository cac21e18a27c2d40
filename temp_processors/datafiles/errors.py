"""What every reader of files raises, and paths with the home folder written out."""

from __future__ import annotations

from pathlib import Path


class RowsError(ValueError):
    """A file or dataset cannot be read; the message says where and why."""


def expanded(path: str) -> str:
    """`path` with a leading `~` or `~user` as that home folder, as in a shell; anything else, such as a Hub id, as it is.

    Raises:
        RowsError: There is no such home folder, or the text holds a NUL character, which no path can hold.
    """
    if "\0" in path:
        raise RowsError(f"{path!r}: holds a NUL character, which no path can hold")
    try:
        return str(Path(path).expanduser()) if path.startswith("~") else path
    except RuntimeError as error:
        raise RowsError(f"{path}: there is no home folder {path.partition('/')[0]}") from error


def expanded_path(path: Path) -> Path:
    """`expanded` for a path."""
    return Path(expanded(str(path)))


def is_there(path: Path) -> bool:
    """Whether there is a file or folder of this name; there is none of a name longer than names can be.

    Example:
        >>> is_there(Path("a" * 5000))
        False
    """
    try:
        return path.exists()
    except OSError:
        return False


def reason_of(error: BaseException) -> str:
    """What an error says, on one line."""
    said = (getattr(error, "strerror", None) or str(error)).strip()
    return said.splitlines()[0] if said else type(error).__name__
