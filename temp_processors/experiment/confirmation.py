"""Whether one forward pass over each finished text confirms the log-probability that was summed while it was drawn.

Traces, and what is reweighted from them, take the scores of such a pass. A model whose cache or batch gives other scores than
the pass (an encoder asked to write, XLM, which reads a mask token behind the text) makes the two differ, and nobody would see.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

from temp_processors.runs.columns import table_in
from temp_processors.trace.columns import TEXT_COLUMNS

FULL, HALF = (0.005, 0.0005), (0.2, 0.05)
"""What rounding may make of a text, in nats, and of each of its tokens: in float32, and in the 16-bit types."""


class Difference(NamedTuple):
    """A traced text whose two log-probabilities differ by more than rounding."""

    text: tuple[str, int, int]
    drawn: float
    passed: float

    @property
    def size(self) -> float:
        """Nats between the two; infinite where the pass rules a token out, or gives NaN."""
        size = abs(self.drawn - self.passed)
        return size if size == size else float("inf")


def unconfirmed(folder: Path, dtype: Any) -> str | None:
    """The line that says how far a run's traces are from what was drawn; None where they confirm it.

    Args:
        folder: Of a run with `samples.parquet` and `traces.parquet`.
        dtype: Of the model, as torch or its configuration writes it.
    """
    traced = _of_traces(folder / "traces.parquet")
    once, each = HALF if "16" in str(dtype) else FULL
    found = []
    for text, drawn in _of_samples(folder / "samples.parquet").items():
        if text in traced:
            passed, tokens = traced[text]
            difference = Difference(text, drawn, passed)
            if difference.size > once + each * tokens:
                found.append(difference)
    if not found:
        return None
    policy, prompt_id, sample_id = (worst := max(found, key=lambda difference: difference.size)).text
    return (
        f"warning: {len(found):,} of {len(traced):,} traced texts have another log-probability in one forward pass than when they "
        f"were drawn, up to {worst.size:.3g} nats (policy {policy!r}, prompt {prompt_id}, sample {sample_id}: {worst.drawn:.2f} "
        f"drawn, {worst.passed:.2f} in one pass); texts and perplexity stand, traces show the pass"
    )


def _of_traces(file: Path) -> dict[tuple[str, int, int], tuple[float, int]]:
    """Of every traced text: the summed log-probability before the policy, and how many tokens it has."""
    found: dict[tuple[str, int, int], list[float]] = {}
    for text, log_prob in _log_probs(file):
        found.setdefault(text, []).append(log_prob)
    return {text: (sum(steps), len(steps)) for text, steps in found.items()}


def _of_samples(file: Path) -> dict[tuple[str, int, int], float]:
    return dict(_log_probs(file))


def _log_probs(file: Path) -> Iterator[tuple[tuple[str, int, int], float]]:
    """The text of every row, and the log-probability in it."""
    table = table_in(file, [*TEXT_COLUMNS, "log_prob"])
    texts = zip(*(table[name].to_pylist() for name in TEXT_COLUMNS), strict=True)
    return zip(texts, table["log_prob"].to_pylist(), strict=True)
