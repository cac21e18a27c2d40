"""Array types of the metrics, and what the n-gram functions need of texts."""

from __future__ import annotations

from typing import Any, Protocol

import numpy as np

Ints = np.ndarray[Any, np.dtype[Any]]
"""Integers: 64 bits, or 32 bits where they fit and time counts."""
Floats = np.ndarray[Any, np.dtype[np.float64]]
Bools = np.ndarray[Any, np.dtype[np.bool_]]


class TokenIds(Protocol):
    """Token ids of several texts in one array, as `TokenizedTexts` holds them."""

    @property
    def ids(self) -> Ints:
        """Token ids >= 0 of all texts, one text after the other, shape (tokens,)."""

    @property
    def starts(self) -> Ints:
        """Where each text begins, and the number of tokens at the end, shape (texts + 1,)."""

    @property
    def lengths(self) -> Ints:
        """Tokens of each text, shape (texts,)."""

    @property
    def vocabulary(self) -> int:
        """One more than the largest id, at least 1."""

    def __len__(self) -> int:
        """Number of texts."""
