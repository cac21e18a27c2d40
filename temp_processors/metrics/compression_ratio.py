"""Compression ratio: UTF-8 bytes of the texts, joined by a space, divided by the bytes of one gzip of them.

Higher is more redundant. Source: Shaib et al. 2024, arXiv 2403.00553. Differs from cshaib/diversity on purpose: that compresses twice,
writes the clock into the header and rounds. It grows with the amount of text and short corpora score below 1 (gzip's header): compare
equal numbers of bytes, which `counts["bytes"]` gives.
"""

from __future__ import annotations

import gzip
from collections.abc import Iterable

from temp_processors.metrics.score import Score, signature, undefined


def compression_ratio(texts: Iterable[str]) -> Score:
    """Bytes before by bytes after gzip at level 9, > 0; higher is less diverse.

    Returns:
        NaN with a reason when there is no text at all.

    Raises:
        TypeError: `texts` is one string, or holds something that is not a string.

    Example:
        >>> compression_ratio(["spam " * 2000]).value > 100
        True
    """
    if isinstance(texts, (str, bytes)):
        raise TypeError("`texts` has to be a list of strings, but is one string: write [text]")
    held = list(texts)
    for position, text in enumerate(held):
        if not isinstance(text, str):
            raise TypeError(f"`texts[{position}]` has to be a string, but is {text!r}")
    plain = " ".join(held).encode("utf-8", errors="surrogatepass")
    sign = signature("compression_ratio", tool="gzip", level=9, join="space")
    counts = {"texts": len(held), "bytes": len(plain)}
    if not plain:
        return undefined("compression_ratio", sign, "there is no text", counts)
    return Score("compression_ratio", len(plain) / len(gzip.compress(plain, 9, mtime=0)), sign, counts=counts)
