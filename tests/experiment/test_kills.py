"""Kill -9 at every kind of write: just before a file is there, just after, and in the middle of a line."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from temp_processors.config.experiment import ExperimentConfig
from temp_processors.config.loading import load_config
from temp_processors.experiment.run import run_experiment

SETTINGS = ["samples_per_prompt=3", "max_new_tokens=5", "batch_size=7", "traces={top_k: 4}"]
WRITTEN = [
    "config.yaml", "environment.json", "stack.json", "metrics.json", "comparison.csv", "samples.parquet",
    "traces.parquet", "DONE",
]  # fmt: skip
CASES = [*[(name, moment) for name in WRITTEN for moment in ("before", "after")], ("samples.jsonl", "within a line")]
DYING = """
import os, sys
from pathlib import Path
from temp_processors.config.loading import load_config
from temp_processors.runs import writing as parts
from temp_processors.experiment.run import run_experiment
from temp_processors.runs.sample import sample_line

folder, name, moment, *settings = sys.argv[1:]
replace, written = Path.replace, 0

def dying_replace(self, target):
    here = Path(target) == Path(folder, name)
    if here and moment == "before":
        os._exit(9)
    result = replace(self, target)
    if here:
        os._exit(9)
    return result

def dying_write(self, sample):
    global written
    written += 1
    line = sample_line(sample).encode()
    os.write(self._file.fileno(), line[: len(line) // 2] if written == 4 else line)
    if written == 4:
        os._exit(9)

Path.replace = dying_replace
if name == "samples.jsonl":
    parts.Part.write = dying_write
run_experiment(load_config("fox", settings, out=Path(folder)))
"""


def config(folder: Path) -> ExperimentConfig:
    return load_config("fox", SETTINGS, out=folder)


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return run_experiment(config(tmp_path_factory.mktemp("runs") / "whole")).path


@pytest.mark.slow
@pytest.mark.parametrize(("name", "moment"), CASES)
def test_a_run_killed_at_this_write_goes_on_to_the_same_result(
    name: str, moment: str, whole: Path, tmp_path: Path
) -> None:
    folder = tmp_path / "run"
    threads = {"OMP_NUM_THREADS": os.environ.get("OMP_NUM_THREADS", "2")}
    command = [sys.executable, "-c", DYING, str(folder), name, moment, *SETTINGS]
    assert subprocess.run(command, check=False, env={**os.environ, **threads}).returncode == 9
    assert (folder / "DONE").exists() == (name == "DONE" and moment == "after")
    run = run_experiment(config(folder), resume=True)
    assert len(run.samples) == 18
    for made in ("metrics.json", "comparison.csv", "samples.parquet", "traces.parquet", "DONE"):
        assert (folder / made).read_bytes() == (whole / made).read_bytes(), made
    assert sorted((folder / "samples.jsonl").read_bytes().splitlines()) == sorted(
        (whole / "samples.jsonl").read_bytes().splitlines()
    )
