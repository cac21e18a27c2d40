"""`init`, `audit`, `list models` and completion."""

from __future__ import annotations

from pathlib import Path

import pytest
from typer.testing import CliRunner

from temp_processors.cli.app import app
from temp_processors.config.loading import load_config


def test_init_writes_a_configuration_that_loads(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    done = CliRunner().invoke(app, ["init", "--prompt", "A fox: {x}", "--prompt", "B", "--temperatures", "0.5,1"])
    assert (done.exit_code, done.stdout.splitlines()[0]) == (0, "configuration: experiment.yaml")
    config = load_config("experiment.yaml")
    assert (config.model, config.prompts) == ("fox", ["A fox: {x}", "B"])
    assert [named.name for named in config.policies] == ["T=0.5", "T=1"]
    commented = (
        Path("experiment.yaml").read_text(encoding="utf-8").replace("# - {", "- {").replace("# primary", "primary")
    )
    Path("more.yaml").write_text(commented.replace("# coupled", "coupled"), encoding="utf-8")
    more = load_config("more.yaml")
    assert [named.name for named in more.policies][2:] == ["cooling", "qwen3_thinking"]
    assert (more.coupled, more.primary) == (True, "distinct_2")


def test_init_asks_nothing_without_a_terminal(tmp_path: Path) -> None:
    done = CliRunner().invoke(app, ["init", str(tmp_path / "mine.yaml")])
    assert done.exit_code == 0
    assert len(load_config(tmp_path / "mine.yaml").policies) == 8


def test_audit_says_what_generate_applies() -> None:
    done = CliRunner().invoke(app, ["audit", "fox", "--temperature", "0.5"])
    assert done.exit_code == 0, done.output
    assert "TemperatureLogitsWarper(temperature=0.5)" in done.stdout
    assert "top_k=50 is on unasked" in done.stdout
    assert "mode: greedy_search" in CliRunner().invoke(app, ["audit", "fox"]).stdout


def test_models_without_a_download() -> None:
    done = CliRunner().invoke(app, ["list", "models"])
    assert [line.split(":")[0] for line in done.stdout.splitlines()][:2] == ["fox", "smollm2"]


def test_shells_can_complete(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("_TEMP_PROCESSORS_COMPLETE", "complete_bash")
    monkeypatch.setenv("COMP_WORDS", "temp-processors ca")
    monkeypatch.setenv("COMP_CWORD", "1")
    done = CliRunner().invoke(app, [], prog_name="temp-processors")
    assert done.stdout.split() == ["calibrate"]
