"""Run an experiment: generate what the plan says, stream it to the run folder, score it."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Iterator, Sequence
from typing import Any

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from temp_processors.config import ExperimentConfig
from temp_processors.experiment.decode import Decoded, DecodeRow, PolicyFactory, decode
from temp_processors.experiment.models import LoadedModel, load_model
from temp_processors.experiment.plan import Job, Plan
from temp_processors.experiment.stack import refuse_checkpoint_sampling, sampler_stack, stack_lines
from temp_processors.experiment.store import RunFolder, Sample, sample_line
from temp_processors.metrics import Score, metric_by_name, perplexity
from temp_processors.policy_config import build_policy


def run_experiment(config: ExperimentConfig, *, overwrite: bool = False, console: Console | None = None) -> RunFolder:
    """Run `config` from prompts to scores and return its complete run folder.

    Args:
        config: What to run, from `load_config` or `ExperimentConfig.model_validate`.
        overwrite: Replace a run that is already in the folder.
        console: Where progress and the sampler stack go; silent by default.

    Raises:
        ModelError: The model cannot be loaded, or sets its own sampling values where the configuration refuses that.
        RunFolderError: The folder holds a run, or cannot be written.

    Example:
        >>> from temp_processors.config import load_config
        >>> config = load_config("fox", ["samples_per_prompt=2", "max_new_tokens=4"], out=tmp_path / "fox")
        >>> run = run_experiment(config)
        >>> run.complete, len(list(run.samples()))
        (True, 12)
    """
    console = console or Console(quiet=True)
    folder = RunFolder(config.folder)
    folder.refuse_if_used(overwrite)
    loaded = load_model(config)
    refuse_checkpoint_sampling(loaded.model, config)
    policies = policy_factories(config, loaded.tokenizer)
    stack = sampler_stack(loaded, config, policies)
    folder.start(config, stack, overwrite=overwrite)
    for line in stack_lines(stack, config):
        console.print(line, highlight=False, markup=False, soft_wrap=True)
    _generate(config, loaded, policies, folder, console)
    scores = score_run(config, folder)
    folder.write("metrics.json", json.dumps(_as_json(scores), indent=2, ensure_ascii=False) + "\n")
    folder.write("comparison.csv", _as_csv(config, scores))
    folder.finish()
    return folder


def _generate(
    config: ExperimentConfig,
    loaded: LoadedModel,
    policies: Sequence[PolicyFactory],
    folder: RunFolder,
    console: Console,
) -> None:
    plan = Plan(config)
    prompt_ids = [tuple(loaded.tokenizer(prompt)["input_ids"]) for prompt in config.prompts]
    columns = (TextColumn("generating"), BarColumn(), MofNCompleteColumn(), TextColumn("texts"), TimeRemainingColumn())
    with folder.open_samples() as out, Progress(*columns, console=console, disable=not console.is_terminal) as progress:
        task = progress.add_task("generating", total=len(plan))
        for jobs in _batches(plan, config.batch_size):
            rows = [DecodeRow(prompt_ids[job.prompt_id], job.policy, job.seed) for job in jobs]
            finished = decode(
                loaded.model,
                rows,
                policies,
                max_new_tokens=config.max_new_tokens,
                eos_token_ids=loaded.eos_token_ids,
                pad_token_id=loaded.pad_token_id,
            )
            for done in finished:
                out.write(sample_line(_sample(config, jobs[done.row], done, loaded.tokenizer)))
                out.flush()
                progress.advance(task)


def policy_factories(config: ExperimentConfig, tokenizer: Any) -> list[PolicyFactory]:
    """For every policy of the configuration a function from prompt length to the processor."""

    def factory(policy: Any) -> PolicyFactory:
        return lambda prompt_length: build_policy(policy, prompt_length=prompt_length, tokenizer=tokenizer)

    return [factory(named.policy) for named in config.policies]


def _batches(plan: Plan, size: int) -> Iterator[list[Job]]:
    batch: list[Job] = []
    for job in plan.jobs():
        batch.append(job)
        if len(batch) == size:
            yield batch
            batch = []
    if batch:
        yield batch


def _sample(config: ExperimentConfig, job: Job, done: Decoded, tokenizer: Any) -> Sample:
    return Sample(
        policy=config.policies[job.policy].name,
        prompt_id=job.prompt_id,
        sample_id=job.sample_id,
        seed=job.seed,
        prompt=config.prompts[job.prompt_id],
        text=tokenizer.decode(done.token_ids, skip_special_tokens=True),
        token_ids=done.token_ids,
        finish_reason=done.finish_reason,
        log_prob=done.log_prob,
    )


def score_run(config: ExperimentConfig, folder: RunFolder) -> dict[str, dict[str, Score]]:
    """Every metric of the configuration for every policy, on the continuations without their prompts."""
    samples: dict[str, list[Sample]] = {named.name: [] for named in config.policies}
    for sample in folder.samples():
        samples[sample.policy].append(sample)
    in_order = {name: sorted(group, key=lambda s: (s.prompt_id, s.sample_id)) for name, group in samples.items()}
    return {name: {metric: _score(metric, group) for metric in config.metrics} for name, group in in_order.items()}


def _score(metric: str, samples: Sequence[Sample]) -> Score:
    if metric == "perplexity":
        return perplexity([s.log_prob for s in samples], [s.scored_tokens for s in samples])
    return metric_by_name(metric)([s.text for s in samples])


def _as_json(scores: dict[str, dict[str, Score]]) -> dict[str, Any]:
    return {
        "policies": {name: {metric: score.to_dict() for metric, score in row.items()} for name, row in scores.items()}
    }


def _as_csv(config: ExperimentConfig, scores: dict[str, dict[str, Score]]) -> str:
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(["policy", *config.metrics])
    for name, row in scores.items():
        writer.writerow([name, *(repr(row[metric].value) for metric in config.metrics)])
    return text.getvalue()
