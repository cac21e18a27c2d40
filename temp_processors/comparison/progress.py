"""How far scoring is, on standard error: a bar with the time left at a terminal, a line now and then elsewhere."""

from __future__ import annotations

import time
from types import TracebackType

from rich.console import Console
from rich.progress import BarColumn, Progress, SpinnerColumn, TextColumn, TimeRemainingColumn

LINE_EVERY = 10.0
"""Seconds between two lines where there is no terminal."""
SHOWN_AFTER = 0.5
"""Seconds before anything is shown: what is done by then needs no bar."""


class Meter:
    """Shows how much of something is done.

    Args:
        doing: What, as `reading`.
        total: How much there is; None where nobody knows.
        unit: Of `total`, as `MB`.
        size: How many of what is counted make one of the unit.
        console: Where it is shown.
    """

    def __init__(
        self, doing: str, total: float | None, unit: str, size: float = 1.0, console: Console | None = None
    ) -> None:
        self._console = Console(stderr=True) if console is None else console
        self._doing, self._unit, self._size = doing, unit, size
        self._total = None if total is None else total / size
        amount = "{task.completed:,.0f}" + ("" if self._total is None else "/{task.total:,.0f}")
        columns = [SpinnerColumn(), TextColumn(f"{doing} {{task.fields[what]}}"), TextColumn(f"{amount} {unit}")]
        if self._total is not None:
            columns += [BarColumn(bar_width=None), TimeRemainingColumn(compact=True)]
        terminal = self._console.is_terminal
        self._bar = Progress(*columns, console=self._console, transient=True, disable=not terminal)
        self._task = self._bar.add_task("", total=self._total, visible=False, what="")
        self._begun = self._line_at = time.monotonic()

    def __enter__(self) -> Meter:
        self._bar.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._bar.stop()

    def show(self, done: float, what: str = "") -> None:
        """So much is done; `what` is under way."""
        now, done = time.monotonic(), done / self._size
        if not self._bar.disable:
            self._bar.update(self._task, completed=done, what=what, visible=now - self._begun > SHOWN_AFTER)
        elif now - self._line_at > LINE_EVERY:
            self._line_at = now
            self._console.print(
                self._line(done, what, now - self._begun), highlight=False, markup=False, soft_wrap=True
            )

    def _line(self, done: float, what: str, seconds: float) -> str:
        """The state in one line.

        Example:
            >>> Meter("reading", 500e6, "MB", 1e6)._line(100, "tales.jsonl", 30.0)
            'reading tales.jsonl: 100 of 500 MB, 2:00 left'
        """
        doing = f"{self._doing} {what}".strip()
        if self._total is None or not done:
            return f"{doing}: {done:,.0f} {self._unit}"
        left = clock(seconds * (self._total - done) / done)
        return f"{doing}: {done:,.0f} of {self._total:,.0f} {self._unit}, {left} left"


def clock(seconds: float) -> str:
    """`h:mm:ss`, or `m:ss` below an hour."""
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{rest:02}" if hours else f"{minutes}:{rest:02}"
