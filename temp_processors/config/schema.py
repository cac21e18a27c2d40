"""The JSON schema of a configuration, for editors: completion, and marks at what is misspelled while one writes.

It is made of the models that check a configuration, with the short forms that a file may use beside them: a policy's `name` beside its
`kind`, presets, grids. What fields need of one another is left to `temp-processors run --dry-run`.
"""

from __future__ import annotations

from typing import Any

from temp_processors.config.experiment import ExperimentConfig
from temp_processors.policies.kinds import KINDS
from temp_processors.policies.power import DECODINGS

DIALECT = "https://json-schema.org/draft/2020-12/schema"
GRID = {
    "type": "object",
    "description": "One policy for each of from, from + step, ..., to.",
    "properties": {name: {"type": "number"} for name in ("from", "to", "step")},
    "required": ["from", "to", "step"],
    "additionalProperties": False,
}
TEXT = {"type": "string", "minLength": 1}
PRESET = {
    "type": "object",
    "description": "A setting that others recommend: `temp-processors list presets`.",
    "properties": {"preset": TEXT, "name": TEXT},
    "required": ["preset"],
    "additionalProperties": False,
}


def configuration_schema() -> dict[str, Any]:
    """The JSON schema (2020-12) of a YAML configuration.

    Example:
        >>> schema = configuration_schema()
        >>> schema["properties"]["samples_per_prompt"]["type"]
        'integer'
    """
    schema = ExperimentConfig.model_json_schema()
    parts = schema["$defs"]
    models = [model.__name__ for model in {**KINDS, **DECODINGS}.values()]
    for name in models:
        parts[name] = _as_written(parts[name])
    parts |= {"Grid": GRID, "Preset": PRESET}
    parts["Task"]["properties"] |= _short_forms(parts["Task"]["properties"])
    parts.pop("NamedPolicy")
    policies = [{"$ref": f"#/$defs/{name}"} for name in [*models, "Preset"]]
    schema["properties"]["policies"]["items"] = {"anyOf": policies}
    schema["properties"]["presets"] = {**TEXT, "description": "A file with presets of your own."}
    return {"$schema": DIALECT, **schema}


def _as_written(policy: dict[str, Any]) -> dict[str, Any]:
    """The schema of a policy, its name and source beside its fields, each of which may be a grid."""
    fields = policy["properties"]
    written = {name: field if name == "kind" else _or_grid(field) for name, field in fields.items()}
    required = ["kind", *(name for name in policy.get("required", ()) if name != "kind")]
    return {**policy, "properties": {**written, "name": TEXT, "source": TEXT}, "required": required}


def _short_forms(task: dict[str, Any]) -> dict[str, Any]:
    """What may be the name of a kind or of a column alone, and a single scorer in place of a list of them."""
    scorer = {"anyOf": [task["score"]["items"], TEXT]}
    scorers = {**task["score"], "items": scorer}
    short: dict[str, Any] = {name: {"anyOf": [task[name], TEXT]} for name in ("answer", "reference")}
    return {**short, "score": {"anyOf": [scorers, *scorer["anyOf"]]}}


def _or_grid(field: dict[str, Any]) -> dict[str, Any]:
    """A field, a span of it or a list of values for it, where it is a number or a word; one token id for a list of them."""
    simple = {"number", "integer", "string", "boolean"}
    members = field.get("anyOf", [field])
    ids = [member for member in members if member.get("items") == {"type": "integer"}]
    if ids:
        return {**field, "anyOf": [*members, {"type": "integer"}]}
    if not any(member.get("type") in simple or "enum" in member for member in members):
        return field
    values = [member for member in members if member.get("type") != "array"]
    about = {name: value for name, value in field.items() if name in ("title", "default", "description")}
    return {**about, "anyOf": [*members, {"$ref": "#/$defs/Grid"}, {"type": "array", "items": {"anyOf": values}}]}
