"""What streams do in parts, done in parts that are small."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from temp_processors.metrics import scratch, sparse, spread, streaming


@contextmanager
def small_parts(size: int) -> Iterator[None]:
    """Everything that a stream does in parts, in parts of this size; what has more than 8 bytes lies in a file."""
    with pytest.MonkeyPatch.context() as patch:
        for module, name in ((streaming, "CHUNK"), (streaming, "BLOCK"), (spread, "ROOM"), (sparse, "TOGETHER")):
            patch.setattr(module, name, size)
        patch.setattr(scratch, "HELD", 8)
        yield
