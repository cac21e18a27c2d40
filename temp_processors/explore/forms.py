"""What a page has to ask for a kind of policy, read off its pydantic model: a new kind appears by itself.

A form knows nothing of the page's toolkit: it says which fields there are, what each begins with, and turns what was
typed into the mapping that a configuration file would hold.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal, get_args, get_origin

import yaml
from pydantic.fields import FieldInfo

from temp_processors.config.grids import expand
from temp_processors.config.presets import Preset, known_presets
from temp_processors.config.yaml_lines import ConfigError, parse_yaml
from temp_processors.policies.checks import Temperature
from temp_processors.policies.fixed import Temperatures
from temp_processors.policies.kinds import KINDS, BasePolicy

Widget = Literal["slider", "number", "whole", "choice", "text", "yaml"]
HOTTEST = 5.0
LONGEST_YAML = 2000  # and no anchors: a visitor's ten lines of aliases can stand for gigabytes
TEMPERATURES = (get_args(Temperature)[1], get_args(Temperatures)[1])  # what marks a temperature among the numbers

# What a field begins with where neither the class has an example nor the parameter a default.
NESTED = "{kind: fixed, temperature: 1}"
PLAIN: dict[Widget, Any] = {"slider": 1.0, "number": 1.0, "whole": 8, "text": "", "yaml": NESTED}


class FormError(ValueError):
    """What was typed cannot be read; one line that names the field."""


@dataclass(frozen=True)
class FieldForm:
    """One parameter on the page.

    Args:
        name: As in a configuration file.
        widget: `slider` for a temperature in [0, 5]; `number`; `whole` number; `choice`; `text` as it is; `yaml` for
            lists, policies inside policies, and numbers that may be left out (a number box shows 0 for nothing).
        start: What stands there first; None for nothing.
        required: Whether the model has no default for it.
        choices: Of a `choice`.
    """

    name: str
    widget: Widget
    start: Any
    required: bool
    choices: tuple[str, ...] = ()


def policy_kinds() -> dict[str, type[BasePolicy]]:
    """The kinds that a column of the page offers, by name.

    All but `rows`, which holds one policy for each row of a batch, and those that draw from the seed of a text: a column shows one text.
    """
    hidden = {kind for kind, model in KINDS.items() if model.warper.per_row or model.warper.draws_from_seed}
    return {kind: model for kind, model in KINDS.items() if kind not in hidden}


def form(model: type[BasePolicy]) -> list[FieldForm]:
    """The fields of a kind, in the order of its model.

    Example:
        >>> from temp_processors.policies.kinds import KINDS
        >>> [(field.name, field.widget, field.start) for field in form(KINDS["dynamic"])]
        [('temperature', 'slider', 1.0), ('range', 'number', 0.5), ('exponent', 'number', 1.0)]
    """
    example = model.warper.example
    return [_field(name, info, example.get(name)) for name, info in model.model_fields.items() if name != "kind"]


def _field(name: str, info: FieldInfo, example: Any) -> FieldForm:
    required = info.is_required()
    widget, choices = _widget(info)
    start = None if required else info.default
    if example is not None:
        start = _as_yaml(example) if isinstance(example, list | dict) else example
    if start is None and required:
        start = choices[0] if choices else _plain(widget, info)
    if widget in ("number", "whole") and not required and info.default is None:
        widget, start = "yaml", None if start is None else str(start)
    return FieldForm(name, widget, None if start == () else start, required, choices)


def _as_yaml(value: Any) -> str:
    """A list or mapping as YAML on one line."""
    text: str = yaml.safe_dump(value, default_flow_style=True, sort_keys=False, width=math.inf)
    return text.strip()


def _plain(widget: Widget, info: FieldInfo) -> Any:
    """A first value for a required field that has neither default nor example."""
    holds_policies = any(isinstance(leaf, type) and issubclass(leaf, BasePolicy) for leaf in _leaves(info.annotation))
    return "[0]" if widget == "yaml" and not holds_policies else PLAIN[widget]


def _widget(info: FieldInfo) -> tuple[Widget, tuple[str, ...]]:
    leaves = [*_leaves(info.annotation), *info.metadata]
    choices = tuple(str(value) for leaf in leaves if get_origin(leaf) is Literal for value in get_args(leaf))
    if choices:
        return "choice", choices
    if any(leaf in TEMPERATURES for leaf in leaves) and type(None) not in leaves:
        return "slider", ()
    kinds: dict[Any, Widget] = {float: "number", int: "whole", str: "text"}
    simple = [kinds[leaf] for leaf in leaves if isinstance(leaf, type) and leaf in kinds]
    compound = any(
        get_origin(leaf) is tuple or (isinstance(leaf, type) and issubclass(leaf, BasePolicy)) for leaf in leaves
    )
    return ("yaml" if compound or not simple else simple[0]), ()


def _leaves(annotation: Any) -> Iterator[Any]:
    """The types in a union and what annotates them; tuples and literals are handed out whole."""
    yield annotation
    if get_origin(annotation) is not Literal:
        for part in get_args(annotation):
            yield from _leaves(part)


def field_keys() -> list[tuple[str, str]]:
    """(kind, field) of everything that a column of the page can ask, in the order in which its values travel."""
    return [(kind, field.name) for kind, model in policy_kinds().items() for field in form(model)]


def offered_presets() -> dict[str, Preset]:
    """The shipped presets whose policy is one that a column can show."""
    return {
        name: one
        for name, one in known_presets().items()
        if one.policy.get("kind") in policy_kinds() and not expands(one)
    }


def expands(one: Preset) -> bool:
    """Whether a preset stands for several policies."""
    return len(expand([one.policy])) != 1


def preset_values(name: str) -> dict[tuple[str, str], Any]:
    """What the fields of a preset's kind hold, by (kind, field): its own values, else those that the form begins with.

    Example:
        >>> preset_values("llama3")["generate", "top_p"]
        0.9
    """
    policy = offered_presets()[name].policy
    kind = policy["kind"]
    defaults = {name: info.default for name, info in policy_kinds()[kind].model_fields.items()}
    values = {
        field.name: policy.get(field.name, None if field.required else defaults[field.name])
        for field in form(policy_kinds()[kind])
    }
    return {(kind, field.name): _typed(field, values[field.name]) for field in form(policy_kinds()[kind])}


def _typed(field: FieldForm, value: Any) -> Any:
    """A value as somebody would type it into its field."""
    if value is None or value == ():
        return None
    if field.widget != "yaml":
        return value
    return _as_yaml(value) if isinstance(value, list | dict) else str(value)


def column_mapping(values: Sequence[Any]) -> dict[str, Any]:
    """The policy of a column from its values: the kind, then one for each of `field_keys()`. Raises FormError as `policy_mapping`."""
    kind, *typed = values
    if kind not in policy_kinds():
        raise FormError(f"policy: {str(kind)[:40]!r} is none of {', '.join(policy_kinds())}")
    keys = zip(field_keys(), typed, strict=True)
    return policy_mapping(kind, {name: value for (owner, name), value in keys if owner == kind})


def policy_mapping(kind: str, typed: Mapping[str, Any]) -> dict[str, Any]:
    """The mapping that a configuration file holds: what is blank or the default is left out.

    Raises:
        FormError: A field with YAML in it cannot be read.

    Example:
        >>> policy_mapping("dynamic", {"temperature": 0.7, "range": 0.5, "exponent": 1.0})
        {'kind': 'dynamic', 'temperature': 0.7, 'range': 0.5}
    """
    model = policy_kinds()[kind]
    values = {field.name: _read(field, typed.get(field.name)) for field in form(model)}
    default = {name: info.default for name, info in model.model_fields.items()}
    given = {name: value for name, value in values.items() if value is not None and value != default[name]}
    return {"kind": kind, **given}


def _read(field: FieldForm, typed: Any) -> Any:
    if typed is None or (isinstance(typed, str) and not typed.strip()):
        return None
    if field.widget == "whole" and isinstance(typed, float) and typed.is_integer():
        return int(typed)
    if field.widget == "text" and (not isinstance(typed, str) or len(typed) > LONGEST_YAML):
        raise FormError(f"{field.name}: takes a text of at most {LONGEST_YAML} characters")
    if field.widget != "yaml":
        return typed
    if not isinstance(typed, str):
        raise FormError(f"{field.name}: takes YAML as a text")
    if len(typed) > LONGEST_YAML or set("&*") & set(typed):
        raise FormError(f"{field.name}: takes at most {LONGEST_YAML} characters of YAML, without anchors (& and *)")
    try:
        source = parse_yaml(typed, field.name)
    except RecursionError as error:
        raise FormError(f"{field.name}: is nested too deep") from error
    except ConfigError as error:
        raise FormError(str(error)) from error
    if source.problems:
        raise FormError(str(source.problems[0]))
    return source.data
