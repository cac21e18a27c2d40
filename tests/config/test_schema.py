"""The JSON schema for editors takes what a configuration may say and marks what it may not."""

from __future__ import annotations

import json
from typing import Any

import jsonschema
import pytest
import yaml
from typer.testing import CliRunner

from temp_processors.cli.app import app
from temp_processors.config.loading import shipped_configs
from temp_processors.config.schema import configuration_schema
from tests.policies.examples import EXAMPLES

CHECK = jsonschema.Draft202012Validator(configuration_schema())


def with_policy(**policy: Any) -> dict[str, Any]:
    return {"name": "x", "prompts": ["a"], "samples_per_prompt": 1, "max_new_tokens": 1, "policies": [policy]}


def test_the_file_beside_the_configurations_is_what_the_command_prints() -> None:
    CHECK.check_schema(CHECK.schema)
    printed = CliRunner().invoke(app, ["schema"]).stdout
    assert printed == (shipped_configs() / "experiment.schema.json").read_text(encoding="utf-8")
    assert json.loads(printed) == CHECK.schema


@pytest.mark.parametrize("path", sorted(shipped_configs().glob("*.yaml")), ids=lambda path: path.stem)
def test_every_example_names_the_schema_and_keeps_to_it(path: Any) -> None:
    text = path.read_text(encoding="utf-8")
    assert text.startswith("# yaml-language-server: $schema=experiment.schema.json\n")
    assert [error.message for error in CHECK.iter_errors(yaml.safe_load(text))] == []


@pytest.mark.parametrize(
    "policy",
    [
        *(policy for policy, _ in EXAMPLES.values()),
        {"kind": "fixed", "temperature": {"from": 0.1, "to": 1.5, "step": 0.2}},
        {"name": "mild", "kind": "edt", "temperature": [0.5, 1], "theta": [0.1, 0.2]},
        {"preset": "qwen3_thinking"},
        {"kind": "power", "alpha": 4},
        {"kind": "checkpoint"},
    ],
    ids=str,
)
def test_a_policy_that_runs_keeps_to_it(policy: dict[str, Any]) -> None:
    assert [error.message for error in CHECK.iter_errors(with_policy(**policy))] == []


@pytest.mark.parametrize(
    "wrong",
    [
        with_policy(kind="fixed", temprature=1.0),
        with_policy(kind="warm", temperature=1.0),
        with_policy(kind="fixed", temperature={"from": 0.1}),
        {**with_policy(kind="fixed", temperature=1.0), "samples_per_promt": 2},
        {**with_policy(kind="fixed", temperature=1.0), "max_new_tokens": "many"},
    ],
    ids=str,
)
def test_a_mistake_is_marked(wrong: dict[str, Any]) -> None:
    assert not CHECK.is_valid(wrong)
