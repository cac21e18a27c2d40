"""Array types of the metrics, and what the n-gram functions need of texts."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np

if TYPE_CHECKING:
    from temp_processors.metrics.ngrams import Repeated

Ints = np.ndarray[Any, np.dtype[Any]]
"""Integers: 64 bits, or 32 bits where they fit and time counts."""
Floats = np.ndarray[Any, np.dtype[np.float64]]
Bools = np.ndarray[Any, np.dtype[np.bool_]]


class TokenIds(Protocol):
    """Token ids of several texts in one array, as `TokenizedTexts` holds and documents them."""

    @property
    def ids(self) -> Ints: ...
    @property
    def starts(self) -> Ints: ...
    @property
    def lengths(self) -> Ints: ...
    @property
    def vocabulary(self) -> int: ...
    def __len__(self) -> int: ...
    def repeated(self, largest: int, among: Bools | None = None) -> Iterator[Repeated]: ...
