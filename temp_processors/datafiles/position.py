"""How far files were read, in bytes as they lie on disk, compressed or not."""

from __future__ import annotations

import io
from dataclasses import dataclass
from pathlib import Path
from typing import Any


@dataclass
class Position:
    """Bytes that were read so far.

    Args:
        done: How many.
    """

    done: int = 0


class CountedFile(io.FileIO):
    """A file whose reading moves a position on."""

    def __init__(self, path: Path, position: Position) -> None:
        super().__init__(path)
        self._position = position

    def readinto(self, buffer: Any) -> int:
        """As `io.FileIO.readinto`."""
        count = super().readinto(buffer) or 0
        self._position.done += count
        return count

    def readall(self) -> bytes:
        """As `io.FileIO.readall`."""
        found = super().readall()
        self._position.done += len(found)
        return found
