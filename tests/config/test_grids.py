"""Grids of policies: what they make, how it is named, and errors at the line of the value in the file."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from temp_processors.config import ConfigError, ExperimentConfig, load_config
from temp_processors.config.grids import GridError, expand, span

FIXED = {"kind": "fixed"}


@pytest.mark.parametrize(
    ("policy", "names"),
    [
        ({**FIXED, "temperature": {"from": 0.1, "to": 1.5, "step": 0.2}}, [f"T={i / 10:g}" for i in range(1, 16, 2)]),
        ({**FIXED, "temperature": {"from": 0, "to": 2, "step": 1}}, ["T=0", "T=1", "T=2"]),
        ({**FIXED, "temperature": {"from": 0.5, "to": 0.5, "step": 0.1}}, ["T=0.5"]),
        ({**FIXED, "temperature": [0.3, 1]}, ["T=0.3", "T=1"]),
        ({**FIXED, "name": "flat", "temperature": [0.3, 1]}, ["flat T=0.3", "flat T=1"]),
        ({"kind": "dynamic", "temperature": [0.5, 1.0]}, ["dynamic T=0.5", "dynamic T=1"]),
        (
            {"kind": "scheduled", "shape": ["linear", "cosine"], "start": 1, "end": 0.1, "steps": 8},
            ["scheduled shape=linear", "scheduled shape=cosine"],
        ),
        (
            {"kind": "truncate_then_temper", "top_p": [0.9, None], "policy": {**FIXED, "temperature": [0.5, 1.0]}},
            ["top_p=0.9 T=0.5", "top_p=0.9 T=1", "top_p=none T=0.5", "top_p=none T=1"],
        ),
        (
            {"kind": "product", "policies": [{**FIXED, "temperature": [0.5, 1.0]}, {"kind": "edt", "temperature": 1}]},
            ["product T=0.5", "product T=1"],
        ),
        (
            {"kind": "chain", "steps": [{**FIXED, "temperature": [0.5, 1.0]}, {"kind": "top_k", "top_k": [5, 20]}]},
            ["chain T=0.5 top_k=5", "chain T=0.5 top_k=20", "chain T=1 top_k=5", "chain T=1 top_k=20"],
        ),
    ],
)
def test_one_policy_of_each_value(policy: dict[str, Any], names: list[str]) -> None:
    found = [one.data["name"] for one in expand([policy])]
    prefix = "truncate_then_temper " if policy["kind"] == "truncate_then_temper" else ""
    assert found == [prefix + name for name in names]


@pytest.mark.parametrize(
    "policy",
    [
        {"name": "a", **FIXED, "temperature": 0.5},
        {"name": "a", "kind": "scheduled", "shape": "piecewise", "points": [[0, 1.0], [8, 0.2]], "reset_ids": [3, 4]},
        {"name": "a", "kind": "phase", "open_ids": [1], "close_ids": [2], "inside": FIXED, "outside": FIXED},
        {"name": "a", "kind": "unknown", "temperature": [0.1]},
        "no mapping",
    ],
)
def test_what_is_no_grid_stays(policy: Any) -> None:
    assert [one.data for one in expand([policy])] == [policy]


def test_a_grid_in_a_configuration(tmp_path: Path) -> None:
    text = "name: g\nprompts: [a]\npolicies:\n- {kind: fixed, temperature: {from: 0.1, to: 1.5, step: 0.2}}\nbaseline: T=0.5\n"
    path = tmp_path / "g.yaml"
    path.write_text(text)
    config = load_config(path)
    assert [named.name for named in config.policies] == [f"T={i / 10:g}" for i in range(1, 16, 2)]
    assert [named.policy.temperature for named in config.policies] == [i / 10 for i in range(1, 16, 2)]
    written = tmp_path / "resolved.yaml"
    written.write_text(config.to_yaml())
    assert load_config(written) == config
    again = load_config(path, ["policies.0.temperature=[0.2, 0.4]", "baseline=T=0.4"])
    assert [named.name for named in again.policies] == ["T=0.2", "T=0.4"]
    data = {"name": "g", "prompts": ["a"], "policies": [{**FIXED, "temperature": [0.2, 0.4]}]}
    assert [named.name for named in ExperimentConfig.model_validate(data).policies] == ["T=0.2", "T=0.4"]
    assert load_config(data, ["seed=3"]).seed == 3
    assert data["policies"][0]["temperature"] == [0.2, 0.4]


@pytest.mark.parametrize(
    ("lines", "message"),
    [
        ("[0.1, -1]", ":6: policies.1.temperature.1: has to be a number >= 0 (0 is greedy), but is -1"),
        ("[]", ":6: policies.1.temperature: is an empty list: a grid needs a value"),
        ("{from: 1, to: 2}", ":6: policies.1.temperature: has to have `from`, `to` and `step`, but has from, to"),
        ("{from: 1, to: 2, step: 0}", ":6: policies.1.temperature.step: has to be above 0, but is 0"),
        ("{from: 2, to: 1, step: 1}", ":6: policies.1.temperature.to: has to be at least `from`, 2, but is 1"),
        ("{from: a, to: 1, step: 1}", ":6: policies.1.temperature.from: has to be a number, but is 'a'"),
        ("{from: .inf, to: 1, step: 1}", ":6: policies.1.temperature.from: has to be a number, but is inf"),
        (
            "{from: 0, to: 9, step: 0.001}",
            ":6: policies.1.temperature: makes 9,001 values, and a grid has at most 1,000",
        ),
        (
            "[0.1]\n  name: [a, b]",
            ":7: policies.1.name: has to be a text, but is ['a', 'b']",
        ),
        ("[0.1, 0.1]", "policies 2 and 3 are both named 'T=0.1'"),
    ],
)
def test_errors_stand_at_the_line_of_the_file(tmp_path: Path, lines: str, message: str) -> None:
    path = tmp_path / "g.yaml"
    path.write_text(
        "name: g\nprompts: [a]\npolicies:\n- {kind: fixed, temperature: [0.5, 0.7]}\n- kind: fixed\n"
        f"  temperature: {lines}\n"
    )
    with pytest.raises(ConfigError) as caught:
        load_config(path)
    assert message in str(caught.value)


def test_a_grid_of_grids_is_bounded() -> None:
    many = {"from": 1, "to": 100, "step": 1}
    policy = {"kind": "edt", "temperature": many, "theta": many}
    with pytest.raises(
        GridError, match=r"`0\.temperature` is part of a grid of 10,000 policies: it may have at most 1,000"
    ):
        expand([policy])


def test_spans_are_exact() -> None:
    assert span({"from": 0.1, "to": 0.7, "step": 0.1}) == [0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7]
    assert span({"from": 1, "to": 3, "step": 1}) == [1, 2, 3]
