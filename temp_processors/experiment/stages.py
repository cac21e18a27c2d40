"""The stages of a run before and after its texts are drawn, told with their seconds: `scoring: 0.3 s`."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext

from rich.console import Console
from rich.live import Live
from rich.spinner import Spinner


@contextmanager
def stage(console: Console, name: str, *, spinner: bool = True) -> Iterator[None]:
    """Show on a terminal that a stage goes on, and print how long it took; one that fails prints nothing.

    Args:
        console: Where; a quiet one shows nothing.
        name: What is done: `model`, `scoring`, `traces`, `page`, `pictures`.
        spinner: Show that it goes on; not where others print meanwhile (loading a model: bars and logs of its libraries).

    Example:
        >>> import io
        >>> console = Console(file=io.StringIO())
        >>> with stage(console, "scoring"):
        ...     pass
        >>> console.file.getvalue()
        'scoring: 0.0 s\\n'
    """
    begun = time.monotonic()
    with _shown(console, name) if spinner and console.is_terminal and not console.quiet else nullcontext():
        yield
    console.print(f"{name}: {time.monotonic() - begun:.1f} s", highlight=False, markup=False)


def _shown(console: Console, name: str) -> Live:
    """A line that goes when the stage ends. What others print meanwhile stays where it was sent: stdout may be a file."""
    spinner = Spinner("dots", text=name)
    return Live(spinner, console=console, transient=True, redirect_stdout=False, redirect_stderr=False)
