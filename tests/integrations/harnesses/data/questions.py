"""How the questions of the local task are scored: one of the right answers stands in the text."""

from __future__ import annotations

from typing import Any


def score(doc: dict[str, Any], results: list[str]) -> dict[str, float]:
    """For `process_results` of questions.yaml."""
    return {"right": float(any(answer.lower() in results[0].lower() for answer in doc["answer"]))}
