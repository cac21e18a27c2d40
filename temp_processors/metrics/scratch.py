"""Numbers that do not fit into memory: a temporary file, and records in it that are read back bucket by bucket.

The file has no name where the system allows that, so nothing is left behind however the process ends. It lies in the folder that
`tempfile` chooses (`TMPDIR`), and stays in memory as long as it is small.
"""

from __future__ import annotations

import tempfile
import threading
import weakref
from array import array
from collections.abc import Iterator
from typing import Any, NamedTuple

import numpy as np

from temp_processors.metrics.arrays import Ints

HELD = 1 << 20
"""Bytes up to which the file stays in memory."""
TOGETHER = 1 << 13
"""Values of a column that are kept before they go to the file."""


class Piece(NamedTuple):
    """Where an array lies in the file: first byte, number of values, type of one value."""

    offset: int
    size: int
    kind: np.dtype[Any]


class Scratch:
    """Arrays in one temporary file, which grows and is deleted with this object.

    Example:
        >>> scratch = Scratch()
        >>> piece = scratch.write(np.array([3, 1, 2]))
        >>> scratch.read(piece).tolist(), scratch.read(piece, 1, 2).tolist()
        ([3, 1, 2], [1])
    """

    def __init__(self) -> None:
        self._file = tempfile.SpooledTemporaryFile(max_size=HELD)  # noqa: SIM115  (closed with this object)
        self._size, self._one_at_a_time = 0, threading.Lock()
        weakref.finalize(self, self._file.close)

    def write(self, values: np.ndarray[Any, Any]) -> Piece:
        """Append these values.

        Raises:
            ValueError: There is no room for the file.
        """
        piece = Piece(self._size, len(values), values.dtype)
        with self._one_at_a_time:
            try:
                self._file.seek(self._size)
                self._file.write(np.ascontiguousarray(values).data.cast("B") if len(values) else b"")
            except OSError as error:
                folder = tempfile.gettempdir()
                raise ValueError(
                    f"{folder}: has no room for the counts of these texts ({error.strerror}); TMPDIR names another folder"
                ) from error
            self._size += values.nbytes
        return piece

    def read(self, piece: Piece, begin: int = 0, end: int | None = None) -> np.ndarray[Any, Any]:
        """The values of a piece from `begin` to before `end`, as an array that cannot be written to."""
        count = (piece.size if end is None else end) - begin
        with self._one_at_a_time:
            self._file.seek(piece.offset + begin * piece.kind.itemsize)
            return np.frombuffer(self._file.read(count * piece.kind.itemsize), dtype=piece.kind)


class Column:
    """64-bit integers that come one at a time, in a file as soon as they are many.

    Example:
        >>> column = Column(Scratch())
        >>> for value in (3, 1):
        ...     column.append(value)
        >>> column.read().tolist(), len(column)
        ([3, 1], 2)
    """

    def __init__(self, scratch: Scratch) -> None:
        self._scratch, self._held = scratch, array("q")
        self._pieces: list[Piece] = []

    def append(self, value: int) -> None:
        """Add this value."""
        self._held.append(value)
        if len(self._held) >= TOGETHER:
            self._pieces.append(self._scratch.write(np.array(self._held)))
            self._held = array("q")

    def __len__(self) -> int:
        return sum(piece.size for piece in self._pieces) + len(self._held)

    def read(self) -> Ints:
        """All values."""
        return np.concatenate(
            [*(self._scratch.read(piece) for piece in self._pieces), np.array(self._held, dtype=np.int64)]
        )


class Buckets:
    """Records of several columns, that come in ascending blocks, in 2 ** bits buckets, each of which is read back as a whole.

    Example:
        >>> buckets = Buckets(bits=1)
        >>> buckets.append(np.array([0, 1 << 63, 1 << 63], dtype=np.uint64), np.array([7, 8, 9]))
        >>> [columns[0].tolist() for columns in buckets]
        [[7], [8, 9]]
    """

    def __init__(self, bits: int) -> None:
        self.bits, self._scratch = bits, Scratch()
        self._blocks: list[tuple[Ints, tuple[Piece, ...]]] = []
        self.sizes: Ints = np.zeros(1 << bits, dtype=np.int64)

    def append(self, by: Ints, *columns: np.ndarray[Any, Any]) -> None:
        """Add records; the first bits of `by`, ascending unsigned 64-bit numbers, say which bucket each one belongs to."""
        shift = np.uint64(64 - self.bits) if self.bits else np.uint64(0)  # of one bucket, which begins at 0
        starts = np.arange(1 << self.bits, dtype=np.uint64) << shift
        bounds = np.append(np.searchsorted(by, starts), len(by))
        self._blocks.append((bounds, tuple(self._scratch.write(column) for column in columns)))
        self.sizes += np.diff(bounds)

    def __len__(self) -> int:
        return int(self.sizes.sum())

    def read(self, bucket: int) -> tuple[np.ndarray[Any, Any], ...]:
        """The columns of one bucket; none where nothing was added at all."""
        parts = [
            [self._scratch.read(piece, int(bounds[bucket]), int(bounds[bucket + 1])) for piece in pieces]
            for bounds, pieces in self._blocks
        ]
        return tuple(np.concatenate(column) for column in zip(*parts, strict=True))

    def __iter__(self) -> Iterator[tuple[np.ndarray[Any, Any], ...]]:
        """The columns of every bucket that holds something, one bucket after the other."""
        return (self.read(int(bucket)) for bucket in np.flatnonzero(self.sizes))
