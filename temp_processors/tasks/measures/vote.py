"""maj@k: the score of the answer that most of k samples give, in expectation over all subsets of size k, ties split.

A subset's vote scores (sum of the scores of the answers with the most votes) / (number of these answers); the value is its mean over all
C(n, k) subsets, computed exactly. (The usual code votes once among the first k, and breaks ties by their order.) Let every sample be taken
with probability p = k / n: given that k were taken, all subsets are equally likely, and answers are independent before that. So for every
number w of votes that can win, the polynomial in x (samples taken), with the number of tied answers t beside it,

    prod over answers b of ( P(fewer than w votes for b) + t-step * P(w votes for b) ) * (samples without an answer)

is multiplied out, carrying the summed score of the tied answers; its coefficient at x^k over P(k taken) is the value. All terms are
positive probabilities, so nothing cancels or overflows.

Weighted vote: the answer with the largest sum of weights wins, w is a sum of weights. Weights are taken as the exact binary fractions that
floats are, so that ties are ties; `digits` rounds them before. Source of the vote: Wang et al. 2022, arXiv 2203.11171 (self-consistency).

Choices: an answer's score is the mean of its samples' scores (they differ only where the scorer looks beyond the answer); a sample without
an answer takes its place among the k and votes for nothing; a vote that nobody casts scores 0; samples without a score are left out.
"""

from __future__ import annotations

import math
from bisect import bisect_left
from collections import Counter
from collections.abc import Hashable, Mapping
from fractions import Fraction
from functools import lru_cache
from typing import NamedTuple

import numpy as np

from temp_processors.metrics.arrays import Floats
from temp_processors.tasks.measures.table import Row, check_k

MOST_SUMS = 20_000
"""Different sums of weights of one prompt that are told apart."""
Votes = tuple[tuple[int, int], ...]
"""(weight, number of samples with it) of one answer, weights as whole numbers."""


class TooManySumsError(ValueError):
    """The weights of one prompt have too many different sums; the message says what to do."""


def majority_at_k(row: Row, k: int) -> float:
    """maj@k of one prompt, in [0, 1].

    Raises:
        ValueError: k below 1, or above the number of scored samples.

    Example:
        >>> from temp_processors.tasks.measures import Outcome
        >>> row = [Outcome(1, "12"), Outcome(1, "12"), Outcome(0, "7"), Outcome(0, "9")]
        >>> majority_at_k(row, 1), majority_at_k(row, 3), majority_at_k(row, 4)  # of 3: right but for the two ties of three, none here
        (0.5, 0.6666666666666666, 1.0)
    """
    return _voted([outcome._replace(weight=1.0) for outcome in row], k, None)


def weighted_vote_at_k(row: Row, k: int, *, digits: int | None = 2) -> float:
    """Weighted vote of one prompt by `Outcome.weight`, in [0, 1].

    Args:
        row: Samples of one prompt.
        k: Size of the subsets.
        digits: Digits after the point to which weights are rounded first; None takes them as they are.

    Raises:
        ValueError: As `majority_at_k`. `TooManySumsError` where weights have more than `MOST_SUMS` different sums.

    Example:
        >>> from temp_processors.tasks.measures import Outcome
        >>> row = [Outcome(1, "12", weight=0.9), Outcome(0, "7", weight=0.5), Outcome(0, "7", weight=0.3)]
        >>> weighted_vote_at_k(row, 3), weighted_vote_at_k(row, 1)
        (1.0, 0.3333333333333333)
    """
    return _voted(row, k, digits)


def _voted(row: Row, k: int, digits: int | None) -> float:
    scored = [outcome for outcome in row if outcome.score is not None]
    check_k(k, len(scored))
    weights = [Fraction(o.weight) if digits is None else Fraction(str(round(o.weight, digits))) for o in scored]
    unit = math.lcm(*(weight.denominator for weight in weights))
    held: dict[Hashable, Counter[int]] = {}
    scores: dict[Hashable, list[float]] = {}
    silent = 0
    for outcome, weight in zip(scored, weights, strict=True):
        if outcome.answer is None or weight == 0:
            silent += 1
            continue
        held.setdefault(outcome.answer, Counter())[int(weight * unit)] += 1
        scores.setdefault(outcome.answer, []).append(float(outcome.score or 0.0))
    return vote_value({key: (votes, float(np.mean(scores[key]))) for key, votes in held.items()}, silent, k)


