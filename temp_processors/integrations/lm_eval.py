"""Tasks of lm-evaluation-harness under policies: the harness asks and scores, the texts are drawn here, the verdict is ours.

`simple_evaluate` runs once for each policy, on one model in memory. A text's seed comes from the seed of the evaluation and its
prompt (`row_seeds`), and is the same under every policy.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from lm_eval import simple_evaluate
from lm_eval.models.huggingface import HFLM
from lm_eval.models.utils_hf import stop_sequences_criteria
from lm_eval.tasks import TaskManager
from torch import Tensor

from temp_processors.comparison.best import TaskVerdict, task_verdict
from temp_processors.custom_generate import generate_with_policy, row_seeds
from temp_processors.policies.mistakes import suggestion
from temp_processors.policies.power import DECODINGS

OURS = ("do_sample", "temperature", "policy", "temperature_policy", "seeds")
"""Generation arguments of a request that are not handed on: the policy stands for the first two, the others name it."""


class EvaluationError(ValueError):
    """An evaluation that cannot be carried out as it was asked for."""


class PolicyLM(HFLM):
    """A model of transformers for lm-evaluation-harness that draws every text under one policy.

    Args:
        model: Of transformers, loaded.
        tokenizer: Its own.
        policy: `{"kind": ..., ...}` as for `build_policy`, or of `kind: power`.
        seed: Of the evaluation: the k-th text of a prompt has the seed `row_seeds` gives for it.
        batch_size: Requests that are drawn together; a text depends on it by the last bits of its scores alone.

    Raises:
        EvaluationError: when a task asks for probabilities of given answers, which no policy changes.
    """

    def __init__(
        self, model: Any, tokenizer: Any, policy: Mapping[str, Any], *, seed: int = 0, batch_size: int = 16
    ) -> None:
        super().__init__(pretrained=model, tokenizer=tokenizer, batch_size=batch_size)
        self.policy, self.seed = policy, seed
        self._seen = Counter[bytes]()

    def generate_until(self, requests: Any, disable_tqdm: bool = False) -> Any:
        """As `HFLM`; the texts of a prompt are counted over all batches."""
        self._seen = Counter()
        return super().generate_until(requests, disable_tqdm=disable_tqdm)

    def _model_generate(
        self, context: Tensor, max_length: int, stop: list[str], attention_mask: Tensor | None = None, **settings: Any
    ) -> Any:
        seeds = row_seeds(self.seed, context, attention_mask, seen=self._seen)
        longest = max_length - (context.shape[1] if self.backend == "causal" else 0)
        arguments = {name: value for name, value in settings.items() if name not in OURS}
        if self.policy["kind"] not in DECODINGS:  # which draw whole texts: the harness cuts them at `stop`
            ends = stop_sequences_criteria(self.tokenizer, stop, context.shape[1], context.shape[0])
            arguments = {**arguments, "stopping_criteria": ends, "tokenizer": self.tokenizer}
        return generate_with_policy(
            self.model,
            self.policy,
            seeds=seeds,
            input_ids=context,
            attention_mask=attention_mask,
            max_new_tokens=longest,
            pad_token_id=self.tokenizer.pad_token_id,
            **arguments,
        )

    def loglikelihood(self, requests: Any, disable_tqdm: bool = False) -> Any:
        """Refused, as no text is drawn."""
        raise _no_text(requests)

    def loglikelihood_rolling(self, requests: Any, disable_tqdm: bool = False) -> Any:
        """Refused, as no text is drawn."""
        raise _no_text(requests)


def _no_text(requests: Any) -> EvaluationError:
    return EvaluationError(
        f"task {requests[0].task_name!r} scores given answers by their probability and draws no text, so no policy acts: "
        "choose a task with `output_type: generate_until`"
    )


class Evaluation(NamedTuple):
    """What lm-evaluation-harness found under every policy.

    Args:
        results: Policy -> what `simple_evaluate` returns.
        notes: What a task's own settings came to under the policies.
    """

    results: dict[str, dict[str, Any]]
    notes: list[str]

    @property
    def tasks(self) -> list[str]:
        """Names of the tasks that were evaluated."""
        return list(next(iter(self.results.values()))["samples"])

    def verdict(self, task: str, metric: str | None = None, *, margin: float = 0.02) -> TaskVerdict:
        """Which policies are best on a metric of a task, question by question.

        Args:
            task: One of `tasks`.
            metric: Of the task, the first in [0, 1] by default; `NAME,FILTER` chooses one of several filters.
            margin: Difference that counts as none.

        Raises:
            EvaluationError: The task has no such metric.
        """
        samples = {policy: found["samples"][task] for policy, found in self.results.items()}
        name, kept = _metric(task, next(iter(samples.values())), metric)
        values = {policy: _values(rows, name, kept) for policy, rows in samples.items()}
        return task_verdict(values, measure=f"{task}: mean {name}", margin=margin)


def evaluate(
    model: Any,
    tokenizer: Any,
    tasks: Sequence[str],
    policies: Mapping[str, Mapping[str, Any]],
    *,
    seed: int = 0,
    limit: int | None = None,
    batch_size: int = 16,
    include: Path | None = None,
    fewshot: int | None = None,
    chat: bool = False,
) -> Evaluation:
    """Evaluate a model on tasks of lm-evaluation-harness, once for each policy, with equal seeds.

    Args:
        model: Of transformers, loaded.
        tokenizer: Its own.
        tasks: Names that the harness knows, or YAML files of tasks.
        policies: By name, as data for `build_policy`.
        seed: The texts of a prompt draw from it and the prompt, under every policy the same; few-shot examples too.
        limit: First questions of every task.
        batch_size: Requests that are drawn together; a text depends on it by the last bits of its scores alone.
        include: Folder with more tasks.
        fewshot: Examples in a prompt, where the task's own number is not wanted.
        chat: Make chats of the prompts, by the model's template.

    Raises:
        EvaluationError: No such task, or one that draws no text.
    """
    manager = TaskManager(include_path=None if include is None else str(include))
    chosen = [_named(task, manager) for task in tasks]
    results: dict[str, dict[str, Any]] = {}
    for name, policy in policies.items():
        drawn = {"do_sample": True, "temperature": 1.0, "policy": name, "temperature_policy": dict(policy)}
        results[name] = simple_evaluate(
            PolicyLM(model, tokenizer, policy, seed=seed, batch_size=batch_size),
            tasks=list(chosen),
            task_manager=manager,
            limit=limit,
            num_fewshot=fewshot,
            apply_chat_template=chat,
            gen_kwargs={**drawn, "seeds": seed},
            bootstrap_iters=0,
            fewshot_random_seed=seed,
        )
    return Evaluation(results, list(_notes(next(iter(results.values())))))


def _named(task: str, manager: TaskManager) -> str:
    """The name or the whole path of a task that is there."""
    if task.endswith((".yaml", ".yml")):
        if not Path(task).is_file():
            raise EvaluationError(f"--tasks: {task}: no such file")
        return str(Path(task).resolve())
    known = manager.all_tasks
    if task not in known:
        raise EvaluationError(
            f"--tasks: lm-evaluation-harness has no task {task!r}{suggestion(task, known)}: "
            "name one of `lm-eval ls tasks`, or a YAML file"
        )
    return task


def _notes(found: Mapping[str, Any]) -> Iterator[str]:
    """What of the tasks' own generation arguments acts beside the policies."""
    for task, settings in found["configs"].items():
        given = settings.get("generation_kwargs") or {}
        kept = {n: v for n, v in given.items() if n not in (*OURS, "until") and "max" not in n}
        if kept:
            shown = ", ".join(f"{name}={value}" for name, value in kept.items())
            yield f"task {task}: its own {shown} acts after every policy"


def _metric(task: str, rows: Sequence[Mapping[str, Any]], wanted: str | None) -> tuple[str, str]:
    """A metric of the rows and the filter whose texts it scores."""
    numbers = {
        (name, row["filter"]): None
        for row in rows
        for name in row["metrics"]
        if isinstance(row[name], (int, float, np.floating, np.integer)) and 0 <= row[name] <= 1
    }
    name, _, kept = (wanted or "").partition(",")
    for known in numbers:
        if name in ("", known[0]) and kept in ("", known[1]):
            return known
    there = "; ".join(",".join(pair) for pair in numbers) or "none"
    asked = "metric in [0, 1] of single texts" if wanted is None else f"metric {wanted!r}"
    raise EvaluationError(f"--metric: task {task!r} has no {asked}; there are: {there}")


def _values(rows: Sequence[Mapping[str, Any]], metric: str, kept: str) -> Any:
    """The metric of every question, in the order of questions."""
    chosen = sorted((row["doc_id"], float(row[metric])) for row in rows if row["filter"] == kept)
    return np.array([value for _, value in chosen])
