"""Processes that were not started in a way that lets them share a run: one line that says what to do."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
from pathlib import Path

import pytest
from typer.testing import CliRunner

from temp_processors.cli.app import app
from temp_processors.experiment.processes import LaunchError, Processes
from tests.paths import ROOT

LAUNCHED = (
    "RANK",
    "WORLD_SIZE",
    "MASTER_ADDR",
    "MASTER_PORT",
    "LOCAL_RANK",
    "SLURM_PROCID",
    "SLURM_NTASKS",
    "SLURM_STEP_NUM_TASKS",
)


@pytest.fixture
def launched(monkeypatch: pytest.MonkeyPatch) -> pytest.MonkeyPatch:
    for name in LAUNCHED:
        monkeypatch.delenv(name, raising=False)
    return monkeypatch


@pytest.mark.parametrize(
    ("variables", "message"),
    [
        ({"SLURM_PROCID": "1", "SLURM_NTASKS": "2"}, "SLURM started this command 2 times"),
        ({"SLURM_PROCID": "0", "SLURM_NTASKS": "4", "SLURM_STEP_NUM_TASKS": "4"}, "`srun --ntasks-per-node=1 torchrun"),
        ({"WORLD_SIZE": "2"}, "WORLD_SIZE is 2, but RANK, MASTER_ADDR, MASTER_PORT is not set: start it by torchrun"),
        ({"WORLD_SIZE": "two"}, "WORLD_SIZE has to be a whole number, but is 'two'"),
        ({"SLURM_PROCID": "x"}, "SLURM_PROCID has to be a whole number, but is 'x'"),
    ],
)
def test_it_is_said_how_to_start_them(variables: dict[str, str], message: str, launched: pytest.MonkeyPatch) -> None:
    for name, value in variables.items():
        launched.setenv(name, value)
    with pytest.raises(LaunchError) as told:
        Processes.join()
    assert message in str(told.value)
    assert "\n" not in str(told.value)


@pytest.mark.parametrize(
    "variables",
    [
        {},
        {"WORLD_SIZE": "1", "RANK": "0"},
        {"SLURM_PROCID": "0", "SLURM_NTASKS": "8"},  # a batch script that starts the command once
        {"SLURM_PROCID": "0", "SLURM_NTASKS": "1", "SLURM_STEP_NUM_TASKS": "1"},
    ],
)
def test_one_process_is_one(variables: dict[str, str], launched: pytest.MonkeyPatch) -> None:
    for name, value in variables.items():
        launched.setenv(name, value)
    assert Processes.join() == Processes(0, 1)


def test_the_command_says_it_in_a_line(launched: pytest.MonkeyPatch, tmp_path: Path) -> None:
    launched.setenv("SLURM_PROCID", "1")
    launched.setenv("SLURM_NTASKS", "2")
    done = CliRunner().invoke(app, ["run", "fox", "--out", str(tmp_path / "run")])
    assert done.exit_code == 2
    assert isinstance(done.exception, SystemExit)
    assert done.stderr.startswith("SLURM started this command 2 times")
    assert not (tmp_path / "run").exists()


@pytest.mark.slow
def test_machines_without_a_shared_folder(tmp_path: Path) -> None:
    """Two processes in two folders, `out` is a relative path: what each machine of a cluster sees without a shared drive."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = str(free.getsockname()[1])
    settings = ["--set", "samples_per_prompt=2", "--set", "max_new_tokens=4", "--set", "batch_size=2", "--out", "run"]
    code = "import temp_processors.experiment.run as run; run.SEEN_WITHIN = 0.5; from temp_processors.cli.app import app; app()"
    processes = []
    for rank in range(2):
        place = tmp_path / str(rank)
        place.mkdir()
        known = {
            "RANK": str(rank),
            "WORLD_SIZE": "2",
            "MASTER_ADDR": "127.0.0.1",
            "MASTER_PORT": port,
            "LOCAL_RANK": str(rank),
        }
        environment = {**os.environ, **known, "OMP_NUM_THREADS": "1", "PYTHONPATH": str(ROOT)}
        command = [sys.executable, "-c", code, "run", "fox", *settings]
        processes.append(
            subprocess.Popen(
                command, cwd=place, env=environment, stderr=subprocess.PIPE, stdout=subprocess.PIPE, text=True
            )
        )
    for process in processes:
        said = process.communicate(timeout=120)[1]
        assert process.returncode == 2
        assert "Traceback" not in said
        assert "run: process 1 of 2 on " in said
        assert (
            "does not see the run folder that process 0 wrote: give --out a folder on a drive that all machines share"
            in said
        )
