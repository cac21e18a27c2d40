"""YAML read with the line of every value, so that an error can point at it.

PyYAML keeps the last of two equal keys and forgets where a value stood; here a repeated key is a problem and every path has a line.
"""

from __future__ import annotations

import re
from codecs import BOM_UTF16_BE, BOM_UTF16_LE
from collections.abc import Hashable, Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple

import yaml
from yaml.constructor import ConstructorError
from yaml.reader import ReaderError

from temp_processors.addresses import redacted
from temp_processors.config.yaml_loader import DEEPEST, Bounded, MisreadError, compose
from temp_processors.inert import one_line

Location = tuple[str | int, ...]
MOST_PROBLEMS = 20
"""Problems that an error tells; it says how many more there are."""
INDEX = re.compile(r"[0-9]{1,9}")


class Problem(NamedTuple):
    """One thing that is wrong in a configuration. `str()` gives `file:line: path: message`, without what is unknown and without keys."""

    source: str
    line: int | None
    path: Location
    message: str

    def __str__(self) -> str:
        place = self.source if self.line is None else f"{self.source}:{self.line}"
        path = f"{'.'.join(map(str, self.path))}: " if self.path else ""
        return one_line(redacted(f"{place}: {path}{self.message}"))


def shortened(text: str, longest: int = 60) -> str:
    """`text`, with dots for what is beyond `longest` characters."""
    return text if len(text) <= longest else text[: longest - 3] + "..."


class ConfigError(ValueError):
    """Every problem of a configuration at once, one per line of `str()`."""

    def __init__(self, problems: Iterable[Problem]) -> None:
        self.problems = sorted(problems, key=lambda p: (p.source, p.line or 0))
        more = len(self.problems) - MOST_PROBLEMS
        lines = [str(problem) for problem in self.problems[:MOST_PROBLEMS]]
        super().__init__("\n".join([*lines, *([f"and {more:,} more problems"] if more > 0 else [])]))

    @classmethod
    def at(cls, path: Location, message: str) -> ConfigError:
        """One mistake, found where its file is not known: `located` gives it file and line."""
        return cls([Problem("the configuration", None, path, message)])

    def __reduce__(self) -> tuple[Any, ...]:
        return type(self), (self.problems,)


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

    def sound_data(self) -> Any:
        """The data, where reading it found nothing wrong. Raises `ConfigError` with the problems."""
        if self.problems:
            raise ConfigError(self.problems)
        return self.data

    def set(self, assignment: str) -> None:
        """Apply one `a.0.b=value` override; the value is parsed as YAML, list items are addressed by their index."""
        origin = f"--set {shortened(assignment, 200)}"
        dotted, equals, text = assignment.partition("=")
        if not equals or not dotted:
            self.problems.append(Problem(origin, None, (), "has to look like path.to.field=value"))
            return
        path: Location = tuple(int(part) if INDEX.fullmatch(part) else part for part in dotted.split("."))
        if len(path) > DEEPEST:
            self.problems.append(Problem(origin, None, (), f"names a field more than {DEEPEST} levels deep"))
            return
        if not _is_text(dotted):
            self.problems.append(Problem(origin, None, (), "holds half of a character, which is no text"))
            return
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
    if isinstance(here, list) and not here:
        return f"{where} is an empty list and has no index {part!r}"
    if isinstance(here, list):
        return f"{where} is a list of {len(here)}: {part!r} is not one of its indices 0 to {len(here) - 1}"
    return f"{where} holds {shortened(repr(here))} and has no field {part!r}"


def _is_text(text: str) -> bool:
    return not any("\ud800" <= character <= "\udfff" for character in text)


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
        raw = path.read_bytes()
        text = raw.decode("utf-16" if raw.startswith((BOM_UTF16_LE, BOM_UTF16_BE)) else "utf-8")
    except UnicodeDecodeError as error:
        raise ConfigError([Problem(name, None, (), f"is not UTF-8 (byte {error.start})")]) from error
    except OSError as error:
        raise ConfigError([Problem(name, None, (), f"cannot be read: {error.strerror}")]) from error
    return parse_yaml(text, name)


def parse_yaml(text: str, name: str) -> YamlSource:
    """Parse YAML text; repeated keys are collected in `problems`.

    Raises:
        ConfigError: It is not valid YAML, is too large, or holds a number that a person reads otherwise (`1:30`, `010`).
    """
    source = YamlSource(name, None)
    try:
        loader, node = compose(text)
        if node is not None:
            source.data = _construct(loader, node, (), source)
    except yaml.YAMLError as error:
        raise ConfigError([_not_valid(error, text, name)]) from error
    return source


def _not_valid(error: yaml.YAMLError, text: str, name: str) -> Problem:
    line, said = None, str(error)
    if isinstance(error, yaml.MarkedYAMLError):
        mark = error.problem_mark or error.context_mark
        said = ", ".join(part for part in (error.context, error.problem) if part)
        if (
            error.problem == "could not find expected ':'"
        ):  # noticed at the next line; the name of the field began at the context
            mark = error.context_mark or mark
            said += " with a space behind it, as in `name: value`"
        line = mark.line + 1 if mark else None
    elif isinstance(error, ReaderError):
        line = text.count("\n", 0, error.position) + 1
        said = f"the character U+{ord(text[error.position]):04X} may stand in double quotes only, as an escape"
    return Problem(name, line, (), said if isinstance(error, MisreadError) else f"is not valid YAML: {said}")


def _construct(loader: Bounded, node: yaml.Node, path: Location, source: YamlSource) -> Any:
    """The data of a node. An alias gives a copy, so that `--set` at one place changes that place alone."""
    source.lines.setdefault(path, (source.name, node.start_mark.line + 1))
    if isinstance(node, yaml.MappingNode) and node.tag == loader.DEFAULT_MAPPING_TAG:
        return _construct_mapping(loader, node, path, source)
    if isinstance(node, yaml.SequenceNode) and node.tag == loader.DEFAULT_SEQUENCE_TAG:
        return [_construct(loader, item, (*path, i), source) for i, item in enumerate(node.value)]
    return loader.construct_object(node, deep=True)


def _construct_mapping(
    loader: Bounded, node: yaml.MappingNode, path: Location, source: YamlSource
) -> dict[Hashable, Any]:
    loader.flatten_mapping(node)  # puts what merge keys (`<<`) bring before the mapping's own keys, which win
    first_own = len(node.value) - loader.own_keys[id(node)]
    first_line: dict[Hashable, int] = {}
    chosen: dict[Hashable, tuple[int, yaml.Node]] = {}
    for place, (key_node, value_node) in enumerate(node.value):
        key, line = _key(loader, key_node), key_node.start_mark.line + 1
        if key in first_line:
            message = f"is set twice, first in line {first_line[key]}: keep one"
            source.problems.append(Problem(source.name, line, (*path, _part(key)), message))
            continue
        if place >= first_own:
            first_line[key] = line
        chosen[key] = line, value_node
    result: dict[Hashable, Any] = {}
    for key, (line, value_node) in chosen.items():
        source.lines[(*path, _part(key))] = (source.name, line)
        result[key] = _construct(loader, value_node, (*path, _part(key)), source)
    return result


def _key(loader: Bounded, node: yaml.Node) -> Hashable:
    key = loader.construct_object(node, deep=True)
    if isinstance(key, Hashable):
        return key
    message = "a list or mapping is the key of a mapping: text that begins with { or [ has to stand in quotes"
    raise ConstructorError(None, None, message, node.start_mark)


def _part(key: Hashable) -> str | int:
    return key if isinstance(key, (str, int)) else str(key)
