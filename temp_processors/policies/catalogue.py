"""The table of README.md beside this file as data: what kinds of policy there are, read without loading torch.

The tests hold the table to the classes: every kind, in the order of `kinds.py`, with every parameter and its default.
"""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple

FILE = Path(__file__).with_name("README.md")


class Entry(NamedTuple):
    """One row of the table, each cell in its Markdown.

    Args:
        kind: The name in configuration files.
        formula: What it does to the scores.
        parameters: Bare ones are required, the others stand with their default.
        source: Where the formula comes from; may be empty.
    """

    kind: str
    formula: str
    parameters: str
    source: str


def entries() -> list[Entry]:
    """The rows in their order.

    Example:
        >>> entries()[0]
        Entry(kind='fixed', formula='T, or one T per row of the batch', parameters='`temperature`', source='the softmax temperature')
    """
    lines = FILE.read_text(encoding="utf-8").splitlines()
    rows = [[cell.strip() for cell in line.strip("|").split("|")] for line in lines if line.startswith("| `")]
    return [Entry(kind.strip("`"), *rest) for kind, *rest in rows]


def symbols() -> str:
    """The paragraph that says what the letters of the formulas are, in its Markdown, on one line.

    Example:
        >>> symbols()[:27]
        'l are the scores of a row, '
    """
    paragraphs = FILE.read_text(encoding="utf-8").split("\n\n")
    return " ".join(next(text for text in paragraphs if text.startswith("l are the scores")).split())
