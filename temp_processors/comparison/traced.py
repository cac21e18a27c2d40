"""What traces of a run say beyond its texts: the distribution behind every token, at the temperature it was drawn at and at others.

`traces.parquet` keeps the largest logits of every step and what all others weigh together over a grid of temperatures (`trace/tail.py`
has the formulas), so that with g_x = l_x - l_max

    ln Z(T) = ln sum_x exp(g_x / T),   ln p_T(x) = g_x / T - ln Z(T),   H(q_T, p) = ln Z(1) - T (ln Z(T) - H(q_T))

hold for any T in [0.1, 5]. A token that was drawn from outside of the recorded ones has g_x = ln p_1(x) + ln Z(1). Only the first
samples of a run are traced, so every number from here comes with the number of its texts.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np

from temp_processors.datafiles import RowsError
from temp_processors.datafiles.errors import reason_of
from temp_processors.metrics.arrays import Floats
from temp_processors.runs.folder import Run
from temp_processors.runs.lenient import trace_rows
from temp_processors.runs.sample import Sample

RANGE = (0.1, 5.0)
"""Temperatures that the recorded tails reach: `TAIL_TEMPERATURES` of `trace/tail.py`, which loads torch."""
COLUMNS = (
    "policy",
    "prompt_id",
    "sample_id",
    "step",
    "token_id",
    "entropy",
    "entropy_after",
    "temperature",
    "log_prob",
    "top_ids",
    "top_logits",
    "tail",
)


@dataclass(frozen=True)
class Traced:
    """One text of a run with what its trace recorded, an entry a step; the end of the text is a step where it was drawn.

    Args:
        sample: The text.
        entropy: Of the untempered model, in nats, shape (steps,).
        entropy_after: Of what the token was drawn from, shape (steps,).
        temperature: That the policy set; NaN where it set none, shape (steps,).
        log_prob: Of the token under the untempered model, shape (steps,).
        token_ids: The tokens, shape (steps,).
        top_ids: The most probable tokens, shape (steps, k).
        gaps: Their logits minus the largest one, shape (steps, k).
        tails: What all other tokens weigh over the grid of temperatures; None where there are none.
    """

    sample: Sample
    entropy: Floats
    entropy_after: Floats
    temperature: Floats
    log_prob: Floats
    token_ids: Any
    top_ids: Any
    gaps: Floats
    tails: Sequence[Sequence[float] | None]

    def log_normaliser(self, temperature: Floats) -> Floats:
        """ln Z at one temperature a step, shape (steps,)."""
        scaled = np.column_stack([self.gaps / temperature[:, None], self._tail_at(temperature)])
        largest = scaled.max(axis=1)
        found: Floats = largest + np.log(np.exp(scaled - largest[:, None]).sum(axis=1))
        return found

    @cached_property
    def _tail_groups(self) -> list[tuple[Any, Floats]]:
        return grouped(self.tails)

    def _tail_at(self, temperature: Floats) -> Floats:
        return tail_at(self._tail_groups, len(self.tails), temperature)

    @cached_property
    def gap(self) -> Floats:
        """Logit of the drawn token minus the largest one, shape (steps,)."""
        held = self.top_ids == self.token_ids[:, None]
        outside = self.log_prob + self.log_normaliser(np.ones(len(self.token_ids)))
        found: Floats = np.where(held.any(axis=1), np.where(held, self.gaps, 0.0).sum(axis=1), outside)
        return found

    def step_log_probs(self, temperature: float) -> Floats:
        """Of every token, were it drawn at one temperature, shape (steps,)."""
        at = np.full(len(self.token_ids), temperature)
        found: Floats = self.gap / at - self.log_normaliser(at)
        return found

    def log_probability(self, temperature: float) -> float:
        """Of the whole text, were it drawn at one temperature."""
        return float(self.step_log_probs(temperature).sum())

    @property
    def cross_entropy(self) -> Floats | None:
        """H(q, p) of every step, in nats, shape (steps,); None where a step has no single temperature that the tails reach."""
        low, high = RANGE
        if not ((self.temperature >= low) & (self.temperature <= high)).all():
            return None
        one, drawn = self.log_normaliser(np.ones(len(self.token_ids))), self.log_normaliser(self.temperature)
        found: Floats = np.maximum(one - self.temperature * (drawn - self.entropy_after), 0.0)
        return found


def read_traced(path: Path) -> dict[str, list[Traced]]:
    """The traced texts of a run by policy; a text without tokens has no trace.

    Raises:
        RowsError: There are no traces, they are damaged or of another version, or one does not reach the end of its text.
    """
    import pyarrow

    from temp_processors.runs.columns import table_in

    file = path / "traces.parquet"
    if not file.is_file():
        raise RowsError(
            f"{path}: holds no traces.parquet; `temp-processors report {path}` or `traces: true` may write one"
        )
    try:
        rows = trace_rows(table_in(file))
        if rows and set(COLUMNS) - set(rows[0]):
            raise KeyError(min(set(COLUMNS) - set(rows[0])))
    except KeyError as error:
        raise RowsError(f"{file}: is of another version: it has no column {error}") from error
    except (pyarrow.ArrowException, OSError, ValueError) as error:
        raise RowsError(f"{file}: cannot be read: {reason_of(error)}") from error
    steps: dict[tuple[str, int, int], list[dict[str, Any]]] = {}
    for row in rows:
        steps.setdefault((row["policy"], row["prompt_id"], row["sample_id"]), []).append(row)
    found: dict[str, list[Traced]] = {}
    for sample in Run(path).samples:
        own = steps.get((sample.policy, sample.prompt_id, sample.sample_id))
        if own is None:
            continue
        if len(own) != sample.scored_tokens or any(row["top_logits"] is None for row in own):
            raise RowsError(
                f"{file}: policy {sample.policy}, prompt {sample.prompt_id}, sample {sample.sample_id} is not traced whole"
            )
        try:
            traced = _traced(sample, sorted(own, key=lambda row: int(row["step"])))
        except ValueError as error:
            raise RowsError(f"{file}: steps of one text have unequal numbers of tokens: {reason_of(error)}") from error
        found.setdefault(sample.policy, []).append(traced)
    return found


def _traced(sample: Sample, rows: Sequence[dict[str, Any]]) -> Traced:
    def column(name: str) -> Floats:
        return np.array([math.nan if row[name] is None else row[name] for row in rows], dtype=np.float64)

    logits = np.array([row["top_logits"] for row in rows], dtype=np.float64)
    return Traced(
        sample,
        column("entropy"),
        column("entropy_after"),
        column("temperature"),
        column("log_prob"),
        np.array([row["token_id"] for row in rows]),
        np.array([row["top_ids"] for row in rows]),
        logits - logits[:, :1],
        [row["tail"] for row in rows],
    )


def in_a_row(texts: Sequence[Traced]) -> Traced:
    """The steps of several texts as if they were one, so that they are computed at once; `sample` is that of the first.

    Raises:
        ValueError: Texts have unequal numbers of recorded tokens a step, or there are none.
    """

    def joined(name: str) -> Any:
        return np.concatenate([getattr(text, name) for text in texts])

    return Traced(
        sample=texts[0].sample,
        entropy=joined("entropy"),
        entropy_after=joined("entropy_after"),
        temperature=joined("temperature"),
        log_prob=joined("log_prob"),
        token_ids=joined("token_ids"),
        top_ids=joined("top_ids"),
        gaps=joined("gaps"),
        tails=[tail for text in texts for tail in text.tails],
    )


def grouped(tails: Sequence[Sequence[float] | None]) -> list[tuple[Any, Floats]]:
    """The steps that have a tail by the number of its values: their places, and the values, shape (steps, values)."""
    found = []
    for count in {len(tail) for tail in tails if tail is not None}:
        places = [place for place, tail in enumerate(tails) if tail is not None and len(tail) == count]
        found.append((np.array(places), np.array([tails[place] for place in places], dtype=np.float64)))
    return found


def tail_at(groups: Iterable[tuple[Any, Floats]], steps: int, temperature: Floats) -> Floats:
    """tail(T) of every step at its own temperature, by barycentric interpolation as in `trace/tail.py`; -inf where nothing is left."""
    found = np.full(steps, -math.inf)
    for places, values in groups:
        found[places] = (values * _weights(values.shape[1], temperature[places])).sum(axis=1)
    return found


def _weights(count: int, temperature: Floats) -> Floats:
    low, high = map(math.log, RANGE)
    points = np.cos(np.arange(count) * (math.pi / (count - 1)))
    distance = ((np.log(temperature) - (low + high) / 2) / ((high - low) / 2))[:, None] - points
    sign = 1.0 - 2.0 * (np.arange(count) % 2)
    sign[[0, -1]] /= 2
    hit = np.abs(distance) < 1e-13
    share = sign / np.where(hit, 1.0, distance)
    share = np.where(hit.any(axis=1, keepdims=True), hit.astype(float), share)
    weights: Floats = share / share.sum(axis=1, keepdims=True)
    return weights


def cross_entropies(texts: Iterable[Traced]) -> list[Floats] | None:
    """H(q, p) of every step of every text; None where the policy set no temperature that the tails reach."""
    found = [text.cross_entropy for text in texts]
    known = [values for values in found if values is not None]
    return known if len(known) == len(found) else None
