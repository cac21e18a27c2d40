"""Pydantic's errors, said in this package's words: what is wrong, what was given, what is allowed, what was probably meant."""

from __future__ import annotations

import difflib
import math
import re
from collections.abc import Iterable, Sequence
from datetime import date
from types import NoneType, UnionType
from typing import Annotated, Any, NamedTuple, Union, get_args, get_origin

import pydantic
from pydantic_core import ErrorDetails

from temp_processors.inert import one_line

Location = tuple[str | int, ...]
INLINE = "inline"
"""Metadata of a field that has no key of its own in YAML: its fields stand beside those of the model that has it."""
POWER = (
    "`kind: power` draws whole texts and is no logits processor: "
    "it stands alone in the `policies` of an experiment or in the custom_generate recipe"
)
SHAPES = {
    **dict.fromkeys(("string_type", "string_sub_type"), "a text"),
    **dict.fromkeys(("list_type", "tuple_type", "set_type"), "a list"),
    **dict.fromkeys(("dict_type", "model_type"), "a mapping"),
    "model_attributes_type": "a mapping with a `kind`",
    **dict.fromkeys(("bool_type", "bool_parsing"), "true or false"),
    **dict.fromkeys(("int_type", "int_from_float", "int_parsing"), "a whole number"),
    **dict.fromkeys(("float_type", "float_parsing"), "a number"),
    "finite_number": "a finite number",
}
"""What a value of the wrong type has to be, by the type of pydantic's error."""
EITHER = re.compile(r"has to be (.+?), but is (.+)", re.DOTALL)
"""A message with what is allowed and what was given."""
LIKE_A_NUMBER = re.compile(r"[-+]?(\d+\.?\d*|\.\d+)([eE][-+]?\d+)?")


def suggestion(word: object, known: Iterable[str]) -> str:
    """` (did you mean 'x'?)` for the closest of `known`, or the empty string."""
    close = difflib.get_close_matches(str(word), list(known), n=1, cutoff=0.6)
    return f" (did you mean {close[0]!r}?)" if close else ""


class PolicyMistakesError(ValueError):
    """What is wrong with a policy, one line for each mistake: its place in the data, and a message.

    Args:
        mistakes: (place, message) of each; the place is empty where it is the policy as a whole.
    """

    def __init__(self, mistakes: Sequence[tuple[Location, str]]) -> None:
        self.mistakes = tuple(mistakes)
        lines = (": ".join([*filter(None, [".".join(map(str, place))]), text]) for place, text in self.mistakes)
        super().__init__("\n".join(one_line(line) for line in lines))


def mistakes_of(error: pydantic.ValidationError, data: Any, model: Any) -> PolicyMistakesError:
    """What pydantic found wrong with a policy; arguments as for `mistake_of`."""
    return PolicyMistakesError(mistakes_in(error, data, model))


def mistakes_in(error: pydantic.ValidationError, data: Any, model: Any) -> list[tuple[Location, str]]:
    """Place and message of everything that pydantic found; arguments as for `mistake_of`.

    The members of a union that all refuse one value are one mistake: `has to be a whole number or 'auto', but is 'automatic'`.
    """
    found: dict[Location, list[str]] = {}
    for details in error.errors(include_url=False):
        place, message = mistake_of(details, data, model)
        messages = found.setdefault(place, [])
        if message not in messages:
            messages.append(message)
    return [(place, message) for place, messages in found.items() for message in _as_one(messages)]


def _as_one(messages: list[str]) -> list[str]:
    """Messages about one value, as one where they differ in what is allowed, or in a hint behind the value, alone."""
    parts = [part for part in map(EITHER.fullmatch, messages) if part is not None]
    given = sorted((part[2] for part in parts), key=len)
    if len(parts) < len(messages) or not all(one.startswith(given[0]) for one in given):
        return messages
    return [f"has to be {' or '.join(part[1] for part in parts)}, but is {given[-1]}"]


