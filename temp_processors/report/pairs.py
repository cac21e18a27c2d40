"""What the page compares beyond the baseline of a run: all pairs of its policies, and its policies with those of other runs.

The leading metric (`verdict.leading_metric`) and perplexity are compared, from `samples.jsonl`. A run with so many policies and texts that
this would take long says so instead.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

from temp_processors.comparison.compare import compare_groups
from temp_processors.comparison.groups import Group
from temp_processors.comparison.pairing import Row, baselines_of
from temp_processors.comparison.pairs import all_pairs, pairs_work
from temp_processors.comparison.sources import grouped
from temp_processors.metrics import METRIC_NAMES, metric_record
from temp_processors.metrics.tokenizers import TOKENIZERS
from temp_processors.runs.lenient import LoadedRun
from temp_processors.runs.verdict import leading_metric
from temp_processors.runs.wording import described_difference, score_words, statement

MOST_WORK = 4_000_000
"""Tokens scored for the pairs of one metric: about 4 seconds."""
TOKENS_OF_A_PAIR = 1_000
"""What the interval and the p-value of a pair cost besides, in tokens scored."""
Pairs = dict[str, list[list[Any]]]
"""Metric -> [policy, policy that it is compared with, verdict, what the difference is, in words]; policies by their place in `policies`."""


def pairs_of_run(run: LoadedRun) -> tuple[Pairs, str]:
    """The verdicts of all pairs of policies, and why there are none ("" where there are some, or nothing to compare)."""
    leading, groups = leading_metric(run.metrics), groups_of(run)
    if leading is None or len(groups) < 2:
        return {}, ""
    count = len(groups) * (len(groups) - 1) // 2
    if pairs_work(groups) + TOKENS_OF_A_PAIR * count > MOST_WORK:
        return (
            {},
            f"{count:,} pairs of so many texts take long: temp-processors compare RUN --baseline NAME compares all with one policy.",
        )
    place = {name: i for i, name in enumerate(run.policies)}
    found: Pairs = {}
    for metric in _comparable([run], groups, [leading, "perplexity"]):
        try:
            changes = all_pairs(groups, metric, tokenizer=_tokenizer(run))
        except ValueError as error:
            return found, str(error)
        found[metric] = [
            [place[a], place[b], change["verdict"], f"{described_difference(change)}, {statement(change)}"]
            for (a, b), change in changes.items()
        ]
    return found, "" if found else "they count in the tokens of a model, which a page does not load."


def runs_compared(runs: Sequence[LoadedRun]) -> dict[str, Any] | None:
    """The policies of several runs against each other: those of one name, else with the baseline of the first run.

    Args:
        runs: Of different names.

    Returns:
        `rows`: [run, policy, run and policy that it is compared with, {metric: score in words}], runs by their place; `metrics`;
        `reason`: why there is no comparison, else "". None for one run.
    """
    if len(runs) < 2:
        return None
    places = {(run.name, name): group for run in runs for name, group in groups_of(run).items()}
    shown = {f"{run}: {policy}": (run, policy) for run, policy in places}
    groups = {name: places[place] for name, place in shown.items()}
    if len({name for name, _ in places}) < 2:
        return {"rows": [], "metrics": [], "reason": "fewer than two of them have texts."}
    chosen = {run.name: baseline for run in runs if isinstance(baseline := run.config.get("baseline"), str)}
    listed = [m for m in METRIC_NAMES if all(any(m in row for row in run.metrics.values()) for run in runs)]
    metrics = _comparable(runs, groups, listed)
    if not metrics:
        return {"rows": [], "metrics": [], "reason": "they have no scores in common that a page can compare."}
    baselines = baselines_of(shown, chosen)
    try:
        scores = compare_groups(groups, metrics, baselines, length="paired", tokenizer=_tokenizer(runs[0]))
    except ValueError as error:
        return {"rows": [], "metrics": [], "reason": f"{error}."}
    number = {run.name: i for i, run in enumerate(runs)}
    rows = [
        [number[shown[name][0]], shown[name][1], other, {m: score_words(score) for m, score in scores[name].items()}]
        for name, other in baselines.items()
    ]
    return {"rows": rows, "metrics": metrics, "reason": ""}


def groups_of(run: LoadedRun) -> dict[str, Group]:
    """The texts of every policy of a run; what is missing in a sample of another version is unknown."""
    return grouped([_row(sample) for sample in run.samples], run.policies)


def _row(sample: dict[str, Any]) -> Row:
    prompt, ids, chance = sample.get("prompt"), sample.get("token_ids"), sample.get("log_prob")
    known = isinstance(ids, list) and isinstance(chance, (int, float)) and math.isfinite(chance)
    tokens = len(ids) + (sample.get("finish_reason") == "stop") if known and ids is not None else None
    number = sample["prompt_id"]
    named = prompt if isinstance(prompt, str) else number
    return Row(sample["policy"], sample["text"], named, number, sample["sample_id"], chance if known else None, tokens)


def _tokenizer(run: LoadedRun) -> Any:
    return run.config.get("tokenizer", "auto")


def _comparable(runs: Sequence[LoadedRun], groups: dict[str, Group], metrics: Sequence[str]) -> list[str]:
    """Those of the metrics that can be taken of these texts without a model, each once."""
    kept = []
    scored = {metric for run in runs for row in run.metrics.values() for metric in row}
    for metric in dict.fromkeys(metrics):
        if metric not in METRIC_NAMES or metric not in scored:
            continue
        if metric_record(metric).takes == "log_probs":
            fits = all(group.log_probs is not None for group in groups.values())
        else:
            held = [_tokenizer(run) for run in runs]
            fits = held[0] in TOKENIZERS and all(tokenizer == held[0] for tokenizer in held)
        kept += [metric] if fits else []
    return kept
