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

from temp_processors.metrics.arrays import Bools, Floats, Ints
from temp_processors.metrics.ngrams import Repeated, check_order
from temp_processors.metrics.score import Score, signature, undefined
from temp_processors.metrics.sorting import in_runs, run_starts
from temp_processors.metrics.texts import TokenizedTexts, tokenize
from temp_processors.metrics.tokenizers import Tokens

SMOOTHED_NUMERATOR = 0.1
NUMERATORS = {"method1": SMOOTHED_NUMERATOR, "method0": sys.float_info.min}


def self_bleu(
    texts: Iterable[str | Tokens] | TokenizedTexts,
    n: int = 4,
    *,
    smoothing: str = "method1",
    tokenizer: Any = "auto",
    hypotheses: int | None = None,
    seed: int = 0,
) -> Score:
    """Mean BLEU-n of each text against all others, in [0, 1]; higher is less diverse.

    Args:
        texts: Strings or token lists; prompts should not be part of them.
        n: Largest n-gram order, 1 to 5 are usual.
        smoothing: What a numerator of 0 becomes: 0.1 (`"method1"`) or the smallest float (`"method0"`, which NLTK calls no smoothing).
        tokenizer: See `tokenize`.
        hypotheses: Score only so many texts, drawn at random, each against all others: unbiased, because the references stay. (Fewer
            references, as in scoring a sample by itself, would make any source look more diverse.) All texts by default.
        seed: Of that draw.

    Returns:
        NaN with a reason for fewer than two texts. `per_text` holds the BLEU of every text, NaN of one that was not drawn.
        `counts["smoothed_share"]` is the share of texts with an order that had no match: where it is high, most of the value is
        smoothing.

    Raises:
        TypeError, ValueError: As `tokenize`; `n` or `hypotheses` below 1 or an unknown smoothing.

    Example:
        >>> self_bleu(["the fox ran home", "the fox ran home", "the fox ran home"]).value
        1.0
    """
    check_order(n)
    if smoothing not in NUMERATORS:
        raise ValueError(f"`smoothing` has to be one of {', '.join(NUMERATORS)}, but is {smoothing!r}")
    if hypotheses is not None and hypotheses < 1:
        raise ValueError(f"`hypotheses` has to be an integer >= 1 or None, but is {hypotheses!r}")
    tokenized = tokenize(texts, tokenizer)
    drawn = {} if hypotheses is None else {"hyps": f"{hypotheses}@{seed}"}
    sign = signature(
        "self_bleu", n=n, refs="others", smooth=smoothing, tok=tokenized.tokenizer, len=tokenized.length, **drawn
    )
    counts = {**tokenized.counts, "shorter_than_n_share": tokenized.shorter_than(n)}
    if len(tokenized) < 2:
        reason = f"it compares texts with each other, and there are {len(tokenized)}"
        return undefined(f"self_bleu_{n}", sign, reason, counts)
    chosen = _drawn(len(tokenized), hypotheses, seed)
    values, smoothed = _bleu(tokenized, n, NUMERATORS[smoothing], None if chosen.all() else chosen)
    counts["smoothed_share"] = float(smoothed[chosen].mean())
    per_text = np.where(chosen, values, np.nan)
    return Score(f"self_bleu_{n}", float(values[chosen].mean()), sign, counts=counts, per_text=per_text)


def _drawn(texts: int, hypotheses: int | None, seed: int) -> Bools:
    """Which texts are scored, shape (texts,)."""
    if hypotheses is None or hypotheses >= texts:
        return np.ones(texts, dtype=bool)
    chosen = np.zeros(texts, dtype=bool)
    chosen[np.random.default_rng(seed).choice(texts, hypotheses, replace=False)] = True
    return chosen


def _bleu(texts: TokenizedTexts, n: int, numerator: float, among: Bools | None) -> tuple[Floats, Bools]:
    """BLEU of every text against all others, and whether an order of it had no match; valid for the texts `among`, all by default."""
    log_precision, smoothed = np.zeros(len(texts)), np.zeros(len(texts), dtype=bool)
    nothing = np.zeros(len(texts), dtype=bool)
    for order, found in enumerate(texts.repeated(n, among), start=1):
        matches = clipped_matches(found, len(texts))
        nothing |= (matches == 0) & (order == 1)
        smoothed |= matches == 0
        possible = np.maximum(1, texts.lengths - order + 1)
        log_precision += np.log(np.where(matches == 0, numerator, matches) / possible) / n
    return np.where(nothing, 0.0, brevity_penalty(texts.lengths) * np.exp(log_precision)), smoothed


def clipped_matches(found: Repeated, texts: int) -> Floats:
    """For each text the sum over its n-grams of min(count here, largest count in another text), shape (texts,)."""
    total = np.zeros(texts)
    for block in found.blocks():
        held = block.held
        np.add.at(total, held.text, matches_elsewhere(held.gram, held.times).astype(float))
    return total


def matches_elsewhere(gram: Ints, times: Ints) -> Ints:
    """min(`times`, the largest of `times` over the other entries of the same `gram`, 0 where there are none); `gram` ascends from 0."""
    matches = in_runs(gram).astype(np.int64)
    often = np.zeros(int(gram[-1]) + 1 if len(gram) else 0, dtype=bool)
    often[gram[times > 1]] = True  # elsewhere a text that holds the n-gram holds it once: 1 match, found above
    rows = np.flatnonzero(often[gram])
    matches[rows] = np.minimum(times[rows], _largest_elsewhere(gram[rows], times[rows]))
    return matches


def _largest_elsewhere(gram: Ints, times: Ints) -> Ints:
    """The largest of `times` over the other entries of the same n-gram, 0 where there are none; `gram` ascends."""
    if not len(gram):
        return times
    groups = np.flatnonzero(run_starts(gram))
    sizes = np.diff(np.append(groups, len(gram)))
    largest = np.maximum.reduceat(times, groups)
    is_largest = times == np.repeat(largest, sizes)
    tied = np.add.reduceat(is_largest.astype(np.int64), groups) > 1
    second = np.where(tied, largest, np.maximum.reduceat(np.where(is_largest, 0, times), groups))
    return np.where(is_largest, np.repeat(second, sizes), np.repeat(largest, sizes))


def brevity_penalty(lengths: Ints) -> Floats:
    """exp(min(0, 1 - r / length)) with r the closest length of another text, ties to the shorter; 0 for an empty text."""
    sizes, place, counts = np.unique(lengths, return_inverse=True, return_counts=True)
    return penalty_of(sizes, counts)[place]


def penalty_of(sizes: Ints, counts: Ints) -> Floats:
    """The brevity penalty of a text of each of the ascending `sizes`, of which there are `counts` texts, that text included."""
    far = np.iinfo(np.int64).max // 4
    there = np.where(counts > 0, sizes, -far)
    shorter = np.concatenate([[-far], np.maximum.accumulate(there)[:-1]])
    there = np.where(counts > 0, sizes, far)
    longer = np.concatenate([np.minimum.accumulate(there[::-1])[::-1][1:], [far]])
    neighbour = np.where(sizes - shorter <= longer - sizes, shorter, longer)
    ratio = np.where(counts > 1, sizes, neighbour) / np.maximum(sizes, 1)
    return np.where(sizes == 0, 0.0, np.exp(np.minimum(0.0, 1 - ratio)))
