"""`temp-processors list`: every kind with its parameters, every preset, every metric, and a word that is none of them."""

from __future__ import annotations

from pathlib import Path

import pytest
from typer.testing import CliRunner

from temp_processors.cli.app import app
from temp_processors.config.presets import known_presets
from temp_processors.metrics.catalogue import METRIC_NAMES
from temp_processors.policies.kinds import KINDS
from temp_processors.policies.power import DECODINGS


def listed(*arguments: str) -> list[str]:
    result = CliRunner().invoke(app, ["list", *arguments])
    assert result.exit_code == 0, result.output
    return [line for line in result.output.splitlines() if not line.startswith(" ")]


def test_every_kind_with_its_parameters() -> None:
    *lines, empty, symbols, _, presets = listed("policies")
    assert not empty
    assert symbols.startswith("l are the scores of a row")
    assert presets.startswith("presets, written {preset: NAME}: qwen3_thinking, ")
    kinds = {**KINDS, **DECODINGS}
    assert [line.split(":")[0] for line in lines] == list(kinds)
    for line, model in zip(lines, kinds.values(), strict=True):
        assert all(name in line for name in model.model_fields if name != "kind")
    assert "dynamic: temperature, range, exponent 1.0" in lines
    assert "p_less: no parameters" in lines


def test_every_metric_that_a_configuration_may_list() -> None:
    lines = listed("metrics")
    assert [line.split(":")[0] for line in lines] == list(METRIC_NAMES)
    assert "self_bleu_4: of tokens, with an interval, larger values: less diverse" in lines
    assert "mtld: of tokens, without an interval, larger values: more diverse" in lines
    assert (
        "perplexity: of the log-probabilities that a run keeps, with an interval, larger values: less likely text"
        in lines
    )


def test_every_preset_with_its_policy_and_source(tmp_path: Path) -> None:
    own = tmp_path / "own.yaml"
    own.write_text("mine:\n  policy: {kind: fixed, temperature: 0.3}\n  source: a talk\n", encoding="utf-8")
    lines = listed("presets", "--presets", str(own))
    assert [line.split(":")[0] for line in lines] == [*known_presets(), "mine"]
    assert "mine: {kind: fixed, temperature: 0.3}" in lines
    assert "https://huggingface.co/Qwen/Qwen3-8B" in CliRunner().invoke(app, ["list", "presets"]).output


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["polices"], "'polices'"),
        ([], "Missing argument"),
        (["metrics", "--presets", "own.yaml"], "--presets: metrics have none"),
        (["presets", "--presets", "nowhere.yaml"], "nowhere.yaml: "),
    ],
)
def test_refused(arguments: list[str], message: str) -> None:
    result = CliRunner().invoke(app, ["list", *arguments])
    assert result.exit_code == 2
    assert message in result.output
