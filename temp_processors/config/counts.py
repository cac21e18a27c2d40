"""Counts in sentences."""

from __future__ import annotations


def counted(number: int, noun: str) -> str:
    """A number with its noun, which stands in the singular for one.

    Example:
        >>> counted(1, "policy"), counted(6, "policy"), counted(1, "prompt"), counted(1200, "text")
        ('1 policy', '6 policies', '1 prompt', '1,200 texts')
    """
    many = f"{noun[:-1]}ies" if noun.endswith("y") else f"{noun}s"
    return f"{number:,} {noun if number == 1 else many}"