def mistake_of(details: ErrorDetails, data: Any, model: Any) -> tuple[Location, str]:
    """Where in `data` an error of pydantic lies, and what is wrong there.

    Args:
        details: One of the `errors()` of a validation.
        data: What was validated.
        model: The type it was validated against: a model, or an annotation such as a union of models.
    """
    names_a_field = details["type"] in ("missing", "extra_forbidden")
    place = _place(details["loc"], data, model, names_a_field=names_a_field)
    path = (*place.path, "kind") if details["type"].startswith("union_tag") else place.path
    return path, _message(details, place)


class Place(NamedTuple):
    """Where an error is: the path in the user's data, what lies there, its model, and the fields or kinds that may stand there."""

    path: Location
    data: Any
    owner: type[pydantic.BaseModel] | None
    known: list[str]


def _place(location: Location, data: Any, model: Any, *, names_a_field: bool) -> Place:
    """Follow pydantic's location through the data and the types at once.

    A location also holds the tags of unions and the fields marked `INLINE`, which the data does not. With
    `names_a_field` its last part is a field of the model before it, whether the data has it or not.
    """
    path, here, beside = list[str | int](), model, list[str]()
    for part in location[:-1] if names_a_field else location:
        before = _as_model(here)
        if before is not None and part in before.model_fields and INLINE in before.model_fields[part].metadata:
            beside = [name for name in before.model_fields if name != part]
        elif part in data if isinstance(data, dict) else isinstance(data, list) and part in range(len(data)):
            path.append(part)
            data, beside = data[part], []
        here = _below(here, part)
    if names_a_field and isinstance(data, dict):
        path.append(location[-1])
    owner = _as_model(here)
    kinds = [tag for member in get_args(_bare(here)) for tag in _tags(member)]
    return Place(
        tuple(path), data, owner, [*(beside if names_a_field else []), *(owner.model_fields if owner else kinds)]
    )


def _message(details: ErrorDetails, place: Place) -> str:
    kind, given, context = details["type"], details["input"], details.get("ctx", {})
    name = place.path[-1] if place.path else "the configuration"
    if kind == "extra_forbidden":
        return _unknown_field(place)
    if kind == "missing":
        return "is required and missing" + _run_together(name, place.data)
    if kind in ("union_tag_invalid", "union_tag_not_found"):
        return _run_together("kind", place.data).removeprefix(": ") or _wrong_kind(context, place.known)
    if isinstance(given, str) and LIKE_A_NUMBER.fullmatch(given.strip()):
        return _number_as_text(given)
    if kind == "value_error":
        return str(context["error"]).removeprefix(f"`{name}` ")
    if kind in SHAPES:
        hint = _unquoted(given) if SHAPES[kind] == "a text" else _as_policy(given, place)
        return f"has to be {SHAPES[kind]}, but is {_quoted(given)}{hint}"
    if kind == "string_pattern_mismatch":
        return f"has to hold some text, but is {_quoted(given)}"
    if kind in ("too_short", "string_too_short"):
        least, what = context["min_length"], "character" if kind == "string_too_short" else "item"
        return f"has to hold at least {least} {what}{'' if least == 1 else 's'}, but is {_quoted(given)}"
    if kind == "invalid_key":
        point = " (a number has a decimal point, no comma)" if isinstance(given, int) else ""
        return f"has to be a text, as every name of a field, but is {_quoted(given)}{point}"
    text = details["msg"].replace("Input should be", "has to be")
    return f"{text[0].lower() + text[1:]}, but is {_quoted(given)}"


def _run_together(name: object, given: Any) -> str:
    """What to write where YAML saw no field of this name, since nothing stands between its colon and its value."""
    if not isinstance(given, dict):
        return ""
    together = [key for key in given if isinstance(key, str) and key.startswith((f"{name}:", f"{name}："))]
    return f": {_quoted(together[0])} has to have a space after the colon" if together else ""


def _unquoted(given: Any) -> str:
    """What to write where YAML reads something else than a text: `yes`, `2024`, `2024-01-01`, `Q: who?`."""
    if isinstance(given, dict):
        return ": a text with a colon and a space in it stands in quotes"
    return ": as a text it stands in quotes" if isinstance(given, (bool, int, float, date)) else ""


