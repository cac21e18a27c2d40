"""What an export or an import gives, and the error for what has no counterpart."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

Fields = dict[str, Any]


class NotCarriedError(ValueError):
    """Something has no counterpart on the other side; each of it is named.

    Args:
        heading: From what to what.
        not_carried: One sentence each: where it stands, what it is, why it has none.
    """

    def __init__(self, heading: str, not_carried: Sequence[str]) -> None:
        self.not_carried = tuple(not_carried)
        super().__init__("\n".join([f"{heading}:", *(f"  {item}" for item in not_carried)]))


@dataclass(frozen=True)
class Exported:
    """Fields of another sampler.

    Args:
        fields: By the names of the format; what they leave out stands at the default of the format.
        not_carried: What of the policy they do not say, one sentence each; empty if they mean the same.
    """

    fields: Fields
    not_carried: tuple[str, ...] = ()


@dataclass(frozen=True)
class Imported:
    """A policy made of the fields of another sampler.

    Args:
        policy: `{"kind": ..., parameters}`.
        not_carried: Fields about the choice of tokens that it does not say, one sentence each.
        beside: Names of the fields that are not about the choice of tokens, such as a seed or a length.
        notes: What may surprise whoever wrote the fields, in sentences.
    """

    policy: Fields
    not_carried: tuple[str, ...] = ()
    beside: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()