def vote_value(answers: Mapping[Hashable, tuple[Mapping[int, int], float]], silent: int, k: int) -> float:
    """The expected score of the vote of k samples.

    Args:
        answers: Answer -> (whole weight -> number of samples that give it with this weight, score of the answer).
        silent: Samples that vote for nothing.
        k: Size of the subsets.
    """
    sides = sorted((tuple(sorted(votes.items())), score) for votes, score in answers.values())
    return _value(tuple(sides), silent, k)


@lru_cache(maxsize=4096)
def _value(sides: tuple[tuple[Votes, float], ...], silent: int, k: int) -> float:
    """`vote_value` of sorted votes; what many prompts share is computed once."""
    n = silent + sum(count for votes, _ in sides for _, count in votes)
    answers = [_Side.of(votes, score, n, k) for votes, score in sides]
    totals = sorted({total for side in answers for total in side.totals if total})
    if len(totals) > MOST_SUMS:
        raise _too_many(len(totals))
    found = 0.0
    for total in totals:
        rivals = [side for side in answers if side.totals[-1] >= total]
        others = n - sum(side.samples for side in rivals)  # in any number: they have no say in whether `total` wins
        alone = np.zeros((1, k + 1))
        alone[0, : min(others, k) + 1] = _taken(others, n, k)
        found += _won(total, rivals, alone)
    return min(1.0, found / _taken(n, n, k)[k])


class _Side(NamedTuple):
    """One answer: the chance of every sum of its weights, by number of samples taken.

    Args:
        score: Of the answer.
        samples: That give it.
        totals: Sums that it can have, ascending, 0 first.
        exactly: (sums, k + 1); chance of this sum from so many samples.
        below: (sums + 1, k + 1); of a smaller one than the i-th.
    """

    score: float
    samples: int
    totals: list[int]
    exactly: Floats
    below: Floats

    @classmethod
    def of(cls, votes: Votes, score: float, n: int, k: int) -> _Side:
        found = {0: np.eye(1, k + 1)[0]}
        for weight, count in votes:
            joined: dict[int, Floats] = {}
            for value, part in found.items():
                for taken, chance in enumerate(_taken(count, n, k)):
                    shifted = joined.setdefault(value + taken * weight, np.zeros(k + 1))
                    shifted[taken:] += chance * part[: k + 1 - taken]
            found = {total: part for total, part in joined.items() if part.any()}
            if len(found) > MOST_SUMS:
                raise _too_many(len(found))
        totals = sorted(found)
        exactly = np.array([found[total] for total in totals])
        samples = sum(count for _, count in votes)
        return cls(score, samples, totals, exactly, np.vstack([np.zeros(k + 1), exactly.cumsum(axis=0)]))


def _won(total: int, answers: list[_Side], alone: Floats) -> float:
    """Chance of k samples taken and `total` as the largest sum, times the mean score of the answers that have it.

    Rows of `ways` and `worth` count the tied answers, columns the samples taken; `worth` is `ways` times the tied answers' summed score.
    """
    ways, worth = alone, np.zeros_like(alone)
    for side in answers:
        place = bisect_left(side.totals, total)
        fewer, more = _times(ways, side.below[place]), _times(worth, side.below[place])
        if place < len(side.totals) and side.totals[place] == total:
            tied = _times(ways, side.exactly[place])
            gained = _times(worth, side.exactly[place]) + side.score * tied
            nothing = np.zeros_like(tied[:1])
            fewer = np.vstack([fewer, nothing]) + np.vstack([nothing, tied])
            more = np.vstack([more, nothing]) + np.vstack([nothing, gained])
            if not fewer[-1].any():  # so many ties need more than k samples
                fewer, more = fewer[:-1], more[:-1]
        ways, worth = fewer, more
    return float((worth[1:, -1] / np.arange(1, len(worth))).sum())


def _times(left: Floats, right: Floats) -> Floats:
    """Product of polynomials: every row of `left` (ties, k + 1) with `right` (k + 1,), cut behind x^k."""
    product = np.zeros_like(left)
    for power in np.flatnonzero(right):
        product[:, power:] += right[power] * left[:, : left.shape[1] - power]
    return product


@lru_cache(maxsize=4096)
def _taken(count: int, n: int, k: int) -> tuple[float, ...]:
    """Chance that 0, 1, ..., min(count, k) of `count` samples are taken, each with probability k / n; rounded once."""
    whole = n**count
    return tuple(math.comb(count, c) * k**c * (n - k) ** (count - c) / whole for c in range(min(count, k) + 1))


def _too_many(count: int) -> TooManySumsError:
    return TooManySumsError(
        f"weights of one prompt have more than {min(count, MOST_SUMS):,} different sums: round them to fewer digits"
    )
