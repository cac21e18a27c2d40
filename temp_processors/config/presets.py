"""Presets: settings under a name, each with its source. `{preset: NAME}` in a configuration is the policy of that name.

`presets.yaml` beside this file holds those that ship with the package; a configuration names a file of its own under `presets:`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import cache
from pathlib import Path
from typing import Any, NamedTuple

from temp_processors.config.yaml_lines import ConfigError, Location, Problem, YamlSource, read_yaml
from temp_processors.datafiles import RowsError, expanded, is_there
from temp_processors.policies.mistakes import suggestion

FILE = Path(__file__).with_name("presets.yaml")
FIELDS = ("policy", "source")


class Preset(NamedTuple):
    """A setting under a name.

    Args:
        name: As `{preset: NAME}` says it.
        policy: Its data, as in a configuration; a grid makes several policies.
        source: The page, file or paper that recommends it.
    """

    name: str
    policy: dict[str, Any]
    source: str


class PresetError(ValueError):
    """A mention of a preset that cannot be used; `path` leads to it inside the list of policies."""

    def __init__(self, path: Location, message: str) -> None:
        self.path, self.message = path, message
        super().__init__(f"`{'.'.join(map(str, path))}` {message}")


def preset(name: str, file: Path | str | None = None) -> dict[str, Any]:
    """The policy of a preset, as data for `build_policy` or a configuration.

    Args:
        name: As `temp-processors list presets` shows them.
        file: Your own presets, beside those that ship with the package.

    Raises:
        ValueError: There is none of this name, or the file holds a mistake (`ConfigError`).

    Example:
        >>> preset("qwen3_thinking")
        {'kind': 'generate', 'temperature': 0.6, 'top_k': 20, 'top_p': 0.95, 'min_p': 0.0}
    """
    known = known_presets(file)
    if name not in known:
        raise ValueError(f"`{name}` {_unknown(name, known)}")
    policy: dict[str, Any] = _copied(known[name].policy)
    return policy


def known_presets(file: Path | str | None = None) -> dict[str, Preset]:
    """The presets that ship with the package and those of `file`, by name; where both have a name, the file's.

    Raises:
        ConfigError: The file cannot be read or holds a mistake, at its line.
    """
    return dict(_shipped()) if file is None else {**_shipped(), **read_presets(Path(file))}


@cache
def _shipped() -> dict[str, Preset]:
    data = read_yaml(FILE).data
    return {name: Preset(name, entry["policy"], entry["source"]) for name, entry in data.items()}


def read_presets(path: Path) -> dict[str, Preset]:
    """The presets of a file, every policy of them checked.

    Raises:
        ConfigError: Every mistake, with its file and line.
    """
    source = read_yaml(path)
    problems = list(source.problems)
    if not isinstance(source.data, dict):
        raise ConfigError(
            [source.problem((), "has to be a mapping from names of presets to a `policy` and its `source`")]
        )
    for name, entry in source.data.items():
        problems += _mistakes(source, name, entry)
    if problems:
        raise ConfigError(problems)
    return {name: Preset(name, entry["policy"], entry["source"]) for name, entry in source.data.items()}


def _mistakes(source: YamlSource, name: Any, entry: Any) -> list[Problem]:
    """What is wrong with one preset of a file."""
    if not isinstance(name, str) or not name.strip():
        return [source.problem((name,), f"names a preset, so it has to be a text, but is {name!r}")]
    if not isinstance(entry, dict):
        return [source.problem((name,), f"has to have a `policy` and its `source`, but is {str(entry)[:60]!r}")]
    found = [
        source.problem((name, field), f"not a field of a preset{suggestion(field, FIELDS)}; allowed: policy, source")
        for field in entry.keys() - set(FIELDS)
    ]
    text = entry.get("source")
    if not isinstance(text, str) or not text.strip():
        found.append(
            source.problem((name, "source"), "is required: where the setting is recommended, such as an address")
        )
    if "policy" not in entry:
        return [*found, source.problem((name, "policy"), "is required and missing")]
    return [*found, *_mistakes_of_policy(source, (name, "policy"), entry["policy"])]


def _mistakes_of_policy(source: YamlSource, path: Location, policy: Any) -> list[Problem]:
    """What is wrong with a policy, its grids written out, at the lines of the file."""
    import pydantic

    from temp_processors.config.errors import problems_of
    from temp_processors.config.grids import GridError, expand
    from temp_processors.policies.kinds import PolicyConfig

    if not isinstance(policy, dict):
        return [source.problem(path, f"has to be a mapping with a `kind`, but is {str(policy)[:60]!r}")]
    try:
        expanded_ = expand([policy])
    except GridError as error:
        return [source.problem((*path, *error.path[1:]), error.message)]
    for one in expanded_:
        data = {key: value for key, value in one.data.items() if key != "name" or "name" in policy}
        lines = {place[len(path) :]: line for place, line in source.lines.items() if place[: len(path)] == path}
        try:
            pydantic.TypeAdapter(PolicyConfig).validate_python(data)
        except pydantic.ValidationError as error:
            found = problems_of(error, YamlSource(source.name, data, lines), PolicyConfig)
            return [problem._replace(path=(*path, *problem.path)) for problem in found]
    return []


def with_presets(policies: Any, known: Callable[[], Mapping[str, Preset]]) -> Any:
    """A list of policies with every `{preset: NAME}` as the policy of that name, inside other policies too.

    Args:
        policies: As a configuration holds them; what is no list is returned as it is.
        known: Gives the presets; called where one is mentioned.

    Returns:
        The list. A policy that comes from a preset has the preset's name, unless it has one of its own, and its `source`.

    Raises:
        PresetError: There is no such preset, or something else stands beside it.
    """
    if not isinstance(policies, list):
        return policies
    return [_named(policy, (place,), known) for place, policy in enumerate(policies)]


def _named(policy: Any, path: Location, known: Callable[[], Mapping[str, Preset]]) -> Any:
    sources: dict[str, None] = {}
    found = _written_out(policy, path, known, sources)
    if not sources:
        return policy
    name = {} if "name" in found or "preset" not in policy else {"name": policy["preset"]}
    source = {} if "source" in found else {"source": "; ".join(sources)}
    return {**name, **found, **source}


def _written_out(
    value: Any, path: Location, known: Callable[[], Mapping[str, Preset]], sources: dict[str, None]
) -> Any:
    if isinstance(value, list):
        return [_written_out(item, (*path, place), known, sources) for place, item in enumerate(value)]
    if not isinstance(value, dict):
        return value
    if "preset" not in value:
        return {key: _written_out(item, (*path, key), known, sources) for key, item in value.items()}
    beside = sorted(map(str, value.keys() - ({"preset", "name"} if len(path) == 1 else {"preset"})))
    if beside:
        message = f"is taken as it is, but {', '.join(beside)} stands beside it: to change it, write its policy out"
        raise PresetError((*path, "preset"), message)
    name = value["preset"]
    if not isinstance(name, str) or name not in known():
        raise PresetError((*path, "preset"), _unknown(name, known()))
    chosen = known()[name]
    sources[chosen.source] = None
    return {**({"name": value["name"]} if "name" in value else {}), **_copied(chosen.policy)}


def _unknown(name: Any, known: Mapping[str, Preset]) -> str:
    hint = suggestion(name, known) or f"; allowed: {', '.join(known)}"
    return f"has to name a preset, but is {name!r}{hint}"


def _copied(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _copied(item) for key, item in value.items()}
    return [_copied(item) for item in value] if isinstance(value, list) else value


def write_presets_out(source: YamlSource, folder: Path) -> None:
    """Write the presets of a configuration out in its data, and take the field `presets` out of it.

    Args:
        source: The configuration.
        folder: Where it stands: a relative path under `presets` is looked for in the working folder, then there.

    Raises:
        ConfigError: No such preset, at its line; a mistake in the file of presets, at its line there.
    """
    file = source.data.pop("presets", None)

    @cache
    def known() -> dict[str, Preset]:
        return known_presets(None if file is None else _found(file, folder, source))

    if file is not None:
        known()
    if "policies" not in source.data:
        return
    try:
        source.data["policies"] = with_presets(source.data["policies"], known)
    except PresetError as error:
        raise ConfigError([*source.problems, source.problem(("policies", *error.path), error.message)]) from error


def _found(file: Any, folder: Path, source: YamlSource) -> Path:
    if not isinstance(file, str) or not file.strip():
        message = f"has to name a file of presets, but is {str(file)[:60]!r}"
        raise ConfigError([source.problem(("presets",), message)])
    try:
        path = Path(expanded(file))
    except RowsError as error:
        raise ConfigError([source.problem(("presets",), str(error))]) from error
    beside = folder / path
    path = beside if not is_there(path) and is_there(beside) else path
    if not is_there(path) or not path.is_file():
        said = "is a folder, not a file" if is_there(path) and path.is_dir() else "no such file"
        raise ConfigError([source.problem(("presets",), f"{said}: {file}")])
    return path
