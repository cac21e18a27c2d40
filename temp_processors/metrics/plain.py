"""Texts in a temporary file, as UTF-8, to be compressed together in any order."""

from __future__ import annotations

import zlib
from array import array
from collections.abc import Iterable, Iterator

import numpy as np

from temp_processors.metrics.arrays import Ints
from temp_processors.metrics.scratch import Piece, Scratch

HELD = 1 << 19
"""Bytes that are kept before they go to the file."""


class PlainTexts:
    """UTF-8 bytes of texts, in a file as soon as they are many; 8 bytes a text stay in memory.

    Args:
        scratch: The file.

    Example:
        >>> texts = PlainTexts(Scratch())
        >>> for text in ("b", "a"):
        ...     texts.add(text)
        >>> list(texts.read()), list(texts.read(np.array([1, 0])))
        ([b'b', b'a'], [b'a', b'b'])
    """

    def __init__(self, scratch: Scratch) -> None:
        self._scratch, self._held = scratch, bytearray()
        self._pieces: list[Piece] = []
        self._ends = array("q")

    def add(self, text: str) -> None:
        """Keep this text too."""
        self._append(text.encode("utf-8", errors="surrogatepass"))

    def _append(self, plain: bytes) -> None:
        self._held += plain
        self._ends.append((self._ends[-1] if self._ends else 0) + len(plain))
        if len(self._held) >= HELD:
            self._settle()

    def _settle(self) -> None:
        if self._held:
            self._pieces.append(self._scratch.write(np.frombuffer(bytes(self._held), dtype=np.uint8)))
            self._held = bytearray()

    def take(self, places: Iterable[int]) -> PlainTexts:
        """The texts at these places, which ascend."""
        found = PlainTexts(self._scratch)
        kept = iter(places)
        place = next(kept, None)
        for number, plain in enumerate(self.read()):
            if number == place:
                found._append(plain)
                place = next(kept, None)
        return found

    def read(self, order: Ints | None = None) -> Iterator[bytes]:
        """Every text, in this order of their places; as they came by default."""
        self._settle()
        ends = np.array(self._ends, dtype=np.int64)
        begins = np.concatenate([[0], ends])[:-1]
        firsts = np.cumsum([0, *(piece.size for piece in self._pieces)])
        if order is not None:
            for place in order.tolist():
                begin, end = int(begins[place]), int(ends[place])
                number = int(np.searchsorted(firsts, begin, side="right")) - 1
                yield self._part(number, begin - int(firsts[number]), end - begin) if end > begin else b""
            return
        number, data = -1, b""
        for begin, end in zip(begins.tolist(), ends.tolist(), strict=True):
            while number + 1 < len(self._pieces) and begin >= firsts[number + 1] and end > begin:
                number += 1
                data = self._part(number, 0, self._pieces[number].size)
            yield data[begin - int(firsts[number]) : end - int(firsts[number])] if end > begin else b""

    def _part(self, number: int, begin: int, size: int) -> bytes:
        return self._scratch.read(self._pieces[number], begin, begin + size).tobytes()

    def compressed(self, order: Ints | None = None) -> tuple[int, int]:
        """Bytes of the texts joined by a space, in this order, and of one gzip of them at level 9."""
        packer = zlib.compressobj(9, zlib.DEFLATED, zlib.MAX_WBITS | 16)
        size = packed = 0
        for number, plain in enumerate(self.read(order)):
            joined = b" " * (number > 0) + plain
            size += len(joined)
            packed += len(packer.compress(joined))
        return size, packed + len(packer.flush())
