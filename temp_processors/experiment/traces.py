"""Traces of the texts of a finished run: what the policy did at every token, written to `traces.parquet`.

One forward pass over each finished text gives every step's entropy, temperature and alternatives exactly as they were when
it was drawn, so generating does not have to carry them along.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from itertools import groupby
from pathlib import Path
from typing import Any

import torch
from accelerate.utils.memory import clear_device_cache, should_reduce_batch_size

from temp_processors.config.experiment import ExperimentConfig
from temp_processors.config.loading import load_config
from temp_processors.config.sections import TraceOptions, model_spec, trace_options
from temp_processors.engines.engine import Engine, ModelError, ends_of
from temp_processors.engines.local import LocalEngine
from temp_processors.experiment.plan import Plan
from temp_processors.experiment.prompts import Prompts, prepare
from temp_processors.policies.kinds import build_policy
from temp_processors.policies.power import DECODINGS
from temp_processors.runs.folder import Run
from temp_processors.runs.sample import Sample
from temp_processors.runs.writing import read_parquet, write_table
from temp_processors.trace.columns import trace_schema

MOST_TOKENS = 8_000
MOST_SCORES = 30_000_000  # tokens times vocabulary: the tail of every token is summed at 97 temperatures
PROMPTS = 3  # times as many tokens go through the model at most, those of the prompts included: every text is read with its own
ROWS = 8


class TracesTooLargeError(ModelError):
    """Not even one text can be traced in the memory there is."""


def write_traces(run: Run, config: ExperimentConfig, engine: Engine, prompts: Prompts, options: TraceOptions) -> Path:
    """Trace samples of a run, but those of `kind: power`: no temperature of a token says how they were drawn.

    Args:
        run: A run whose samples are all there.
        config: Its configuration.
        engine: What drew them, and can trace.
        prompts: Its prompts, as `prepare` made them for that model.
        options: How many samples, and how much of each token.

    Returns:
        The file written: `traces.parquet`, one row per token, columns as in `trace.columns.TraceRecord`.

    Raises:
        RunFolderError: It cannot be written.
        TracesTooLargeError: The memory does not hold one text.
    """
    policies = {named.name: named.policy for named in config.policies if named.policy.kind not in DECODINGS}
    vocab = engine.model_config.get_text_config().vocab_size
    lengths = [len(prompt) for prompt in prompts.token_ids]
    chosen = _chosen(run.path / "samples.parquet", policies, options, vocab, lengths)
    target = run.path / "traces.parquet"
    records = (
        _fitting(engine, list(prompts.token_ids[same[0].prompt_id]), policies[same[0].policy], same, options.top_k)
        for same in _batches(chosen)
    )
    write_table(target, trace_schema(), records)
    return target


def trace_again(run_folder: Path, *, trust_remote_code: bool = False) -> Path:
    """Trace a run that is complete, whatever its configuration says about traces, with its model loaded once more.

    Args:
        run_folder: The run.
        trust_remote_code: Let a configuration that says so run Python files of the checkpoint. The folder may come from anywhere, so that
            its own word is not enough.

    Raises:
        ConfigError, ModelError: The configuration of the run or its model cannot be read, or cannot be traced.
        RunFolderError: The file cannot be written.
    """
    config = load_config(run_folder / "config.yaml")
    if config.engine == "openai":
        raise ModelError(
            f"{run_folder}: its texts were drawn at a server that tells no token ids, and cannot be traced"
        )
    model = model_spec(config.model)
    if model.trust_remote_code and not trust_remote_code:
        raise ModelError(
            f"{run_folder}: its configuration would run Python files of {model.name} (trust_remote_code: true), and a run folder "
            "may come from anywhere: --trust-remote-code allows it"
        )
    engine = LocalEngine.load(config)  # also where vLLM drew: its texts can be read by transformers
    if (reason := engine.why_not_traced()) is not None:
        raise ModelError(f"{run_folder}: {reason}")
    prompts = prepare(Plan(config).prompts, engine, config.system_prompt, config.max_new_tokens)
    run = Run(run_folder)
    target = write_traces(run, config, engine, prompts, trace_options(config.traces) or TraceOptions())
    run.sign(target.name)
    return target


def _chosen(
    samples: Path, policies: Collection[str], options: TraceOptions, vocab: int, lengths: Sequence[int]
) -> list[Sample]:
    """The first sample of every prompt, then the second, ..., each under all of `policies`, until there are enough.

    `lengths` are those of the prompts, in tokens.
    """
    places: dict[tuple[int, int], tuple[int, int]] = {}
    for sample in (sample for sample in read_parquet(samples) if sample.policy in policies):
        place, new = (sample.sample_id, sample.prompt_id), len(sample.token_ids or ())
        drawn, read = places.get(place, (0, 0))
        places[place] = drawn + new, read + new + lengths[sample.prompt_id]
    budget = min(MOST_TOKENS, MOST_SCORES // vocab)
    kept: set[tuple[int, int]] = set()
    drawn = read = 0
    for place in sorted(places):
        full = drawn >= budget or read >= PROMPTS * budget
        if kept and (full if options.samples_per_policy is None else len(kept) >= options.samples_per_policy):
            break
        kept.add(place)
        drawn, read = drawn + places[place][0], read + places[place][1]
    wanted = (sample for sample in read_parquet(samples) if sample.policy in policies)
    return [sample for sample in wanted if (sample.sample_id, sample.prompt_id) in kept]


def _batches(samples: Sequence[Sample]) -> Iterator[list[Sample]]:
    def cell(sample: Sample) -> tuple[int, str]:
        return sample.prompt_id, sample.policy

    for _, group in groupby(sorted(samples, key=lambda s: (*cell(s), s.sample_id)), key=cell):
        same = [sample for sample in group if sample.token_ids]
        for start in range(0, len(same), ROWS):
            yield same[start : start + ROWS]


def _fitting(
    engine: Engine, prompt: list[int], policy: Any, samples: Sequence[Sample], top_k: int
) -> list[dict[str, Any]]:
    """`_traced`, in halves as often as memory asks for it."""
    try:
        return _traced(engine, prompt, policy, samples, top_k)
    except RuntimeError as error:
        if not should_reduce_batch_size(error):
            raise
        if len(samples) < 2:
            raise TracesTooLargeError("out of memory with the tokens of a single text") from error
    clear_device_cache(garbage_collection=True)
    half = len(samples) // 2
    parts = (_fitting(engine, prompt, policy, part, top_k) for part in (samples[:half], samples[half:]))
    return [record for part in parts for record in part]


def _traced(
    engine: Engine, prompt: list[int], policy: Any, samples: Sequence[Sample], top_k: int
) -> list[dict[str, Any]]:
    """Records of samples of one prompt and policy, their end-of-sequence tokens included."""
    end = ends_of(engine.generation_config, engine.tokenizer)[:1] or [0]  # behind a text: any token will do
    width = 1 + max(len(sample.token_ids or ()) for sample in samples)
    rows = [prompt + (s.token_ids or []) + end * (width - len(s.token_ids or ())) for s in samples]
    built = build_policy(policy, prompt_length=len(prompt), tokenizer=engine.tokenizer)
    trace = engine.trace(
        torch.tensor(rows),
        built.with_seeds([sample.seed for sample in samples]),
        len(prompt),
        top_k=top_k,
    )
    steps = {s.sample_id: len(s.token_ids or ()) + (s.finish_reason == "stop") for s in samples}
    records = trace.records(policy=samples[0].policy, prompt_id=samples[0].prompt_id, sample_id=list(steps))
    return [record for record in records if record["step"] < steps[record["sample_id"]]]
