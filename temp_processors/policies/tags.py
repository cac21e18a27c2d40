"""Tags as text: a parameter `open_ids` of type [`Tag`] may stand in a configuration as the text `open` instead."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import combinations
from typing import Annotated, Any, Final, TypeAlias

from temp_processors.policies.checks import TokenIds

AS_TEXT: Final = "as text"
Tag: TypeAlias = Annotated[TokenIds, AS_TEXT]
"""Token ids of a tag. The parameter ends in `_ids`; without that ending it is the name of the tag as text."""

AROUND = ("{}", "a{}b", "a {} b", "a.\n{}\nb")
"""Where a tag may stand in a text."""


class CodePoints:
    """A stand-in where the form of a policy is checked and no tokenizer is there: every character is a token.

    Its ids start where no tokenizer has any, so that a tag as text never equals a tag that is given as ids.
    """

    def encode(self, text: str, *, add_special_tokens: bool) -> list[int]:
        return [(1 << 32) + ord(character) for character in text]

    def __len__(self) -> int:
        return 1 << 62


def check_tags(names: tuple[str, ...], values: Mapping[str, Any]) -> None:
    """Each tag of `names` is given once, as text or as token ids, and no two are the same."""
    for name in names:
        if (values[name] is None) == (values[f"{name}_ids"] is None):
            raise ValueError(f"`{name}` (text) or `{name}_ids` (token ids) has to be given, and not both")
    for one, other in combinations(names, 2):
        given = values[one] or values[f"{one}_ids"]
        if given == (values[other] or values[f"{other}_ids"]):
            raise ValueError(f"`{other}` has to differ from `{one}`, but both are {given!r}")


def resolve_tag(tokenizer: Any, name: str, text: str) -> tuple[int, ...]:
    """Token ids of a tag given as text, or ValueError when the tag is not tokenised the same inside a text."""
    if tokenizer is None:
        raise ValueError(f"`{name}` is given as text ({text!r}), which needs a tokenizer; or give `{name}_ids`")
    ids = list(tokenizer.encode(text, add_special_tokens=False))
    for around in AROUND:
        whole = list(tokenizer.encode(around.format(text), add_special_tokens=False))
        if not ids or not _stands_in(ids, whole):
            raise ValueError(
                f"`{name}` ({text!r}) is not tokenised the same inside a text: {ids} alone, but "
                f"{around.format(text)!r} is {whole}; give `{name}_ids`{_advice(tokenizer, name, text)}, or make the tag one "
                "special token"
            )
    return tuple(ids)


def _advice(tokenizer: Any, name: str, text: str) -> str:
    """Token ids that could serve for a tag that is tokenised differently from place to place."""
    found: dict[tuple[int, ...], str] = {}
    for around in AROUND:
        whole = list(tokenizer.encode(around.format(text), add_special_tokens=False))
        ids = _shortest_with(tokenizer, whole, text)
        if ids:
            found.setdefault(ids, around.format(text))
    if not found:
        return ""
    common = _common_run(list(found))
    if common and tokenizer.decode(list(common)).strip() in text and len(tokenizer.decode(list(common)).strip()) > 1:
        return f" (`{name}_ids: {list(common)}`, {tokenizer.decode(list(common))!r}, is in all of them)"
    listed = ", ".join(f"`{name}_ids: {list(ids)}` as in {where!r}" for ids, where in found.items())
    return f" ({listed})"


def _shortest_with(tokenizer: Any, ids: list[int], text: str) -> tuple[int, ...]:
    """The shortest part of these ids whose text holds the tag; empty where none does."""
    for length in range(1, len(ids) + 1):
        for start in range(len(ids) - length + 1):
            part = ids[start : start + length]
            if text in tokenizer.decode(part):
                return tuple(part)
    return ()


def _common_run(several: list[tuple[int, ...]]) -> tuple[int, ...]:
    """The longest run of ids that stands in each of these."""
    first = several[0]
    runs = (first[a:b] for a in range(len(first)) for b in range(a + 1, len(first) + 1))
    shared = [run for run in runs if all(_stands_in(run, ids) for ids in several)]
    return max(shared, key=len, default=())


def _stands_in(run: Sequence[int], ids: Sequence[int]) -> bool:
    return any(tuple(ids[start : start + len(run)]) == tuple(run) for start in range(len(ids) - len(run) + 1))


def padding_of(tokenizer: Any) -> tuple[int, ...]:
    """The token that a tokenizer pads with; none where there is no tokenizer, or texts may begin with that token."""
    pad = getattr(tokenizer, "pad_token_id", None)
    return () if pad is None or pad == tokenizer.bos_token_id else (int(pad),)


def check_known(name: str, ids: tuple[int, ...], tokenizer: Any) -> None:
    """Refuse token ids that the tokenizer does not have. Without one they pass, and never match."""
    for place, token in enumerate(ids):
        if token >= len(tokenizer):
            known = f"a number in [0, {len(tokenizer) - 1}] (the ids of the tokenizer)"
            raise ValueError(f"`{name}[{place}]` has to be {known}, but is {token}")
