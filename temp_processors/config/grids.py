"""Grids of policies: `temperature: {from: 0.1, to: 1.5, step: 0.2}` or a list of values in any field makes one policy of each.

    policies: [{kind: fixed, temperature: {from: 0.1, to: 0.5, step: 0.2}}]   # T=0.1, T=0.3, T=0.5
    policies: [{kind: truncate_then_temper, top_p: [0.9, 1.0], policy: {kind: fixed, temperature: [0.5, 1.0]}}]   # four

Several grids in one policy make every combination, the first field slowest. A policy is named by its values, behind the `name` that it was
given and behind its kind where that is not `fixed`. Fields that are lists by themselves (token ids, points, inner policies) are no grids; a
list of temperatures of `fixed`, which elsewhere is one a row of a batch, is one here, since a run mixes its rows.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from decimal import Decimal
from itertools import product
from types import UnionType
from typing import Annotated, Any, NamedTuple, Union, get_args, get_origin

from temp_processors.config.yaml_lines import ConfigError, Location, Problem, YamlSource
from temp_processors.policies.kinds import KINDS
from temp_processors.policies.power import DECODINGS

SPAN = {"from", "to", "step"}
MOST_VALUES = 1000
SHORT = {"temperature": "T"}
"""Names of fields in names of policies, where they are shorter there."""


class GridError(ValueError):
    """A grid that is none; `path` leads to it inside the policy."""

    def __init__(self, path: Location, message: str) -> None:
        self.path, self.message = path, message
        super().__init__(f"`{'.'.join(map(str, path))}` {message}")


class Choice(NamedTuple):
    """One value of a grid: where it stands in the policy, and its place in the list; None where it is of a span."""

    path: Location
    value: Any
    place: int | None


class Expanded(NamedTuple):
    """One policy of a list with grids: which policy it comes from, its data, what was chosen for it."""

    origin: int
    data: Any
    choices: tuple[Choice, ...]


def expand(policies: Sequence[Any]) -> list[Expanded]:
    """Every policy with its grids written out; those without are as they were.

    Raises:
        GridError: A span that is none; its path begins with the position of the policy.

    Example:
        >>> [one.data["name"] for one in expand([{"kind": "fixed", "temperature": {"from": 0.1, "to": 0.5, "step": 0.2}}])]
        ['T=0.1', 'T=0.3', 'T=0.5']
        >>> [one.data["name"] for one in expand([{"name": "mild", "kind": "edt", "temperature": [0.5, 1], "theta": [0.1, 0.2]}])][:2]
        ['mild edt T=0.5 theta=0.1', 'mild edt T=0.5 theta=0.2']
    """
    found = []
    for origin, policy in enumerate(policies):
        try:
            grids = list(_grids(policy, ()))
            _refuse_too_many(grids)
        except GridError as error:
            raise GridError((origin, *error.path), error.message) from error
        for choices in product(*grids):
            found.append(Expanded(origin, _chosen(policy, choices) if choices else policy, choices))
    return found


def _refuse_too_many(grids: Sequence[list[Choice]]) -> None:
    count = math.prod(map(len, grids))
    if count > MOST_VALUES:
        raise GridError(
            grids[0][0].path, f"is part of a grid of {count:,} policies: it may have at most {MOST_VALUES:,}"
        )


def _grids(policy: Any, path: Location) -> Iterator[list[Choice]]:
    """The grids of a policy and of the policies inside it, in the order of its fields."""
    kind = policy.get("kind") if isinstance(policy, dict) else None
    if not isinstance(kind, str) or kind not in {**KINDS, **DECODINGS}:
        return
    fields = {**KINDS, **DECODINGS}[kind].model_fields
    for name, value in policy.items():
        here = (*path, name)
        if name == "kind" or name not in fields:
            continue
        if isinstance(value, dict) and "kind" not in value and value.keys() & SPAN:
            yield [Choice(here, number, None) for number in span(value, here)]
        elif isinstance(value, dict):
            yield from _grids(value, here)
        elif isinstance(value, list) and _is_list(fields[name].annotation):
            for place, item in enumerate(value):
                yield from _grids(item, (*here, place))
        elif isinstance(value, list):
            if not value:
                raise GridError(here, "is an empty list: a grid needs a value")
            yield [Choice(here, item, place) for place, item in enumerate(value)]


def _is_list(annotation: Any) -> bool:
    """Whether a field is a list by itself: its type has a tuple in it, and no single number."""
    members = _members(annotation)
    return any(get_origin(member) is tuple for member in members) and float not in members


def _members(annotation: Any) -> list[Any]:
    if get_origin(annotation) is Annotated:
        return _members(get_args(annotation)[0])
    if get_origin(annotation) in (Union, UnionType):
        return [member for part in get_args(annotation) for member in _members(part)]
    return [annotation]


def span(value: Mapping[Any, Any], path: Location = ("temperature",)) -> list[float | int]:
    """The values of `{from, to, step}`, both ends included, exact in decimal digits.

    Raises:
        GridError: A part that is missing, unknown or no number, a step that is not above 0, ends in the wrong order, or too many values.

    Example:
        >>> span({"from": 0.1, "to": 0.8, "step": 0.2})
        [0.1, 0.3, 0.5, 0.7]
    """
    if set(value) != SPAN:
        raise GridError(path, f"has to have `from`, `to` and `step`, but has {', '.join(map(str, value))}")
    for name, number in value.items():
        if isinstance(number, bool) or not isinstance(number, (int, float)) or not abs(number) < 1e9:
            raise GridError((*path, name), f"has to be a number, but is {number!r}")
    low, high, step = (Decimal(str(value[name])) for name in ("from", "to", "step"))
    if step <= 0:
        raise GridError((*path, "step"), f"has to be above 0, but is {value['step']!r}")
    if high < low:
        raise GridError((*path, "to"), f"has to be at least `from`, {value['from']!r}, but is {value['to']!r}")
    count = int((high - low) / step) + 1
    if count > MOST_VALUES:
        raise GridError(path, f"makes {count:,} values, and a grid has at most {MOST_VALUES:,}")
    whole = all(isinstance(number, int) for number in value.values())
    numbers = [low + step * place for place in range(count)]
    return [int(number) if whole else float(number) for number in numbers]


def _chosen(policy: dict[str, Any], choices: tuple[Choice, ...]) -> dict[str, Any]:
    """The policy with one value of every grid, and its name."""
    kind = [] if policy["kind"] == "fixed" else [policy["kind"]]
    values = [f"{SHORT.get(str(c.path[-1]), c.path[-1])}={_shown(c.value)}" for c in choices]
    given = policy.get("name", "")
    name = " ".join([given, *kind, *values]).strip() if isinstance(given, str) else given
    found: dict[str, Any] = {"name": name, **{key: _copied(item) for key, item in policy.items() if key != "name"}}
    for choice in choices:
        here: Any = found
        for part in choice.path[:-1]:
            here = here[part]
        here[choice.path[-1]] = choice.value
    return found


def _copied(value: Any) -> Any:
    """Lists and mappings anew, so that a choice for one policy leaves the others alone."""
    if isinstance(value, dict):
        return {key: _copied(item) for key, item in value.items()}
    return [_copied(item) for item in value] if isinstance(value, list) else value


def _shown(value: Any) -> str:
    return f"{value:g}" if isinstance(value, float) else "none" if value is None else str(value)


def write_out(source: YamlSource) -> list[Expanded]:
    """Write the grids of a configuration's policies out in its data; returns the policies with where each comes from.

    Raises:
        ConfigError: A grid that is none, at its line.
    """
    policies = source.data.get("policies")
    if not isinstance(policies, list):
        return []
    try:
        found = expand(policies)
    except GridError as error:
        raise ConfigError([*source.problems, source.problem(("policies", *error.path), error.message)]) from error
    source.data["policies"] = [one.data for one in found]
    return found


def as_written(problem: Problem, source: YamlSource, expanded: Sequence[Expanded]) -> Problem:
    """A problem at the place in the file that it comes from: `policies.3.temperature` may be `policies.0.temperature.3` there."""
    path = problem.path
    if len(path) < 2 or path[0] != "policies" or not isinstance(path[1], int) or path[1] >= len(expanded):
        return problem
    one, rest = expanded[path[1]], path[2:]
    for choice in one.choices:
        if rest[: len(choice.path)] == choice.path and choice.place is not None:
            rest = (*choice.path, choice.place, *rest[len(choice.path) :])
            break
    return source.problem(("policies", one.origin, *rest), problem.message)
