"""policies/README.md names every kind, with every parameter and its default."""

from __future__ import annotations

import re
from typing import Any

import pytest

from temp_processors.policies.catalogue import entries
from temp_processors.policies.kinds import KINDS
from temp_processors.policies.power import DECODINGS

ALL = {**KINDS, **DECODINGS}
CATALOGUE = {entry.kind: entry.parameters for entry in entries()}


def shown(default: Any) -> str:
    return {None: "none", (): "empty"}.get(default) or repr(default)


def test_the_catalogue_has_every_kind_in_the_order_of_the_code() -> None:
    assert list(CATALOGUE) == list(ALL)


@pytest.mark.parametrize("kind", ALL)
def test_the_catalogue_has_every_parameter_and_its_default(kind: str) -> None:
    fields = {name: info for name, info in ALL[kind].model_fields.items() if name != "kind"}
    expected = [
        f"`{name}`" if info.is_required() else f"`{name}` {shown(info.default)}" for name, info in fields.items()
    ]
    assert [part for part in re.split(", ", CATALOGUE[kind]) if part] == expected
