"""Scores at a temperature that no policy of a run had, from texts drawn at another one and their traces: importance sampling.

    w_i = exp(sum_t ln p_T'(x_t) - ln p_T(x_t)),   score(T') = sum_i w_i score_i / sum_i w_i,   ESS = (sum w)^2 / sum w^2

T is the temperature that text i was drawn at, T' the wanted one. The weights are normalised by their own sum, over all prompts, because
that has less variance than the known mean of 1. The effective sample size ESS says how many texts drawn at T' would tell as much; below a
quarter of the texts the estimate rests on few of them and is refused. Only means of what single texts have can be reweighted: a score
of texts together, such as self-BLEU, would need weights of all pairs. Source: Kong 1992, A note on importance sampling.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property, partial
from pathlib import Path
from typing import Any

import numpy as np

from temp_processors.comparison.sources import configuration
from temp_processors.comparison.traced import RANGE, Traced, in_a_row, read_traced
from temp_processors.datafiles import RowsError
from temp_processors.datafiles.errors import reason_of
from temp_processors.metrics.arrays import Floats
from temp_processors.metrics.distinct_n import distinct_n
from temp_processors.metrics.texts import tokenize
from temp_processors.metrics.tokenizers import Splitter, splitter

CURVE_POINTS = 25
BEYOND = 1.15
"""How far a curve goes beyond the temperatures that were drawn, as a factor."""
FEWEST_SHARE = 0.25
"""Smallest effective sample size, as a share of the texts, that scores are given for."""


@dataclass(frozen=True)
class Reweighted:
    """Scores at another temperature, from the texts of one policy.

    Args:
        policy: Its name.
        temperature: What its texts were drawn at.
        texts: How many of them are traced.
        effective: Effective sample size.
        scores: Metric -> score at the other temperature; empty where the effective sample size is too small.
    """

    policy: str
    temperature: float
    texts: int
    effective: float
    scores: dict[str, float]

    @property
    def refusal(self) -> str | None:
        """Why there are no scores; None where there are."""
        if self.scores:
            return None
        least = FEWEST_SHARE * self.texts
        return f"{self.policy}: effective sample size {self.effective:.1f} of {self.texts} texts, below {least:g} (N / 4): no scores"


def reweighted(run: Path, at: float, metrics: Sequence[str] = (), *, tokenizer: Any = "auto") -> list[Reweighted]:
    """Scores at temperature `at` from the traced texts of every policy of a run that has one fixed temperature.

    Args:
        run: A run folder with traces.
        at: The temperature, between 0.1 and 5.
        metrics: Names of `REWEIGHTED`; all but the other orders of distinct-n per text by default.
        tokenizer: As for `temp_processors.metrics.tokenize`.

    Raises:
        RowsError: The run has no traces, or no policy of one fixed temperature in [0.1, 5].
        ValueError: A temperature out of range, or a metric that cannot be reweighted.
    """
    low, high = RANGE
    if not low <= at <= high:
        raise ValueError(f"`at` has to lie in [{low:g}, {high:g}], where traces reach, but is {at:g}")
    for name in metrics:
        if name not in REWEIGHTED:
            raise ValueError(f"{name!r} cannot be reweighted: only means over texts can: {', '.join(REWEIGHTED)}")
    drawn = _drawn(run, tokenizer)
    if not drawn.texts:
        raise RowsError(
            f"{run}: no policy has traces and one fixed temperature in [{low:g}, {high:g}] to reweight from"
        )
    return [_of_policy(drawn, name, at, metrics or DEFAULT) for name in drawn.texts]


def reweighted_curve(
    run: Path, metrics: Sequence[str] = (), *, tokenizer: Any = "auto", points: int = CURVE_POINTS
) -> list[tuple[float, list[Reweighted]]]:
    """Scores over temperature, from a little below the coldest policy to a little above the hottest one.

    Args:
        run, metrics, tokenizer: As for `reweighted`.
        points: Temperatures, at equal ratios, beside those of the policies.

    Returns:
        (temperature, what each policy says there) in ascending order, without policies whose effective sample size is below N / 4
        there; empty where the run has no traces of fixed temperatures.

    Raises:
        RowsError: The traces are damaged or of another version.
    """
    drawn = _drawn(run, tokenizer)
    own = {drawn.temperatures[name] for name in drawn.texts}
    if not own:
        return []
    grid = np.geomspace(max(RANGE[0], min(own) / BEYOND), min(RANGE[1], max(own) * BEYOND), points)
    found = []
    for at in sorted({*map(float, grid), *own}):
        said = [_of_policy(drawn, name, at, metrics or DEFAULT) for name in drawn.texts]
        found.append((at, [held for held in said if held.scores]))
    return [(at, said) for at, said in found if said]


def fixed_temperatures(run: Path) -> dict[str, float]:
    """The policies of a run that are one fixed temperature within the range of traces."""
    found = {}
    for policy in configuration(run).get("policies", []):
        temperature = policy.get("temperature")
        one_number = isinstance(temperature, (int, float)) and not isinstance(temperature, bool)
        if policy.get("kind") == "fixed" and one_number and RANGE[0] <= temperature <= RANGE[1]:
            found[str(policy["name"])] = float(temperature)
    return found


def effective_size(log_weights: Floats) -> float:
    """(sum w)^2 / sum w^2.

    Example:
        >>> effective_size(np.log([1.0, 1.0, 2.0]))
        2.6666666666666665
    """
    weights = np.exp(log_weights - log_weights.max())
    return float(weights.sum() ** 2 / np.square(weights).sum())


@dataclass(frozen=True)
class _Drawn:
    """The traced texts of the policies that are one fixed temperature, and what all of them are tokenized with."""

    texts: dict[str, list[Traced]]
    rows: dict[str, Traced]
    own: dict[str, Floats]
    temperatures: dict[str, float]
    tokenizer: Splitter


def _drawn(run: Path, tokenizer: Any) -> _Drawn:
    temperatures, traced = fixed_temperatures(run), read_traced(run)
    texts = {name: traced[name] for name in temperatures if traced.get(name)}
    every = [text.sample.text for held in texts.values() for text in held]
    try:
        rows = {name: in_a_row(held) for name, held in texts.items()}
    except ValueError as error:
        raise RowsError(f"{run}: texts have unequal numbers of traced tokens a step: {reason_of(error)}") from error
    own = {name: whole.step_log_probs(temperatures[name]) for name, whole in rows.items()}
    return _Drawn(texts, rows, own, temperatures, splitter(tokenizer, every))


@dataclass(frozen=True)
class _Weighted:
    """The texts of one policy with their log-weights for another temperature."""

    name: str
    texts: Sequence[Traced]
    log_weights: Floats

    @cached_property
    def effective(self) -> float:
        return effective_size(self.log_weights)

    @property
    def share(self) -> float:
        return self.effective / len(self.texts)

    def scores(self, metrics: Sequence[str], tokenizer: Splitter) -> dict[str, float]:
        """The scores; none where the effective sample size is too small."""
        if self.share < FEWEST_SHARE:
            return {}
        weights = np.exp(self.log_weights - self.log_weights.max())
        return {metric: REWEIGHTED[metric](self.texts, weights, tokenizer) for metric in metrics}


def _weighted(drawn: _Drawn, name: str, at: float) -> _Weighted:
    texts, whole = drawn.texts[name], drawn.rows[name]
    starts = np.cumsum([0, *(len(text.token_ids) for text in texts[:-1])])
    change = whole.step_log_probs(at) - drawn.own[name]
    return _Weighted(name, texts, np.add.reduceat(change, starts))


def _of_policy(drawn: _Drawn, name: str, at: float, metrics: Sequence[str]) -> Reweighted:
    held = _weighted(drawn, name, at)
    scores = held.scores(metrics, drawn.tokenizer)
    return Reweighted(name, drawn.temperatures[name], len(held.texts), held.effective, scores)


def _ratio(above: Floats, below: Floats, weights: Floats) -> float:
    total = float((weights * below).sum())
    return float((weights * above).sum()) / total if total else math.nan


def _mean_length(texts: Sequence[Traced], weights: Floats, tokenizer: Any) -> float:
    lengths = tokenize([text.sample.text for text in texts], tokenizer).lengths.astype(np.float64)
    return _ratio(lengths, np.ones(len(texts)), weights)


def _steps(texts: Sequence[Traced]) -> Floats:
    return np.array([len(text.token_ids) for text in texts], dtype=np.float64)


def _perplexity(texts: Sequence[Traced], weights: Floats, tokenizer: Any) -> float:
    cost = np.array([-text.log_prob.sum() for text in texts])
    return math.exp(_ratio(cost, _steps(texts), weights))


def _mean_entropy(texts: Sequence[Traced], weights: Floats, tokenizer: Any) -> float:
    return _ratio(np.array([text.entropy.sum() for text in texts]), _steps(texts), weights)


def _distinct_per_text(texts: Sequence[Traced], weights: Floats, tokenizer: Any, *, n: int) -> float:
    shares = distinct_n([text.sample.text for text in texts], n, pool="text", tokenizer=tokenizer).per_text
    if shares is None:
        return math.nan
    scored = np.isfinite(shares)
    return _ratio(np.where(scored, shares, 0.0), scored.astype(np.float64), weights)


REWEIGHTED: dict[str, Callable[[Sequence[Traced], Floats, Any], float]] = {
    "mean_length": _mean_length,
    "perplexity": _perplexity,
    "mean_entropy": _mean_entropy,
    **{f"distinct_{n}_per_text": partial(_distinct_per_text, n=n) for n in (1, 2, 3, 4)},
}
"""The metrics that can be reweighted: means of what single texts have, perplexity and entropy pooled over tokens."""
DEFAULT = ("mean_length", "perplexity", "mean_entropy", "distinct_2_per_text")
