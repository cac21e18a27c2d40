"""Look again at the texts of a finished run: what the policy did at every token, written to `traces.parquet`.

One forward pass over each finished text gives every step's entropy, temperature and alternatives exactly as they were when
it was drawn, so generating does not have to carry them along.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from itertools import groupby
from pathlib import Path
from typing import Any

import torch

from temp_processors.config import load_config
from temp_processors.experiment.models import LoadedModel, load_model
from temp_processors.experiment.plan import Plan
from temp_processors.experiment.prompts import prepare
from temp_processors.experiment.store import Run, Sample
from temp_processors.policy_config import build_policy
from temp_processors.trace import trace_tokens

TOP_K = 10
MOST_TOKENS = 8_000
MOST_SCORES = 30_000_000  # tokens times vocabulary: the tail of every token is summed at 97 temperatures
ROWS = 8


def write_traces(run_folder: Path, loaded: LoadedModel | None = None) -> Path:
    """Trace the first samples of every prompt and policy, as many as a report can show.

    Args:
        run_folder: A run folder with its configuration and samples.
        loaded: The run's model where it is in memory already; loaded otherwise.

    Returns:
        The file written: `traces.parquet`, one row per token, columns as `TokenTrace.records` names them.

    Raises:
        ConfigError, ModelError: The configuration of the run or its model cannot be read.
    """
    import pyarrow
    import pyarrow.parquet

    config = load_config(run_folder / "config.yaml")
    loaded = loaded or load_model(config)
    budget = min(MOST_TOKENS, MOST_SCORES // loaded.model.config.get_text_config().vocab_size)
    policies = {named.name: named.policy for named in config.policies}
    prompts = prepare(Plan(config).prompts, loaded, config.system_prompt, config.max_new_tokens).token_ids
    records = []
    for samples in _batches(_first(Run(run_folder).samples, budget)):
        records += _traced(loaded, list(prompts[samples[0].prompt_id]), policies[samples[0].policy], samples)
    target, partial = run_folder / "traces.parquet", run_folder / ".traces.parquet.partial"
    pyarrow.parquet.write_table(pyarrow.Table.from_pylist(records), partial)
    partial.replace(target)
    return target


def _first(samples: Iterable[Sample], budget: int) -> list[Sample]:
    """Every cell's first sample, then second, ..., until the tokens are spent; at least one of every cell."""
    chosen, tokens, last = [], 0, 0
    for sample in sorted(samples, key=lambda s: s.sample_id):
        if tokens > budget and sample.sample_id > last:
            break
        chosen.append(sample)
        tokens, last = tokens + len(sample.token_ids), sample.sample_id
    return chosen


def _batches(samples: Sequence[Sample]) -> Iterator[list[Sample]]:
    def cell(sample: Sample) -> tuple[int, str]:
        return sample.prompt_id, sample.policy

    for _, group in groupby(sorted(samples, key=cell), key=cell):
        same = [sample for sample in group if sample.token_ids]
        for start in range(0, len(same), ROWS):
            yield same[start : start + ROWS]


def _traced(loaded: LoadedModel, prompt: list[int], policy: Any, samples: Sequence[Sample]) -> list[dict[str, Any]]:
    """Records of samples of one prompt and policy, their end-of-sequence tokens included."""
    end = loaded.eos_token_ids[:1] or [loaded.pad_token_id]
    width = 1 + max(len(sample.token_ids) for sample in samples)
    rows = [prompt + s.token_ids + end * (width - len(s.token_ids)) for s in samples]
    trace = trace_tokens(
        loaded.model,
        torch.tensor(rows, device=loaded.model.device),
        build_policy(policy, prompt_length=len(prompt), tokenizer=loaded.tokenizer),
        len(prompt),
        top_k=TOP_K,
    )
    steps = {s.sample_id: len(s.token_ids) + (s.finish_reason == "stop") for s in samples}
    records = trace.records(policy=samples[0].policy, prompt_id=samples[0].prompt_id, sample_id=list(steps))
    return [record for record in records if record["step"] < steps[record["sample_id"]]]
