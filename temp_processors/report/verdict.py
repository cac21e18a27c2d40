"""The verdict on a task, as a terminal shows it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any


def verdict_lines(verdict: Mapping[str, Any]) -> Iterator[str]:
    """The sentence, then a line for every policy: its value and interval, the verdict, what it buys.

    Args:
        verdict: As `verdict.json` holds it.
    """
    yield f"verdict ({verdict['prompts']} prompts): {verdict['sentence']}"
    width = max(map(len, verdict["policies"]))
    for name, held in verdict["policies"].items():
        interval = held["interval"]
        value = "  -  " if held["value"] is None else f"{held['value']:.3f}"
        between = f" [{interval[0]:.3f}, {interval[1]:.3f}]" if interval else ""
        buys = "".join(f", {score} {number:.4g}" for score, number in held["buys"].items() if number is not None)
        yield f"  {name:<{width}}  {value}{between}  {held['statement']}{buys}"
