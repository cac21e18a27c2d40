"""Presets: those that ship can be built and have a source; a file of one's own; mistakes at their line."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from temp_processors import build_policy, load_config, preset
from temp_processors.config import ConfigError, ExperimentConfig
from temp_processors.config.grids import expand
from temp_processors.config.presets import FILE, known_presets, read_presets

PRESETS = known_presets()
HEAD = "name: compared\nprompts: [a]\n"


def load(folder: Path, text: str, *overrides: str) -> ExperimentConfig:
    (folder / "config.yaml").write_text(HEAD + text, encoding="utf-8")
    return load_config(folder / "config.yaml", list(overrides))


def test_the_presets_that_ship_hold_no_mistake() -> None:
    assert read_presets(FILE) == PRESETS
    assert all("http" in one.source or "arXiv" in one.source for one in PRESETS.values())


@pytest.mark.parametrize("name", PRESETS)
def test_each_can_be_built_and_draws(name: str) -> None:
    for one in expand([preset(name)]):
        policy = build_policy({key: value for key, value in one.data.items() if key != "name"}, prompt_length=1)
        policy = policy.with_seeds([0])
        scores = policy(torch.tensor([[1]]), torch.randn(1, 99, generator=torch.Generator().manual_seed(0)) * 3)
        assert scores.softmax(dim=-1).sum().item() == pytest.approx(1.0)


def test_a_preset_is_the_policy_of_its_name_and_its_source_is_kept(tmp_path: Path) -> None:
    config = load(
        tmp_path, "policies: [{preset: gemma3}, {preset: gemma3, name: card}, {preset: temperature_ladder}]\n"
    )
    names = [named.name for named in config.policies]
    assert names[:3] == ["gemma3", "card", "temperature_ladder T=0.1"]
    assert names[-1] == "temperature_ladder T=1.5"
    assert config.policies[0].source == PRESETS["gemma3"].source
    written = config.to_yaml()
    assert "preset" not in written
    (tmp_path / "again.yaml").write_text(written, encoding="utf-8")
    assert load_config(tmp_path / "again.yaml") == config
    data = {"name": "compared", "prompts": ["a"], "policies": [{"preset": "gemma3"}]}
    assert ExperimentConfig.model_validate(data).policies[0] == config.policies[0]


def test_a_preset_inside_another_policy(tmp_path: Path) -> None:
    inside = "inside: {preset: qwen3_thinking}, outside: {preset: qwen3_non_thinking}"
    config = load(tmp_path, f"policies: [{{name: both, kind: phase, open_ids: [3], close_ids: [4], {inside}}}]\n")
    assert config.policies[0].policy.inside.temperature == 0.6
    assert config.policies[0].source == f"{PRESETS['qwen3_thinking'].source}; {PRESETS['qwen3_non_thinking'].source}"


def test_a_file_of_presets_beside_the_configuration(tmp_path: Path) -> None:
    mine, ours = ("{kind: fixed, temperature: 0.3}", "a talk"), ("{kind: fixed, temperature: 1}", "us")
    entries = [
        f"{name}:\n  policy: {of}\n  source: {by}\n" for name, (of, by) in {"mine": mine, "gemma3": ours}.items()
    ]
    (tmp_path / "own.yaml").write_text("".join(entries), encoding="utf-8")
    config = load(tmp_path, "presets: own.yaml\npolicies: [{preset: mine}, {preset: gemma3}, {preset: llama3}]\n")
    assert [named.source for named in config.policies] == ["a talk", "us", PRESETS["llama3"].source]
    assert "presets" not in config.to_yaml()
    assert preset("mine", tmp_path / "own.yaml") == {"kind": "fixed", "temperature": 0.3}
    assert len(load(tmp_path, "policies: [{preset: mine}]\n", f"presets={tmp_path / 'own.yaml'}").policies) == 1


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("policies:\n- {preset: qwen3_thinkin}\n", "config.yaml:4: policies.0.preset: has to name a preset, but is"),
        ("policies:\n- {preset: qwen3_thinkin}\n", "(did you mean 'qwen3_thinking'?)"),
        ("policies:\n- {preset: zzz}\n", "allowed: qwen3_thinking, qwen3_non_thinking"),
        ("policies:\n- preset: 3\n", "policies.0.preset: has to name a preset, but is 3; allowed"),
        ("policies:\n- {preset: llama3, top_k: 5}\n", "is taken as it is, but top_k stands beside it"),
        ("policies:\n- {preset: llama3, source: ' '}\n", "is taken as it is, but source stands beside it"),
        ("presets: nowhere.yaml\npolicies: [{preset: llama3}]\n", "config.yaml:3: presets: no such file: nowhere.yaml"),
        ("presets: [1]\npolicies: [{preset: llama3}]\n", "config.yaml:3: presets: has to name a file of presets"),
        ("policies:\n- {name: a, kind: fixed, temperature: 1, source: ' '}\n", "policies.0.source: has to hold some"),
    ],
)
def test_mistakes_in_a_configuration(text: str, message: str, tmp_path: Path) -> None:
    with pytest.raises(ConfigError) as error:
        load(tmp_path, text)
    assert message in str(error.value)
    assert "\n" not in str(error.value)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (
            "a:\n  source: x\n  policy: {kind: fixed, temperatur: 1}\n",
            ":3: a.policy.temperature: is required and missing",
        ),
        (
            "a:\n  source: x\n  policy:\n    kind: fixed\n    temperature: -1\n",
            ":5: a.policy.temperature: has to be a number",
        ),
        (
            "a:\n  source: x\n  policy: {kind: fxed, temperature: 1}\n",
            ":3: a.policy.kind: 'fxed' is not a kind of policy",
        ),
        (
            "a:\n  source: x\n  policy: {kind: fixed, temperature: {from: 1}}\n",
            ":3: a.policy.temperature: has to have `from`",
        ),
        (
            "a:\n  source: x\n  policy: {kind: fixed, temperature: [1, -2]}\n",
            ":3: a.policy.temperature: has to be a number",
        ),
        (
            "a:\n  policy: {kind: fixed, temperature: 1}\n",
            ":1: a.source: is required: where the setting is recommended",
        ),
        ("a:\n  source: x\n", ":1: a.policy: is required and missing"),
        ("a:\n  source: x\n  policy: 3\n", ":3: a.policy: has to be a mapping with a `kind`, but is '3'"),
        ("a:\n  source: x\n  polcy: {}\n", ":3: a.polcy: not a field of a preset (did you mean 'policy'?)"),
        ("a: 3\n", ":1: a: has to have a `policy` and its `source`"),
        ("1: {}\n", ":1: 1: names a preset, so it has to be a text"),
        ("[1]\n", ":1: has to be a mapping from names of presets"),
        ("a: {policy: {kind: p_less}, source: x}\na: {policy: {kind: p_less}, source: x}\n", "own.yaml:2: a: "),
    ],
)
def test_mistakes_in_a_file_of_presets(text: str, message: str, tmp_path: Path) -> None:
    (tmp_path / "own.yaml").write_text(text, encoding="utf-8")
    with pytest.raises(ConfigError) as error:
        load(tmp_path, "presets: own.yaml\npolicies: [{name: a, kind: fixed, temperature: 1}]\n")
    assert message in str(error.value)
    assert str(error.value).startswith(str(tmp_path / "own.yaml"))