def _as_policy(given: Any, place: Place) -> str:
    """What to write where a number stands for a policy: that of one temperature, which has a name in a list of an experiment's."""
    if isinstance(given, bool) or not isinstance(given, (int, float)) or not math.isfinite(given):
        return ""
    fields = {} if place.owner is None else place.owner.model_fields
    named = any(INLINE in field.metadata for field in fields.values())
    if not named and not ({"fixed"} & set(place.known)):
        return ""
    name = f"name: T={given}, " if named else ""
    return f": a temperature is written {{{name}kind: fixed, temperature: {given}}}"


def _unknown_field(place: Place) -> str:
    path, _, owner, known = place
    if owner is not None and "kind" in owner.model_fields:
        shown = repr(owner.model_fields["kind"].default)
    else:
        shown = f"`{path[-2]}`" if len(path) > 1 else "the configuration"
    return f"not a field of {shown}{suggestion(path[-1], known) or _one_of(known)}"


def _below(annotation: Any, part: str | int) -> Any:
    """The type at one part of pydantic's location: of a field, an item, or the member of a union with this tag."""
    annotation = _bare(annotation)
    model = _as_model(annotation)
    if model is not None:
        return model.model_fields[str(part)].annotation if part in model.model_fields else None
    members = [member for member in get_args(annotation) if member is not Ellipsis]
    if get_origin(annotation) not in (Union, UnionType):
        return members[-1] if members else None
    tagged = [member for member in members if part in _tags(member)]
    inside = (_below(member, part) for member in members)
    return tagged[0] if tagged else next((found for found in inside if found is not None), None)


def _tags(member: Any) -> list[Any]:
    """What pydantic calls a member of a discriminated union: its `Tag`, or the default of its field `kind`."""
    named = [mark.tag for mark in getattr(member, "__metadata__", ()) if isinstance(mark, pydantic.Tag)]
    model = _as_model(member)
    return [*named, model.model_fields["kind"].default] if model and "kind" in model.model_fields else named


def _bare(annotation: Any) -> Any:
    return get_args(annotation)[0] if get_origin(annotation) is Annotated else annotation


def _as_model(annotation: Any) -> type[pydantic.BaseModel] | None:
    bare = _bare(annotation)
    if get_origin(bare) in (Union, UnionType):  # a section that may be left out
        given = [member for member in get_args(bare) if member is not NoneType]
        bare = _bare(given[0]) if len(given) == 1 else None
    return bare if isinstance(bare, type) and issubclass(bare, pydantic.BaseModel) else None


def _wrong_kind(context: dict[str, Any], known: Sequence[str]) -> str:
    tags = re.findall(r"'([^']+)'", str(context.get("expected_tags", "")))
    if context.get("tag") == "power" and "power" not in tags:
        return POWER
    if "tag" not in context:
        return "is required and missing: `kind` says which policy this is" + _one_of(tags or known)
    return f"{context['tag']!r} is not a kind of policy{suggestion(context['tag'], tags) or _one_of(tags)}"


def _number_as_text(given: str) -> str:
    plain = f"{float(given):.12g}"
    if any(letter in given for letter in "eE"):
        return f"has to be a number, but YAML 1.1 reads {given} as text (it wants 1.0e-1): write {plain}"
    return f"has to be a number, but is the text {given!r}: write {plain} without quotes"


def _one_of(known: Iterable[str]) -> str:
    names = ", ".join(known)
    return f"; allowed: {names}" if names else ""


def not_a_policy(given: object) -> str:
    """What is wrong with something that is no mapping."""
    return (
        f"has to be a mapping with a `kind`, such as {{'kind': 'fixed', 'temperature': 0.7}}, but is {_quoted(given)}"
    )


def _quoted(given: Any) -> str:
    if isinstance(given, float) and not math.isfinite(given):
        return str(given)
    text = given.isoformat() if isinstance(given, date) else repr(given)
    return text if len(text) <= 60 else text[:57] + "..."
