"""JSON: whether the answer is valid, and whether it keeps a JSON schema (the jsonschema library, extra `tasks`)."""

from __future__ import annotations

import importlib.util
from collections.abc import Iterator
from functools import cached_property
from typing import Annotated, Any, ClassVar, Literal

from pydantic import AfterValidator, ConfigDict, Field

from temp_processors.tasks.answers.json_value import parsed
from temp_processors.tasks.scorers.base import Item, Mark, Scorer, ScorerError

INSTALL = "pip install 'temp_processors[tasks]'"


class JsonValid(Scorer):
    """Whether the answer is JSON: with `answer: json` whether there is any in the text, with `answer: whole` whether the text is.

    Example:
        >>> [JsonValid().score(Item(answer, (), {}, "")).value for answer in ('{"a": 1}', "{'a': 1}")]
        [1.0, 0.0]
    """

    needs_reference: ClassVar[bool] = False
    kind: Literal["json_valid"] = "json_valid"

    def score(self, item: Item) -> Mark:
        """1.0, or 0.0 with what is wrong."""
        try:
            parsed(item.answer)
        except ValueError as error:
            return Mark(0.0, f"is no JSON: {error}")
        return Mark(1.0)


def _own_references(schema: dict[str, Any]) -> dict[str, Any]:
    for reference in _references(schema):
        if not str(reference).startswith("#"):
            raise ValueError(
                f"refers to {reference!r}: only references inside of it (#/...) are followed, nothing is fetched"
            )
    if importlib.util.find_spec("jsonschema") is None:
        return schema  # told by `prepare`, where it is needed
    import jsonschema

    try:
        jsonschema.validators.validator_for(schema).check_schema(schema)
    except jsonschema.SchemaError as error:
        where = ".".join(map(str, error.absolute_path))
        raise ValueError(f"is no JSON schema: {f'{where}: ' if where else ''}{error.message}") from error
    return schema


def _references(value: Any) -> Iterator[Any]:
    if isinstance(value, dict):
        yield from (held for key, held in value.items() if key in ("$ref", "$dynamicRef") and isinstance(held, str))
        value = list(value.values())
    for held in value if isinstance(value, list) else ():
        yield from _references(held)


class JsonSchema(Scorer):
    """Whether the answer keeps a JSON schema.

    Args:
        schema: As YAML; the draft is that of its `$schema`, the latest by default.

    Example:
        >>> keeps = JsonSchema(schema={"type": "object", "required": ["name"]})
        >>> [keeps.score(Item(answer, (), {}, "")) for answer in ('{"name": "fox"}', "{}")]
        [Mark(value=1.0, reason=None), Mark(value=0.0, reason="'name' is a required property")]
    """

    model_config = ConfigDict(serialize_by_alias=True)
    needs_reference: ClassVar[bool] = False
    kind: Literal["json_schema"] = "json_schema"
    schema_: Annotated[dict[str, Any], Field(alias="schema"), AfterValidator(_own_references)]

    def prepare(self, tools: Any) -> None:
        """Refuse where jsonschema is not installed."""
        if importlib.util.find_spec("jsonschema") is None:
            raise ScorerError(f"json_schema needs jsonschema, which is not installed: {INSTALL}")

    @cached_property
    def _validator(self) -> Any:
        import jsonschema

        return jsonschema.validators.validator_for(self.schema_)(self.schema_)

    def score(self, item: Item) -> Mark:
        """1.0, or 0.0 with the first thing that is wrong and where."""
        import jsonschema

        try:
            value = parsed(item.answer)
        except ValueError as error:
            return Mark(0.0, f"is no JSON: {error}")
        wrong = jsonschema.exceptions.best_match(self._validator.iter_errors(value))
        if wrong is None:
            return Mark(1.0)
        where = ".".join(map(str, wrong.absolute_path))
        return Mark(0.0, f"{where}: {wrong.message}" if where else wrong.message)
