"""How far a run is: one bar over tokens at a terminal and in a notebook, a line now and then elsewhere."""

from __future__ import annotations

import sys
import time
from collections.abc import Sequence
from types import TracebackType
from typing import Any

import torch
from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn

from temp_processors.comparison.progress import LINE_EVERY, clock

WIDTH = 20  # characters for the names of the current policies: the bar fits into 80 columns


class Meter:
    """Counts tokens as they are drawn, and shows them on `console`.

    A text that ends early makes the whole smaller, so that the bar ends at the end.

    Args:
        console: Where it is shown; a quiet one shows nothing. That of a notebook gets a bar of tqdm.
        texts: How many are to be drawn.
        longest: The most tokens that one of them may have.
    """

    def __init__(self, console: Console, texts: int, longest: int) -> None:
        self.console, self.longest, self.planned = console, longest, texts * longest
        self.texts = self.finished = self.under_way = 0
        self.policies = ""
        self._begun = self._line_at = time.monotonic()
        self._bar = Progress(
            TextColumn("{task.description}"),
            BarColumn(bar_width=None),
            TextColumn("{task.completed:,.0f}/{task.total:,.0f} tokens, {task.fields[rate]:,.0f}/s"),
            TimeRemainingColumn(compact=True),
            TextColumn("{task.fields[memory]}"),
            expand=True,
            console=console,
            disable=console.quiet or console.is_jupyter or not console.is_terminal,
        )
        self._task = self._bar.add_task("", total=self.planned, rate=0.0, memory="")
        self._widget = _notebook_bar(self.planned) if console.is_jupyter and not console.quiet else None

    def __enter__(self) -> Meter:
        self._bar.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._show()
        self._bar.stop()
        if self._widget is not None:
            self._widget.close()
        seconds = time.monotonic() - self._begun
        self._print(
            f"{self.texts:,} texts, {self.finished:,} tokens in {clock(seconds)}, {self.rate:,.0f} tokens/s, "
            f"peak memory {peak_memory()}"
        )

    @property
    def drawn(self) -> int:
        """Tokens so far, those of unfinished texts included."""
        return min(self.finished + self.under_way, self.planned)

    @property
    def rate(self) -> float:
        """Tokens a second since the start."""
        return self.drawn / max(time.monotonic() - self._begun, 1e-9)

    def begin(self, policies: Sequence[str]) -> None:
        """A new batch, of texts under these policies."""
        self.under_way, self.policies = 0, _joined(policies)
        self._show()

    def tokens(self, count: int) -> None:
        """So many tokens came in, of texts that are not finished yet."""
        self.under_way += count
        self._show()

    def text(self, tokens: int) -> None:
        """A text ended after so many tokens."""
        self.texts += 1
        self.finished += tokens
        self.under_way = max(0, self.under_way - tokens)
        self.planned -= self.longest - tokens
        self._show()

    def _show(self) -> None:
        if self._widget is not None:
            self._widget.total, self._widget.n = self.planned, self.drawn
            self._widget.set_description(self.policies, refresh=False)
            self._widget.update(0)
            if self.drawn == self.planned:
                self._widget.refresh()
        elif not self._bar.disable:
            done, memory = self.drawn, peak_memory()
            self._bar.update(
                self._task, description=self.policies, completed=done, total=self.planned, rate=self.rate, memory=memory
            )
        elif time.monotonic() - self._line_at > LINE_EVERY:
            self._line_at = time.monotonic()
            left = (self.planned - self.drawn) / max(self.rate, 1e-9)
            self._print(
                f"{self.drawn:,} of {self.planned:,} tokens, {self.rate:,.0f} tokens/s, {clock(left)} left, "
                f"{self.policies}, peak memory {peak_memory()}"
            )

    def _print(self, line: str) -> None:
        self.console.print(line, highlight=False, markup=False, soft_wrap=True)


def default_progress() -> Console:
    """Where progress goes when nobody says: in a notebook below the cell, else nowhere."""
    here = Console()
    return here if here.is_jupyter else Console(quiet=True)


def _notebook_bar(total: int) -> Any:
    """tqdm's own choice of a bar: a widget where there are widgets, else a line of text."""
    from tqdm.auto import tqdm

    return tqdm(total=total, unit=" tokens", dynamic_ncols=True)


def peak_memory() -> str:
    """The most memory that was held so far: of the accelerator where there is one, else of this process."""
    if torch.cuda.is_available():
        return f"{torch.cuda.max_memory_reserved() / 1e9:.1f} GB"
    import resource

    unit = 1 if sys.platform == "darwin" else 1024
    return f"{resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit / 1e9:.1f} GB"


def _joined(names: Sequence[str]) -> str:
    """As many of the names as have room, and how many more there are.

    Example:
        >>> _joined(["T=0.1", "T=0.5"]), _joined(["a long name of a policy", "another long name", "short"])
        ('T=0.1, T=0.5', 'a long name of a policy +2')
    """
    text = ", ".join(names)
    shown = len(names)
    while len(text) > WIDTH and shown > 1:
        shown -= 1
        text = f"{', '.join(names[:shown])} +{len(names) - shown}"
    return text
