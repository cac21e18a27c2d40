"""A phase that never opened is said once at the end of a run."""

from __future__ import annotations

import io
from pathlib import Path

import pytest
from rich.console import Console

from temp_processors.config.experiment import ExperimentConfig
from temp_processors.config.yaml_lines import ConfigError
from temp_processors.experiment.run import run_experiment


def config_of(out: Path, **changes: object) -> ExperimentConfig:
    fixed = {"kind": "fixed", "temperature": 1.0}
    phase = {"kind": "phase", "open_ids": [5, 6, 7], "close_ids": [8], "inside": fixed, "outside": fixed}
    data = {
        "name": "phases",
        "prompts": ["The quick brown fox"],
        "samples_per_prompt": 2,
        "max_new_tokens": 4,
        "policies": [
            {"name": "thinks", **phase},
            {"name": "inside", "kind": "product", "policies": [phase, fixed]},
            {"name": "plain", **fixed},
        ],
        "metrics": ["distinct_1"],
        "traces": False,
        "out": str(out),
    }
    return ExperimentConfig.model_validate({**data, **changes})


def test_a_phase_that_never_opened_is_mentioned(tmp_path: Path) -> None:
    said = io.StringIO()
    run = run_experiment(config_of(tmp_path / "run"), console=Console(file=said, width=200))
    line = "a phase never opened: no prompt and no text of it holds the opening tag [5, 6, 7]"
    assert f"policy 'thinks': {line}" in said.getvalue()
    assert f"policy 'inside': {line}" in said.getvalue()
    assert "policy 'plain'" not in said.getvalue()
    opening = run.samples[0].token_ids[:1]
    opened = io.StringIO()
    fixed = {"kind": "fixed", "temperature": 1.0}
    phase = {"kind": "phase", "open_ids": opening, "close_ids": [8], "inside": fixed, "outside": fixed}
    again = config_of(tmp_path / "again", policies=[{"name": "thinks", **phase}])
    run_experiment(again, console=Console(file=opened, width=200))
    assert "never opened" not in opened.getvalue()


@pytest.mark.parametrize(("name", "message"), [("nowhere/at-all", "tokenizer: nowhere/at-all: is neither whitespace")])
def test_a_tokenizer_that_is_not_there_is_told_before_drawing(tmp_path: Path, name: str, message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        run_experiment(config_of(tmp_path / "run", tokenizer=name))
    assert not (tmp_path / "run").exists()


def test_the_tokenizer_of_the_configuration_scores(tmp_path: Path) -> None:
    run = run_experiment(config_of(tmp_path / "run", tokenizer="characters"))
    assert "|tok:characters|" in run.metrics["plain"]["distinct_1"]["signature"]
    assert "tokenizer: characters" in (tmp_path / "run" / "config.yaml").read_text()
