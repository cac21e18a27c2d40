"""Diversity of meaning, from embeddings that the user supplies: Vendi score and mean pairwise cosine distance.

Vendi: exp of the Shannon entropy of the eigenvalues of K / N, with K the cosine similarities; an effective number of different texts, from
1 to N. Equals vendi-score's `score_dual` on normalised rows. Source: Friedman and Dieng 2023, arXiv 2210.02410. Both say as much about the
embedding as about the texts: name it (`embedding=`), it stands in the signature.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from temp_processors.metrics.arrays import Floats
from temp_processors.metrics.score import Score, signature, undefined

Embeddings = Floats | Callable[[Sequence[str]], Any]


def vendi_score(texts: Sequence[str], embeddings: Embeddings, *, embedding: str = "given") -> Score:
    """Effective number of different texts, in [1, N]; higher is more diverse.

    Args:
        texts: The texts, in the order of the rows of `embeddings`.
        embeddings: Array (texts, dimensions), or a function from the list of texts to one. No row may be zero.
        embedding: Name of the embedding for the signature.

    Example:
        >>> import numpy as np
        >>> round(vendi_score(["a", "b", "c"], np.eye(3)).value, 12)
        3.0
    """
    rows = _unit_rows(texts, embeddings)
    sign = signature("vendi_score", kernel="cosine", q=1, embedding=embedding)
    if not len(rows):
        return undefined("vendi_score", sign, "there are no texts", {"texts": 0})
    smaller = rows @ rows.T if len(rows) <= rows.shape[1] else rows.T @ rows
    values = np.linalg.eigvalsh(smaller / len(rows))
    kept = values[values > 1e-15]
    return Score("vendi_score", float(np.exp(-(kept * np.log(kept)).sum())), sign, counts={"texts": len(rows)})


def mean_pairwise_distance(texts: Sequence[str], embeddings: Embeddings, *, embedding: str = "given") -> Score:
    """Mean of 1 - cosine similarity over the pairs of different texts, in [0, 2]; higher is more diverse.

    Example:
        >>> import numpy as np
        >>> mean_pairwise_distance(["a", "b"], np.array([[1.0, 0.0], [0.0, 2.0]])).value
        1.0
    """
    rows = _unit_rows(texts, embeddings)
    sign = signature("mean_pairwise_distance", distance="cosine", embedding=embedding)
    if len(rows) < 2:
        reason = f"it compares texts with each other, and there are {len(rows)}"
        return undefined("mean_pairwise_distance", sign, reason, {"texts": len(rows)})
    total = float(np.square(rows.sum(0)).sum()) - len(rows)
    return Score("mean_pairwise_distance", 1 - total / (len(rows) * (len(rows) - 1)), sign, counts={"texts": len(rows)})


def _unit_rows(texts: Sequence[str], embeddings: Embeddings) -> Floats:
    if isinstance(texts, (str, bytes)):
        raise TypeError("`texts` has to be a list of strings, but is one string: write [text]")
    for place, text in enumerate(texts):
        if not isinstance(text, str):
            raise TypeError(f"`texts[{place}]` has to be a string, but is {text!r}")
    rows = np.asarray(embeddings(texts) if callable(embeddings) else embeddings, dtype=np.float64)
    if rows.ndim != 2 or len(rows) != len(texts):
        raise ValueError(
            f"`embeddings` has to have one row for each of the {len(texts)} texts, but has shape {rows.shape}"
        )
    norms = np.linalg.norm(rows, axis=1, keepdims=True)
    if not np.all(norms > 0):
        raise ValueError(f"`embeddings[{int(np.argmin(norms))}]` has to have a direction, but is zero or NaN")
    unit: Floats = rows / norms
    return unit
