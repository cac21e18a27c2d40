"""Reading an experiment: a YAML file, the name of a shipped one or plain data, with `--set` on top, and where each mistake is."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from copy import deepcopy
from pathlib import Path
from typing import Any, TypeAlias

import pydantic

from temp_processors.config.errors import problems_of
from temp_processors.config.experiment import ExperimentConfig
from temp_processors.config.grids import Expanded, as_written, write_out
from temp_processors.config.presets import write_presets_out
from temp_processors.config.yaml_lines import ConfigError, Problem, YamlSource, read_yaml
from temp_processors.datafiles import RowsError, expanded, is_there
from temp_processors.policies.mistakes import suggestion

Given: TypeAlias = Path | str | Mapping[str, Any] | YamlSource
"""A configuration as it is given: a file, the name of a shipped one, its data, or its data with a name for errors."""


def load_config(path: Given, overrides: Sequence[str] = (), out: Path | None = None) -> ExperimentConfig:
    """Read a YAML file, apply `--set` overrides, validate.

    Args:
        path: A file, the name of a configuration that ships with the package (`fox`, `fox.yaml`), or the data of one.
        overrides: `path.to.field=value`, applied in order before validation; values are parsed as YAML.
        out: Run folder that replaces the one in the file.

    Raises:
        ConfigError: Naming every problem with its file, line, field and what is allowed.
    """
    _refuse_other_types(path, overrides, out)
    source, folder = _read(path, overrides, out), _folder(path)
    policies = _written_out(source, folder)
    try:
        config = ExperimentConfig.model_validate(source.data, context={"folder": folder})
    except pydantic.ValidationError as error:
        problems = problems_of(error, source, ExperimentConfig)
        raise ConfigError([*source.problems, *(as_written(one, source, policies) for one in problems)]) from error
    if source.problems:
        raise ConfigError(source.problems)
    return config


def located(
    error: ConfigError,
    path: Given,
    overrides: Sequence[str] = (),
    out: Path | None = None,
) -> ConfigError:
    """An error found after reading, such as a tag that the tokenizer splits, with the file and line of its fields."""
    source = _read(path, overrides, out)
    policies = _written_out(source, _folder(path))
    problems = (source.problem(problem.path, problem.message) for problem in error.problems)
    return ConfigError(as_written(problem, source, policies) for problem in problems)


def _refuse_other_types(path: object, overrides: object, out: object) -> None:
    """Raise `ConfigError` for an argument that is none of what [`load_config`] takes."""
    if not isinstance(path, (Path, str, Mapping, YamlSource)):
        message = f"has to be a file, the name of a shipped configuration or a mapping, but is {path!r}"
        raise ConfigError([Problem("path", None, (), message)])
    of_texts = isinstance(overrides, Sequence) and all(isinstance(assignment, str) for assignment in overrides)
    if isinstance(overrides, str) or not of_texts:
        message = f"have to be a list of texts such as ['seed=1'], but are {overrides!r}"
        raise ConfigError([Problem("overrides", None, (), message)])
    if not isinstance(out, (Path, str, type(None))):
        raise ConfigError([Problem("out", None, (), f"has to be a folder, but is {out!r}")])


def _folder(path: Given) -> Path:
    """Where a configuration stands, for the paths in it."""
    return Path.cwd() if isinstance(path, (Mapping, YamlSource)) else find_config(Path(path)).resolve().parent


def _written_out(source: YamlSource, folder: Path) -> list[Expanded]:
    """Write presets and grids out in the data; the policies, with where each comes from."""
    write_presets_out(source, folder)
    return write_out(source)


def _read(path: Given, overrides: Sequence[str], out: Path | None) -> YamlSource:
    """The data of a configuration with the overrides applied, not validated."""
    if isinstance(path, Mapping):
        source = YamlSource("the configuration", deepcopy(dict(path)))
    elif isinstance(path, YamlSource):
        source = YamlSource(path.name, deepcopy(path.data))
    else:
        found = find_config(Path(path))
        source = read_yaml(found, shown_as=str(path) if found == Path(path) else str(found))
    if not isinstance(source.data, dict):
        raise ConfigError([Problem(source.name, 1, (), "has to be a mapping of fields such as `name` and `policies`")])
    for assignment in overrides:
        source.set(assignment)
    if out is not None:
        source.data["out"] = str(out)
        source.lines[("out",)] = ("--out", None)
    return source


def shipped_configs() -> Path:
    """Folder of the configurations that ship with the package (beside it in a source checkout)."""
    package = Path(__file__).parents[1]
    installed = package / "configs"
    return installed if installed.is_dir() else package.parent / "configs"


def find_config(path: Path) -> Path:
    """`path` itself with `~` as the home folder, or the shipped configuration of that name."""
    try:
        path = Path(expanded(str(path)))
    except RowsError as error:
        raise ConfigError.at((), str(error)) from error
    shipped = shipped_configs() / f"{path.stem}.yaml"
    if (is_there(path) and path.is_file()) or path.parent != Path() or not shipped.is_file():
        if not is_there(path):
            names = sorted(file.stem for file in shipped_configs().glob("*.yaml"))
            message = f"no such file{suggestion(path.stem, names)}; shipped: {', '.join(names)}"
            raise ConfigError([Problem(str(path), None, (), message)])
        return path
    return shipped
