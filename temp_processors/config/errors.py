"""Pydantic's errors, said in this package's words: what is wrong, what was given, what is allowed, what was probably meant."""

from __future__ import annotations

import difflib
import math
import re
from collections.abc import Iterable
from typing import Any, get_args

import pydantic
from pydantic_core import ErrorDetails

from temp_processors.config.prompts import PromptSource
from temp_processors.config.sections import ModelSpec
from temp_processors.config.trace_options import TraceOptions
from temp_processors.config.yaml_lines import Location, Problem, YamlSource

SECTIONS: dict[object, type[pydantic.BaseModel]] = {
    "model": ModelSpec,
    "prompts": PromptSource,
    "traces": TraceOptions,
}
LIKE_A_NUMBER = re.compile(r"[-+]?(\d+\.?\d*|\.\d+)([eE][-+]?\d+)?")


def suggestion(word: object, known: Iterable[str]) -> str:
    """` (did you mean 'x'?)` for the closest of `known`, or the empty string."""
    close = difflib.get_close_matches(str(word), list(known), n=1, cutoff=0.6)
    return f" (did you mean {close[0]!r}?)" if close else ""


def problems_of(error: pydantic.ValidationError, source: YamlSource) -> list[Problem]:
    """One `Problem` for every error that pydantic found, at the line of the value that caused it."""
    return [_problem(details, source) for details in error.errors(include_url=False)]


def _problem(details: ErrorDetails, source: YamlSource) -> Problem:
    path, parent = _data_path(details["loc"], source.data, missing=details["type"] in ("missing", "extra_forbidden"))
    if details["type"].startswith("union_tag"):
        path = (*path, "kind")
    return source.problem(path, _message(details, path, parent))


def _data_path(location: Location, data: Any, *, missing: bool) -> tuple[Location, Any]:
    """The path in the user's data, without the tags that pydantic adds for unions, and the mapping it ends in.

    `missing` says that the last part may name a field that the data does not have.
    """
    path: list[str | int] = []
    here, parent = data, data
    for depth, part in enumerate(location):
        absent = missing and depth + 1 == len(location) and isinstance(here, dict)
        known = part in here if isinstance(here, dict) else isinstance(here, list) and part in range(len(here))
        if known:
            parent, here = here, here[part]
        elif absent:
            parent = here
        if known or absent:
            path.append(part)
    return tuple(path), parent


def _message(details: ErrorDetails, path: Location, parent: Any) -> str:
    kind, given, context = details["type"], details["input"], details.get("ctx", {})
    name = path[-1] if path else "the configuration"
    if kind == "extra_forbidden":
        return _unknown_field(name, parent, section=path[0] if len(path) > 1 else None)
    if kind == "missing":
        return "is required and missing"
    if kind in ("union_tag_invalid", "union_tag_not_found"):
        return _wrong_kind(context, given)
    if isinstance(given, str) and LIKE_A_NUMBER.fullmatch(given.strip()):
        return _number_as_text(given)
    if kind == "value_error":
        return str(context["error"]).removeprefix(f"`{name}` ")
    text = details["msg"].replace("Input should be", "has to be")
    return f"{text[0].lower() + text[1:]}, but is {_shown(given)}"


def _unknown_field(name: object, parent: Any, *, section: object) -> str:
    if section in SECTIONS:
        fields = list(SECTIONS[section].model_fields)
        return f"not a field of `{section}`{suggestion(name, fields) or _one_of(fields)}"
    kind = parent.get("kind") if isinstance(parent, dict) else None
    owner = "the configuration" if kind is None else repr(kind)
    known = known_fields(kind)
    return f"not a field of {owner}{suggestion(name, known) or _one_of(known)}"


def known_fields(kind: object) -> list[str]:
    """The fields of one kind of policy, or those of the whole configuration when `kind` is None."""
    from temp_processors.config.experiment import ExperimentConfig
    from temp_processors.policies.policy_config import PolicyConfig

    if kind is None:
        return list(ExperimentConfig.model_fields)
    models = {model.model_fields["kind"].default: model for model in get_args(get_args(PolicyConfig)[0])}
    return ["name", *models[kind].model_fields] if kind in models else []


def _wrong_kind(context: dict[str, Any], given: Any) -> str:
    tags = re.findall(r"'([^']+)'", str(context.get("expected_tags", "")))
    if "tag" not in context:
        return "is required and missing: `kind` says which policy this is" + _one_of(tags)
    return f"{context['tag']!r} is not a kind of policy{suggestion(context['tag'], tags) or _one_of(tags)}"


def _number_as_text(given: str) -> str:
    plain = f"{float(given):.12g}"
    if any(letter in given for letter in "eE"):
        return f"has to be a number, but YAML 1.1 reads {given} as text (it wants 1.0e-1): write {plain}"
    return f"has to be a number, but is the text {given!r}: write {plain} without quotes"


def _one_of(known: Iterable[str]) -> str:
    names = ", ".join(known)
    return f"; allowed: {names}" if names else ""


def _shown(given: Any) -> str:
    if isinstance(given, float) and not math.isfinite(given):
        return str(given)
    text = repr(given)
    return text if len(text) <= 60 else text[:57] + "..."
