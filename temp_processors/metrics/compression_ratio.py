"""Compression ratio: UTF-8 bytes of the texts, joined by a space, divided by the bytes of one gzip of them.

Higher is more redundant. Source: Shaib et al. 2024, arXiv 2403.00553. Differs from cshaib/diversity on purpose: that compresses twice,
writes the clock into the header and rounds. It grows with the amount of text and short corpora score below 1 (gzip's header): compare
equal numbers of bytes, which `counts["bytes"]` gives.
"""

from __future__ import annotations

from collections.abc import Iterable

from temp_processors.metrics.score import Score, signature, undefined
from temp_processors.metrics.streaming import Needs, StreamedTexts


def compression_ratio(texts: Iterable[str] | StreamedTexts, *, length: str = "full") -> Score:
    """Bytes before by bytes after gzip at level 9, > 0; higher is less diverse.

    Args:
        texts: Strings.
        length: What was cut off them, for the signature.

    Returns:
        NaN with a reason when there is no text at all.

    Raises:
        TypeError: `texts` is one string, or holds something that is not a string.

    Example:
        >>> compression_ratio(["spam " * 2000]).value > 100
        True
    """
    stream = texts if isinstance(texts, StreamedTexts) else StreamedTexts(Needs(compressed=True)).add(texts)
    cut = cut_name(texts.length, texts.tokenizer) if isinstance(texts, StreamedTexts) else length
    sign = signature("compression_ratio", tool="gzip", level=9, join="space", len=cut)
    plain, packed = stream.compressed
    counts = {**stream.counts, "bytes": plain}
    if not plain:
        return undefined("compression_ratio", sign, "there is no text", counts)
    return Score("compression_ratio", plain / packed, sign, counts=counts)


def cut_name(length: str, tokenizer: str) -> str:
    """How the signature names texts that were cut in tokens of this tokenizer.

    Example:
        >>> cut_name("first:9", "whitespace"), cut_name("first:9", "characters"), cut_name("full", "characters")
        ('first:9', 'first:9@characters', 'full')
    """
    return length if length == "full" or tokenizer == "whitespace" else f"{length}@{tokenizer}"
