"""A task in a file of its own: the section `task:` as in a configuration, or a configuration that has one."""

from __future__ import annotations

from pathlib import Path

import pydantic
from pydantic import BaseModel, ConfigDict

from temp_processors.config.errors import problems_of
from temp_processors.config.yaml_lines import ConfigError, Problem, read_yaml
from temp_processors.tasks.task import Task


class TaskFile(BaseModel):
    """A file with a section `task:`; whatever else a configuration holds is left out."""

    model_config = ConfigDict(strict=True, frozen=True, extra="ignore")

    task: Task


def load_task(path: Path) -> Task:
    """Read the task of a YAML file.

    Args:
        path: With a section `task:`, or with the fields of one.

    Raises:
        ConfigError: Naming every problem with its file, line, field and what is allowed.
    """
    source = read_yaml(path)
    if not isinstance(source.data, dict):
        raise ConfigError(
            [Problem(source.name, 1, (), "has to be a mapping: the section `task:` as in a configuration")]
        )
    model: type[BaseModel] = TaskFile if "task" in source.data else Task
    try:
        found = model.model_validate(source.data, context={"folder": path.resolve().parent})
    except pydantic.ValidationError as error:
        raise ConfigError([*source.problems, *problems_of(error, source, model)]) from error
    if source.problems:
        raise ConfigError(source.problems)
    return found.task if isinstance(found, TaskFile) else Task.model_validate(found)
