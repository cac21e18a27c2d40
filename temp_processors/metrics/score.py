"""Score: a value, and the signature that names every choice of its definition."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from html import escape
from typing import Any

from temp_processors.metrics.arrays import Floats
from temp_processors.version import __version__


@dataclass(frozen=True, repr=False)
class Score:
    """A value, the signature that names every choice behind it, and the things that move it.

    Args:
        name: Name of the metric.
        value: The score, not rounded; NaN where it is undefined.
        signature: `name|choice:value|...|v:VERSION`. Scores with different signatures do not compare.
        reason: Why the value is undefined, or None.
        counts: What moves the score: `texts`, `tokens`, `duplicate_share`, and shares that belong to the metric.
        per_text: The statistic of every text where there is one, shape (texts,).
    """

    name: str
    value: float
    signature: str
    reason: str | None = None
    counts: Mapping[str, float] = field(default_factory=dict)
    per_text: Floats | None = field(default=None, repr=False, compare=False)

    def __repr__(self) -> str:
        """The value, what it was taken of, and the signature.

        Example:
            >>> from temp_processors.metrics import distinct_n
            >>> distinct_n(["a b c", "a b d"], n=1)  # doctest: +ELLIPSIS
            Score(distinct_1 = 0.6667, texts 2, tokens 6, duplicate_share 0, shorter_than_n_share 0, distinct_n|n:1|...)
        """
        value = f"undefined: {self.reason}" if math.isnan(self.value) else f"{self.value:.4g}"
        counts = (
            f"{name} {count:.4g}" if count != int(count) else f"{name} {count:,.0f}"
            for name, count in self.counts.items()
        )
        return f"Score({self.name} = {', '.join([value, *counts, self.signature])})"

    def _repr_html_(self) -> str:
        """The same as a small table, for notebooks."""
        value = f"undefined: {self.reason}" if math.isnan(self.value) else f"{self.value:.4g}"
        rows = [(self.name, value), *((name, f"{count:,.4g}") for name, count in self.counts.items())]
        cells = "".join(f"<tr><th>{escape(name)}</th><td>{escape(text)}</td></tr>" for name, text in rows)
        return f"<table>{cells}</table><code>{escape(self.signature)}</code>"

    def to_dict(self) -> dict[str, Any]:
        """For JSON: an undefined value is null, with its reason. The statistics of the texts are left out."""
        value = None if math.isnan(self.value) else self.value
        return {"value": value, "signature": self.signature, "reason": self.reason, "counts": dict(self.counts)}


def signature(name: str, **choices: object) -> str:
    """`name|choice:value|...|v:VERSION`.

    Example:
        >>> signature("distinct_n", n=2, tok="whitespace").rsplit("|", 1)[0]
        'distinct_n|n:2|tok:whitespace'
    """
    return "|".join([name, *(f"{key}:{value}" for key, value in choices.items()), f"v:{__version__}"])


def undefined(name: str, signature: str, reason: str, counts: Mapping[str, float] | None = None) -> Score:
    """A score of NaN that says why."""
    return Score(name, math.nan, signature, reason, counts or {})
