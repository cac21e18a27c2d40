"""`kind: checkpoint` among the policies of a run: filled in from the model's generation_config before anything is drawn."""

from __future__ import annotations

from typing import Any

from temp_processors.audit.checkpoint import CheckpointError, with_checkpoint
from temp_processors.config.experiment import ExperimentConfig, NamedPolicy
from temp_processors.config.sections import model_spec
from temp_processors.config.yaml_lines import ConfigError, Problem
from temp_processors.engines.reading import read_generation_config


def filled_in(config: ExperimentConfig, generation_config: Any) -> ExperimentConfig:
    """The configuration with every `kind: checkpoint` as the model says it; the same object where there is none.

    A policy that is written out already, as in the `config.yaml` of a run, has to be what this model says.

    Raises:
        ConfigError: What the model says is nothing that a policy can carry, or something else than what is written.
    """
    if not any(named.policy.of_checkpoint for named in config.policies):
        return config
    policies, problems = [], []
    for place, named in enumerate(config.policies):
        try:
            policies.append(_filled_in(named, generation_config))
        except CheckpointError as error:
            message = f"{error} (model: {model_spec(config.model).name!r})"
            problems.append(Problem(f"policy {named.name!r}", None, ("policies", place), message))
    if problems:
        raise ConfigError(problems)
    return config.model_copy(update={"policies": policies})


def _filled_in(named: NamedPolicy, generation_config: Any) -> NamedPolicy:
    if not named.policy.of_checkpoint:
        return named
    return NamedPolicy.model_validate(with_checkpoint(named.model_dump(mode="json"), generation_config))


def before_loading(config: ExperimentConfig) -> ExperimentConfig:
    """The same where a policy still needs the model, of which the generation_config alone is read.

    Raises:
        ConfigError: As `filled_in`.
        ModelError: There is no such model.
    """
    if not any(named.policy.needs_model for named in config.policies):
        return config
    return filled_in(config, read_generation_config(model_spec(config.model)))
