"""The JSON schema of every stored kind is still the stored one: what a configuration file may hold changes on purpose only.

After a wanted change, and to hold a new kind too: `python -m tests.policies.test_schemas` writes schemas.json anew.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from pydantic import TypeAdapter

from temp_processors import PolicyConfig

FILE = Path(__file__).with_name("schemas.json")
STORED: dict[str, Any] = json.loads(FILE.read_text(encoding="utf-8"))


def schemas() -> dict[str, Any]:
    """Kind -> its JSON schema: fields in their order, no titles or descriptions, `a policy` for a policy inside it."""
    whole = TypeAdapter(PolicyConfig).json_schema()
    kinds = {kind: whole["$defs"][ref.rsplit("/", 1)[-1]] for kind, ref in whole["discriminator"]["mapping"].items()}
    return {kind: plain(schema) for kind, schema in kinds.items()}


def plain(value: Any) -> Any:
    if isinstance(value, list):
        return [plain(item) for item in value]
    if not isinstance(value, dict):
        return value
    if "discriminator" in value:
        return "a policy"
    return {name: plain(part) for name, part in value.items() if name not in ("title", "description")}


@pytest.mark.parametrize("kind", STORED)
def test_the_schema_of_a_kind_is_the_stored_one(kind: str) -> None:
    found = schemas()[kind]
    assert found == STORED[kind]
    assert list(found["properties"]) == list(STORED[kind]["properties"])


if __name__ == "__main__":
    FILE.write_text(json.dumps(schemas(), indent=1) + "\n", encoding="utf-8")
