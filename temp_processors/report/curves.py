"""The curve of a score over temperature, between and beside the temperatures that a run drew, from its traces.

Only the first texts of a run are traced, and the score of all of them is known: the traces say by how much it moves from there,

    score(T') = score of all texts at T + (reweighted to T' - unweighted), both of the traced texts drawn at T

(for perplexity the ratio), so that the curve passes through what was drawn. Where several policies reach T', their values are weighted
by effective sample size / (texts - effective sample size), about the inverse of what reweighting adds to the variance.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

from temp_processors.comparison.reweighting import REWEIGHTED, Reweighted, reweighted_curve
from temp_processors.metrics.tokenizers import TOKENIZERS
from temp_processors.runs.lenient import LoadedRun

NEVER_ALL = 0.01
"""Share of the texts that reweighting always costs: at its own temperature a policy outweighs all others, and no weight is infinite."""
Scores = Mapping[str, Mapping[str, Mapping[str, Any]]]


def curves(run: LoadedRun) -> dict[str, list[list[float]]]:
    """Metric -> [temperature, score, effective sample size, traced texts] in order of temperature.

    Empty where there are no traces, or fewer than two policies of one fixed temperature.
    """
    tokenizer = run.config.get("tokenizer", "auto")
    listed = {metric for row in run.metrics.values() for metric in row} & set(REWEIGHTED)
    if tokenizer not in TOKENIZERS:  # that of a model, which a page does not load
        tokenizer, listed = "auto", listed & {"perplexity"}
    if len(run.temperatures) < 2 or not run.traces or not listed:
        return {}
    try:
        found = reweighted_curve(run.path, sorted(listed), tokenizer=tokenizer)
    except ValueError:  # damaged traces, which the notes of the run name
        return {}
    own = {held.policy: held for at, said in found for held in said if held.temperature == at}
    return {m: [point for at, said in found for point in _point(at, m, said, own, run.metrics)] for m in sorted(listed)}


def _point(
    at: float, metric: str, said: Sequence[Reweighted], own: Mapping[str, Reweighted], scores: Scores
) -> list[list[float]]:
    known = [
        (held, value) for held in said if (value := _value(held, own.get(held.policy), metric, scores)) is not None
    ]
    weights = [held.effective / (held.texts - held.effective + NEVER_ALL * held.texts) for held, _ in known]
    if not known:
        return []
    value = sum(weight * value for weight, (_, value) in zip(weights, known, strict=True)) / sum(weights)
    largest = max((held for held, _ in known), key=lambda held: held.effective)
    return [[at, value, largest.effective, largest.texts]]


def _value(held: Reweighted, own: Reweighted | None, metric: str, scores: Scores) -> float | None:
    whole = scores.get(held.policy, {}).get(metric, {}).get("value")
    if own is None or not isinstance(whole, (int, float)):
        return None
    moved, there = held.scores[metric], own.scores[metric]
    value = whole * moved / there if metric == "perplexity" else whole + moved - there
    return value if math.isfinite(value) else None
