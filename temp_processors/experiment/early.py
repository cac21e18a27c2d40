"""What is wrong with a run and can be known before its model is loaded: told by the run itself, and by `--dry-run`."""

from __future__ import annotations

from typing import Any

from temp_processors.comparison.scoring import tokenizer_named
from temp_processors.config.experiment import ExperimentConfig
from temp_processors.config.sections import model_spec
from temp_processors.config.yaml_lines import ConfigError, shortened
from temp_processors.engines.reading import read_prompts_with
from temp_processors.engines.sources import Source
from temp_processors.experiment.plan import Plan
from temp_processors.experiment.prompts import prepare
from temp_processors.metrics.tokenizers import splitter
from temp_processors.runs.writable import why_not_writable


def refuse_unwritable(config: ExperimentConfig) -> None:
    """Raise `ConfigError` at `out`, or at the `name` that stands for it, where the run folder cannot be written."""
    reason = why_not_writable(config.folder)
    if reason is not None:
        field = "name" if config.out is None else "out"
        raise ConfigError.at((field,), f"{shortened(str(config.folder), 120)}: cannot be written: {reason}")


def scored_by(config: ExperimentConfig) -> Any:
    """The tokenizer that scores count by, as `tokenize` takes it; None for that of the run's own model.

    Raises:
        ConfigError: There is none of that name, or a package that it needs is not installed.
    """
    if config.tokenizer == "model":
        return None
    try:
        chosen = tokenizer_named(config.tokenizer)
        splitter(chosen)
    except ValueError as error:
        raise ConfigError.at(("tokenizer",), str(error)) from error
    return chosen


def check_prompts(plan: Plan, source: Source) -> None:
    """Hold the prompts against a model whose files are on this machine, without its weights; nothing for one at a server or on the Hub.

    Args:
        plan: With the prompts.
        source: Where `find_model` found its model.

    Raises:
        ModelError: As `prepare`, or an option of the model that this machine does not have.
    """
    config = plan.config
    if config.engine != "transformers" or config.launcher is not None:
        return
    reader = read_prompts_with(model_spec(config.model), source)
    if reader is not None:
        prepare(plan.prompts, reader, config.system_prompt, config.max_new_tokens)
