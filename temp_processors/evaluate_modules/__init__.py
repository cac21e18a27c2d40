"""distinct-n and self-BLEU as `evaluate` measurements, loaded from disk: `evaluate.load(evaluate_module("self_bleu"))`."""

from __future__ import annotations

from pathlib import Path

NAMES = ("distinct_n", "self_bleu")


def evaluate_module(name: str) -> str:
    """Folder of a measurement, for `evaluate.load`; no network is needed.

    Args:
        name: `distinct_n` or `self_bleu`.

    Raises:
        ValueError: No such measurement.

    Example:
        >>> import evaluate
        >>> evaluate.load(evaluate_module("distinct_n")).compute(data=["a b a b", "a b c"], n=2)["distinct_n"]
        0.6
    """
    if name not in NAMES:
        raise ValueError(f"{name!r} is not a measurement; there are {', '.join(NAMES)}")
    return str(Path(__file__).parent / name)
