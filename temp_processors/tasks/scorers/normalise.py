"""When two texts count as the same answer: the normalisations by name."""

from __future__ import annotations

import string
from typing import Literal

import regex

Normalisation = Literal["none", "spaces", "text", "squad"]
"""`none`: equal characters. `spaces`: runs of white space are one space. `text`: also without capitals, without one final `.`, `!` or
`?` and without quotes around it. `squad`: without capitals, punctuation and the articles a, an, the, as in the SQuAD evaluation script."""

ARTICLES = regex.compile(r"\b(?:a|an|the)\b")
PUNCTUATION = str.maketrans("", "", string.punctuation)
QUOTES = "\"'`*_“”‘’"


def normalised(text: str, how: Normalisation) -> str:
    """`text` in the form in which it is compared.

    Example:
        >>> [normalised(" The  Fox. ", how) for how in ("none", "spaces", "text", "squad")]
        [' The  Fox. ', 'The Fox.', 'the fox', 'fox']
    """
    if how == "none":
        return text
    if how == "squad":
        return " ".join(ARTICLES.sub(" ", text.lower().translate(PUNCTUATION)).split())
    spaced = " ".join(text.split())
    if how == "spaces":
        return spaced
    bare = spaced.casefold().strip(QUOTES)
    bare = bare[:-1] if bare.endswith((".", "!", "?")) else bare
    return bare.strip(QUOTES + " ") or spaced.casefold()
