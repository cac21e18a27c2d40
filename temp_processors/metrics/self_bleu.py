"""self-BLEU-n: how much each text is like the others; the mean over texts of BLEU-n with every other text as a reference.

With c_i(g) the count of n-gram g in text i, for orders k = 1..n

    p_k = sum_g min(c_i(g), max over j != i of c_j(g)) / max(1, len_i - k + 1)

weights 1/n, brevity penalty exp(1 - r / len_i) for len_i <= r with r the length of another text closest to len_i, ties to the shorter.
A text without any matching unigram scores 0. Smoothing `method1`: a numerator of 0 becomes 0.1; `method0`:
the smallest float.

Equals NLTK's `sentence_bleu(others, text, smoothing_function=SmoothingFunction().method1)` averaged over texts, to 1e-12. Source: Zhu et
al. 2018 (Texygen), arXiv 1802.01886. Differs on purpose from Texygen's fast mode (first 500 texts only) and from pairwise BLEU.

Linear time: for every n-gram the two largest counts over texts suffice, then "the largest count in any other text" is one look-up.
"""

from __future__ import annotations

import sys
from collections.abc import Iterable
from typing import Any

import numpy as np

from temp_processors.metrics.score import Score, signature, undefined
from temp_processors.metrics.tokenization import Ints, TokenizedTexts, Tokens, tokenize

Floats = np.ndarray[Any, np.dtype[np.float64]]
SMOOTHED_NUMERATOR = 0.1
NUMERATORS = {"method1": SMOOTHED_NUMERATOR, "method0": sys.float_info.min}


def self_bleu(
    texts: Iterable[str | Tokens] | TokenizedTexts,
    n: int = 4,
    *,
    smoothing: str = "method1",
    tokenizer: Any = "whitespace",
) -> Score:
    """Mean BLEU-n of each text against all others, in [0, 1]; higher is less diverse.

    Args:
        texts: Strings or token lists; prompts should not be part of them.
        n: Largest n-gram order, 1 to 5 are usual.
        smoothing: What a numerator of 0 becomes: 0.1 (`"method1"`) or the smallest float (`"method0"`, which NLTK calls no smoothing).
        tokenizer: See `tokenize`.

    Returns:
        NaN with a reason for fewer than two texts. `per_text` holds the BLEU of every text; `counts["smoothed_share"]` is the share of
        texts with an order that had no match: where it is high, the value is mostly the smoothing.

    Raises:
        TypeError, ValueError: As `tokenize`; `n` below 1 or an unknown smoothing.

    Example:
        >>> self_bleu(["the fox ran home", "the fox ran home", "the fox ran home"]).value
        1.0
    """
    if n < 1:
        raise ValueError(f"`n` has to be an integer >= 1, but is {n!r}")
    if smoothing not in NUMERATORS:
        raise ValueError(f"`smoothing` has to be one of {', '.join(NUMERATORS)}, but is {smoothing!r}")
    tokenized = tokenize(texts, tokenizer)
    name = f"self_bleu_{n}"
    sign = signature("self_bleu", n=n, refs="others", smooth=smoothing, tok=tokenized.tokenizer, len=tokenized.length)
    counts = {**tokenized.counts, "shorter_than_n_share": tokenized.shorter_than(n)}
    if len(tokenized) < 2:
        return undefined(name, sign, f"it compares texts with each other, and there are {len(tokenized)}", counts)
    lengths = tokenized.lengths
    log_precision, smoothed = np.zeros(len(tokenized)), np.zeros(len(tokenized), dtype=bool)
    nothing = np.zeros(len(tokenized), dtype=bool)
    for order, (grams, text) in enumerate(tokenized.ngrams(n), start=1):
        matches = clipped_matches(grams, text, len(tokenized))
        nothing |= (matches == 0) & (order == 1)
        smoothed |= matches == 0
        log_precision += (
            np.log(np.where(matches == 0, NUMERATORS[smoothing], matches) / np.maximum(1, lengths - order + 1)) / n
        )
    values = np.where(nothing, 0.0, brevity_penalty(lengths) * np.exp(log_precision))
    counts["smoothed_share"] = float(smoothed.mean())
    return Score(name, float(values.mean()), sign, counts=counts, per_text=values)


def clipped_matches(grams: Ints, text: Ints, texts: int) -> Floats:
    """For each text the sum over its n-grams of min(count here, largest count in another text), shape (texts,)."""
    if not len(grams):
        return np.zeros(texts)
    keys = np.sort(grams * texts + text)
    first = np.flatnonzero(np.concatenate([[True], keys[1:] != keys[:-1]]))
    here = np.diff(np.append(first, len(keys)))
    gram, owner = np.divmod(keys[first], texts)
    groups = np.flatnonzero(np.concatenate([[True], gram[1:] != gram[:-1]]))
    sizes = np.diff(np.append(groups, len(gram)))
    largest = np.repeat(np.maximum.reduceat(here, groups), sizes)
    is_largest = here == largest
    alone = is_largest & (np.repeat(np.add.reduceat(is_largest.astype(np.int64), groups), sizes) == 1)
    second = np.repeat(np.maximum.reduceat(np.where(alone, 0, here), groups), sizes)
    elsewhere = np.where(alone, second, largest)
    return np.bincount(owner, weights=np.minimum(here, elsewhere), minlength=texts).astype(np.float64)


def brevity_penalty(lengths: Ints) -> Floats:
    """exp(min(0, 1 - r / length)) with r the closest length of another text, ties to the shorter; 0 for an empty text."""
    sizes, place, counts = np.unique(lengths, return_inverse=True, return_counts=True)
    far = np.iinfo(np.int64).max // 4
    shorter = np.concatenate([[-far], sizes[:-1]])
    longer = np.concatenate([sizes[1:], [far]])
    neighbour = np.where(sizes - shorter <= longer - sizes, shorter, longer)
    reference = np.where(counts > 1, sizes, neighbour)[place]
    ratio = reference / np.maximum(lengths, 1)
    return np.where(lengths == 0, 0.0, np.exp(np.minimum(0.0, 1 - ratio)))
