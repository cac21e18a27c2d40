"""The content of the last \\boxed{} of a text, in which mathematical answers are put."""

from __future__ import annotations

OPENINGS = ("\\boxed{", "\\fbox{")


def last_boxed(text: str) -> str | None:
    """What stands inside the last \\boxed{...} or \\fbox{...}, braces matched; None where there is none that is closed.

    Example:
        >>> last_boxed(r"so $\\boxed{1}$, no, $\\boxed{\\frac{1}{2}}$")
        '\\\\frac{1}{2}'
    """
    place, opening = max((text.rfind(opening), opening) for opening in OPENINGS)
    if place < 0:
        return None
    start, depth = place + len(opening), 1
    for end in range(start, len(text)):
        depth += (text[end] == "{") - (text[end] == "}")
        if not depth:
            return text[start:end]
    return None
