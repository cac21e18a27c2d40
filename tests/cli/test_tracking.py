"""`--log`: one line where a tracker is unknown or missing; with TensorBoard's own library, a run for every policy."""

from __future__ import annotations

import importlib.util
from pathlib import Path

import pytest
from typer.testing import CliRunner

from temp_processors.cli.app import app

SMALL = ["--set", "samples_per_prompt=2", "--set", "max_new_tokens=4", "--no-report"]


def test_a_tracker_that_is_unknown_is_refused_before_anything_is_drawn(tmp_path: Path) -> None:
    done = CliRunner().invoke(app, ["run", "fox", "--out", str(tmp_path / "run"), "--log", "mlflow"])
    assert (done.exit_code, done.stderr) == (
        2,
        "--log: has to be one of trackio, wandb, tensorboard, but is 'mlflow'\n",
    )
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize("name", ["trackio", "wandb", "tensorboard"])
def test_a_tracker_that_is_not_installed_is_named_with_its_remedy(name: str, tmp_path: Path) -> None:
    if importlib.util.find_spec(name) is not None:
        pytest.skip(f"{name} is installed")
    done = CliRunner().invoke(app, ["run", "fox", "--out", str(tmp_path / "run"), "--log", name])
    assert done.stderr == f"--log {name}: {name} is not installed: pip install 'temp-processors[{name}]'\n"
    assert done.exit_code == 2


def test_every_policy_is_a_run_of_tensorboard(tmp_path: Path) -> None:
    pytest.importorskip("tensorboard", reason="the extra `tensorboard` is not installed")
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    out = tmp_path / "run"
    done = CliRunner().invoke(app, ["run", "fox", *SMALL, "--out", str(out), "--log", "tensorboard"])
    assert done.exit_code == 0, done.output
    folders = sorted((out / "tensorboard").iterdir())
    assert len(folders) == 6
    read = EventAccumulator(str(folders[0]))
    read.Reload()
    assert {"distinct_2", "perplexity", "perplexity/low"} <= set(read.Tags()["scalars"])
