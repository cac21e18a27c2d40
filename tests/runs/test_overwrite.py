"""What is left of an earlier run is gone after --overwrite, and a failure after drawing keeps every text."""

from __future__ import annotations

import os
import resource
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from typer.testing import CliRunner

from temp_processors.cli.app import app
from temp_processors.config.loading import load_config
from temp_processors.experiment.run import run_experiment
from temp_processors.runs.folder import Run, RunFolderError

SMALL = ["samples_per_prompt=2", "max_new_tokens=4"]
FLAGS = [part for setting in SMALL for part in ("--set", setting)]


@pytest.fixture(scope="module")
def reported(tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("runs") / "run"
    done = CliRunner().invoke(app, ["run", "fox", *FLAGS, "--out", str(out)])
    assert done.exit_code == 0, done.output
    return out


def test_overwrite_deletes_what_is_out_of_date(reported: Path, tmp_path: Path) -> None:
    folder = tmp_path / "run"
    shutil.copytree(reported, folder)
    (folder / "notes.txt").write_text("mine")
    (folder / ".metrics.json.partial").write_text("half")
    run_experiment(load_config("fox", [*SMALL, "traces=false"], out=folder), overwrite=True)
    assert {path.name for path in folder.iterdir()} == {
        "config.yaml", "environment.json", "stack.json", "samples.jsonl", "samples.parquet", "metrics.json",
        "comparison.csv", "DONE", "SHA256SUMS", ".lock", "notes.txt",
    }  # fmt: skip


def test_pictures_of_somebody_else_stay(reported: Path, tmp_path: Path) -> None:
    folder = tmp_path / "run"
    shutil.copytree(reported, folder)
    (folder / "plots").mkdir(exist_ok=True)
    (folder / "plots" / "mine.pdf").write_text("mine")
    run_experiment(load_config("fox", SMALL, out=folder), overwrite=True)
    assert [path.name for path in (folder / "plots").iterdir()] == ["mine.pdf"]


def test_a_page_that_cannot_be_written_is_one_line_and_the_run_is_complete(tmp_path: Path) -> None:
    """Files may not grow past 60 kB: the samples fit, the page does not."""
    folder = tmp_path / "run"
    done = subprocess.run(
        [sys.executable, "-m", "temp_processors", "run", "fox", *FLAGS, "--set", "traces=false", "--out", str(folder)],
        capture_output=True,
        text=True,
        check=False,
        env={**os.environ, "OMP_NUM_THREADS": "1"},
        preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (60_000, 60_000)),
    )
    assert done.returncode == 1
    assert "Traceback" not in done.stderr
    (line,) = [line for line in done.stderr.splitlines() if line.startswith("report: ")]
    assert "File too large" in line
    assert f"the run is complete: write it again with `temp-processors report {folder}`" in line
    assert len(Run.load(folder).samples) == 12


@pytest.mark.parametrize("name", ["metrics.json", "samples.parquet", "traces.parquet"])
def test_results_that_cannot_be_written_keep_every_text(name: str, reported: Path, tmp_path: Path) -> None:
    folder = tmp_path / "run"
    shutil.copytree(reported, folder)
    for old in ("DONE", name):
        (folder / old).unlink()
    (folder / name).mkdir()
    with pytest.raises(
        RunFolderError, match=rf"{name}: cannot be written: .*; every text is kept: make room and go on"
    ):
        run_experiment(load_config("fox", SMALL, out=folder), resume=True)
    (folder / name).rmdir()
    run = run_experiment(load_config("fox", SMALL, out=folder), resume=True)
    assert run.complete
    assert len(run.samples) == 12
