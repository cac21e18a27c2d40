"""The scores of a task by policy: the table of its measures, with intervals over prompts, as `metrics.json` keeps it."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np

from temp_processors.comparison.best import TaskVerdict, task_verdict
from temp_processors.comparison.verdicts import MARGIN, as_dict
from temp_processors.metrics import metric_record
from temp_processors.metrics.arrays import Floats
from temp_processors.metrics.intervals import CONFIDENCE, holm
from temp_processors.tasks.measures import (
    Outcome,
    agreement,
    at_every_k,
    auroc,
    brier_score,
    calibration_error,
    cut_share,
    forecasts_of,
    majority_at_k,
    mean_score,
    paired_difference,
    pooled,
    reliability_curve,
    solved_only,
    tokens_per_solved,
    tokens_per_text,
)
from temp_processors.tasks.measures.prompt_interval import PromptMean
from temp_processors.tasks.measures.table import Table, ks_up_to, largest_k
from temp_processors.tasks.task import ScoredText, Task

MOST_FAILURES = 5


class Failure(NamedTuple):
    """A sample that a scorer could not score."""

    policy: str
    prompt: int
    sample: int
    scorer: str
    reason: str

    def __str__(self) -> str:
        return f"policy {self.policy!r}, prompt {self.prompt}, sample {self.sample}: {self.scorer}: {self.reason}"


def outcome_of(found: ScoredText, heading: str, tokens: int | None, cut: bool) -> Outcome:
    """What one scorer found, in the form that measures take."""
    mark = found.marks[heading]
    return Outcome(mark.value, found.vote, mark.reason, tokens, cut)


class TaskScores:
    """Outcomes of every policy, prompt and sample, and what is computed of them.

    Args:
        task: What was scored.
        policies: Names, in order.
        prompts: How many prompts there are.
    """

    def __init__(self, task: Task, policies: Sequence[str], prompts: int) -> None:
        self.task, self.failures = task, list[Failure]()
        self._rows: dict[str, dict[str, list[list[tuple[int, Outcome]]]]] = {
            heading: {policy: [[] for _ in range(prompts)] for policy in policies} for heading in task.scorers
        }

    def add(self, policy: str, prompt: int, sample: int, outcomes: Mapping[str, Outcome]) -> None:
        """The outcomes of one sample, by the heading of the scorer."""
        for heading, outcome in outcomes.items():
            self._rows[heading][policy][prompt].append((sample, outcome))
            if outcome.score is None:
                self.failures.append(Failure(policy, prompt, sample, heading, str(outcome.reason)))

    def tables(self, heading: str | None = None) -> dict[str, Table]:
        """Prompts x samples of every policy that has texts, for one scorer; the deciding one by default."""
        chosen = self._rows[heading or next(iter(self._rows))]
        return {
            policy: [[outcome for _, outcome in sorted(row, key=lambda pair: pair[0])] for row in rows]
            for policy, rows in chosen.items()
            if any(rows)
        }

    def to_dict(self) -> dict[str, Any]:
        """`task` of `metrics.json`: for every scorer the measures of every policy, and what is made of several policies."""
        return {
            "scorers": {heading: scorer_scores(self.tables(heading)) for heading in self._rows},
            "failures": len(self.failures),
        }


def verdict_of_task(
    task: TaskScores, scores: Mapping[str, Mapping[str, Mapping[str, Any]]] | None = None
) -> TaskVerdict:
    """Which policies are best on the deciding scorer.

    Args:
        task: Its outcomes.
        scores: Diversity scores, policy -> metric -> score, to say what a policy buys; of those that a larger value is more diverse of,
            the first is spoken of.
    """
    tables = task.tables()
    values = {name: np.array([mean_score(row) for row in table]) for name, table in tables.items()}
    tokens = {name: _over([row for row in table if row], tokens_per_text) for name, table in tables.items()}
    heading = next(iter(task.task.scorers))
    return task_verdict(
        values,
        measure=f"mean {heading}",
        margin=task.task.margin,
        diversity=_diversity(scores or {}, list(tables)),
        tokens={name: value for name, value in tokens.items() if math.isfinite(value)},
    )


def _diversity(
    scores: Mapping[str, Mapping[str, Mapping[str, Any]]], policies: Sequence[str]
) -> dict[str, dict[str, float]]:
    """Metric -> policy -> value, for the first metric of which more is more diverse and which every policy has."""
    for metric in dict.fromkeys(name for held in scores.values() for name in held):
        if metric_record(metric).larger == "more diverse":
            found = {policy: scores.get(policy, {}).get(metric, {}).get("value") for policy in policies}
            if all(value is not None for value in found.values()):
                return {metric: {policy: float(value) for policy, value in found.items() if value is not None}}
    return {}


def scorer_scores(tables: Mapping[str, Table]) -> dict[str, Any]:
    """The measures of one scorer: `policies`, the vote over the samples of `pooled` policies, and what was `solved_only` by one."""
    policies = {name: policy_scores(table) for name, table in tables.items()}
    if len(tables) < 2:
        return {"policies": policies}
    largest = min(largest_k(table) for table in tables.values())
    pool = pooled(tables)
    answered = any(outcome.answer is not None for row in pool for outcome in row)
    ks = ks_up_to(largest) if answered else ()
    mixed = {k: np.array([majority_at_k(row, k) for row in pool]) for k in ks}
    votes = {str(k): _mean(values) for k, values in mixed.items()}
    alone = {
        name: {"prompts": list(found.prompts), "expected": found.expected, "p_value": found.p_value}
        for name, found in solved_only(tables).items()
    }
    return {
        "policies": policies,
        "pooled": {"maj@k": votes, "differences": _pool_differences(tables, mixed)},
        "solved_only": alone,
    }


def _pool_differences(tables: Mapping[str, Table], mixed: Mapping[int, Floats]) -> dict[str, dict[str, Any]]:
    """maj@k of the pool minus that of each policy alone at the same k, paired by prompt; Holm over all of them."""
    alone = {
        (name, k): np.array([majority_at_k(row, k) for row in table]) for name, table in tables.items() for k in mixed
    }
    changes = {key: paired_difference(mixed[key[1]], values) for key, values in alone.items()}
    corrected = dict(zip(changes, holm([change.p_value for change in changes.values()]), strict=True))
    found: dict[str, dict[str, Any]] = {name: {} for name in tables}
    for (name, k), change in changes.items():
        found[name][str(k)] = as_dict(
            change,
            corrected[name, k],
            baseline_name=name,
            baseline=float(alone[name, k].mean()),
            confidence=CONFIDENCE,
            scale="share",
            margin=MARGIN,
        )
    return found


def policy_scores(table: Table) -> dict[str, Any]:
    """The measures of one policy: values with intervals over prompts, costs, calibration of the vote."""
    rows = [row for row in table if any(outcome.score is not None for outcome in row)]
    measures = {name: {str(k): _mean(values) for k, values in by_k.items()} for name, by_k in at_every_k(rows).items()}
    by_prompt = [mean_score(row) for row in table]
    forecasts = forecasts_of(rows)
    largest = largest_k(rows)
    return {
        "mean_score": _mean(np.array(by_prompt)),
        **measures,
        "agreement": _mean(np.array([agreement(row) for row in rows])),
        "cut_share": _known(_over(rows, cut_share)),
        "tokens_per_text": _known(_over(rows, tokens_per_text)),
        "tokens_per_solved": {str(k): _known(tokens_per_solved(rows, k)) for k in ks_up_to(largest)},
        "calibration": {
            "ece": _known(calibration_error(forecasts)),
            "brier": _known(brier_score(forecasts)),
            "auroc": _known(auroc(forecasts)),
            "curve": [[_known(number) for number in point] for point in reliability_curve(forecasts)],
        },
        "by_prompt": [_known(value) for value in by_prompt],
        "prompts": len(rows),
        "samples": [len(row) for row in table] if len({len(row) for row in table}) > 1 else len(table[0]),
    }


def _over(rows: Table, measure: Any) -> float:
    return float(np.mean([measure(row) for row in rows])) if rows else math.nan


def _mean(values: Floats) -> dict[str, Any]:
    """A mean over prompts with its interval; numbers that are not known are null."""
    mean = PromptMean(values)
    found = mean.interval(CONFIDENCE)
    interval = [found.low, found.high] if found.known else None
    return {"value": _known(mean.value), "interval": interval, **({"reason": found.reason} if found.reason else {})}


def _known(value: float) -> float | None:
    return float(value) if math.isfinite(value) else None
