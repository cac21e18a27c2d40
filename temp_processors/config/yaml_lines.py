"""YAML read with the line of every value, so that an error can point at it.

PyYAML keeps the last of two equal keys and forgets where a value stood; here a repeated key is a problem and every path has a line.
"""

from __future__ import annotations

from collections.abc import Hashable, Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple

import yaml

Location = tuple[str | int, ...]


class Problem(NamedTuple):
    """One thing that is wrong in a configuration. `str()` gives `file:line: path: message`, leaving out what is unknown."""

    source: str
    line: int | None
    path: Location
    message: str

    def __str__(self) -> str:
        place = self.source if self.line is None else f"{self.source}:{self.line}"
        return f"{place}: {'.'.join(map(str, self.path))}: {self.message}" if self.path else f"{place}: {self.message}"


class ConfigError(ValueError):
    """Every problem of a configuration at once, one per line of `str()`."""

    def __init__(self, problems: Iterable[Problem]) -> None:
        self.problems = sorted(problems, key=lambda p: (p.source, p.line or 0))
        super().__init__("\n".join(map(str, self.problems)))


@dataclass
class YamlSource:
    """Plain data from YAML, with the line (and the source) that each path came from."""

    name: str
    data: Any
    lines: dict[Location, tuple[str, int | None]] = field(default_factory=dict)
    problems: list[Problem] = field(default_factory=list)

    def problem(self, path: Location, message: str) -> Problem:
        """A problem at `path`, placed at the nearest enclosing value whose line is known."""
        for length in range(len(path), -1, -1):
            if path[:length] in self.lines:
                source, line = self.lines[path[:length]]
                return Problem(source, line, path, message)
        return Problem(self.name, None, path, message)

    def set(self, assignment: str) -> None:
        """Apply one `a.0.b=value` override; the value is parsed as YAML, list items are addressed by their index."""
        origin = f"--set {assignment}"
        dotted, equals, text = assignment.partition("=")
        if not equals or not dotted:
            self.problems.append(Problem(origin, None, (), "has to look like path.to.field=value"))
            return
        path: Location = tuple(int(part) if part.isdigit() else part for part in dotted.split("."))
        value = parse_yaml(text, origin)
        self.problems.extend(value.problems)
        parent = self._container(path, origin)
        if parent is None:
            return
        parent[path[-1]] = value.data
        self.lines = {known: place for known, place in self.lines.items() if known[: len(path)] != path}
        self.lines.update({path + known: (origin, None) for known in value.lines})
        self.lines[path] = (origin, None)

    def _container(self, path: Location, origin: str) -> Any | None:
        """The mapping or list that holds the last part of `path`; missing mappings on the way are made."""
        here = self.data
        for depth, part in enumerate(path):
            if isinstance(here, dict) and isinstance(part, str):
                if depth + 1 < len(path):
                    here = here.setdefault(part, {})
            elif isinstance(here, list) and isinstance(part, int) and part < len(here):
                if depth + 1 < len(path):
                    here = here[part]
            else:
                self.problems.append(Problem(origin, None, path, _no_such_place(here, path[:depth], part)))
                return None
        return here


def _no_such_place(here: Any, parent: Location, part: str | int) -> str:
    where = f"`{'.'.join(map(str, parent))}`" if parent else "the configuration"
    if isinstance(here, list):
        return f"{where} is a list of {len(here)}: {part!r} is not one of its indices 0 to {len(here) - 1}"
    return f"{where} holds {here!r} and has no field {part!r}"


def write_yaml(data: Mapping[str, Any]) -> str:
    """YAML text that reads back as equal data, in the order of its fields."""
    text = yaml.safe_dump(dict(data), sort_keys=False, allow_unicode=True)
    # PyYAML writes three rare line separators in a way that it reads back as others, unless it writes ASCII
    rare = set("\x85\u2028\u2029") & set(text)
    return yaml.safe_dump(dict(data), sort_keys=False) if rare else text


def read_yaml(path: Path, shown_as: str | None = None) -> YamlSource:
    """Read one YAML file. Raises `ConfigError` when it cannot be read or is not YAML."""
    name = shown_as or str(path)
    try:
        text = path.read_text(encoding="utf-8")
    except UnicodeDecodeError as error:
        raise ConfigError([Problem(name, None, (), f"is not UTF-8 (byte {error.start})")]) from error
    except OSError as error:
        raise ConfigError([Problem(name, None, (), f"cannot be read: {error.strerror}")]) from error
    return parse_yaml(text, name)


def parse_yaml(text: str, name: str) -> YamlSource:
    """Parse YAML text; syntax errors raise `ConfigError`, repeated keys are collected in `problems`."""
    loader = yaml.SafeLoader(text)
    source = YamlSource(name, None)
    try:
        node = loader.get_single_node()
        if node is not None:
            source.data = _construct(loader, node, (), source)
    except yaml.MarkedYAMLError as error:
        line = error.problem_mark.line + 1 if error.problem_mark else None
        raise ConfigError([Problem(name, line, (), f"is not valid YAML: {error.problem or error.context}")]) from error
    except yaml.YAMLError as error:
        raise ConfigError([Problem(name, None, (), f"is not valid YAML: {error}")]) from error
    finally:
        loader.dispose()
    return source


def _construct(loader: yaml.SafeLoader, node: yaml.Node, path: Location, source: YamlSource) -> Any:
    source.lines.setdefault(path, (source.name, node.start_mark.line + 1))
    if isinstance(node, yaml.MappingNode):
        return _construct_mapping(loader, node, path, source)
    if isinstance(node, yaml.SequenceNode):
        return [_construct(loader, item, (*path, i), source) for i, item in enumerate(node.value)]
    return loader.construct_object(node, deep=True)


def _construct_mapping(
    loader: yaml.SafeLoader, node: yaml.MappingNode, path: Location, source: YamlSource
) -> dict[Hashable, Any]:
    loader.flatten_mapping(node)
    first_line: dict[Hashable, int] = {}
    result: dict[Hashable, Any] = {}
    for key_node, value_node in node.value:
        key = loader.construct_object(key_node, deep=True)
        line = key_node.start_mark.line + 1
        here = (*path, key if isinstance(key, (str, int)) else str(key))
        if key in first_line:
            message = f"is set twice, first in line {first_line[key]}: keep one"
            source.problems.append(Problem(source.name, line, here, message))
            continue
        first_line[key] = line
        source.lines[here] = (source.name, line)
        result[key] = _construct(loader, value_node, here, source)
    return result
