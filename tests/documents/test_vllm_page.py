"""The page on vLLM, done as it says, and a run on vLLM that is killed. Needs the environment of scripts/setup_vllm.sh."""

from __future__ import annotations

import json
import os
import re
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from temp_processors.fox import FOX_PATH
from temp_processors.runs.folder import Run
from tests.paths import ROOT

pytestmark = [pytest.mark.slow, pytest.mark.vllm, pytest.mark.filterwarnings("default")]
pytest.importorskip("vllm", reason="vLLM is not in this environment: scripts/setup_vllm.sh makes one")

SECTION = (ROOT / "docs" / "how-to" / "vllm.md").read_text(encoding="utf-8")
COMMANDS = re.search(r"^```sh\n(.*?)^```$", SECTION, flags=re.M | re.S)[1].splitlines()  # type: ignore[index]
SNIPPET = re.search(r"^```py\n(.*?)^```$", SECTION, flags=re.M | re.S)[1]  # type: ignore[index]
EXPORTS = dict(re.findall(r"(\w+)=(\w+)", COMMANDS[1]))
SMALL = ["--set", "samples_per_prompt=8", "--set", "batch_size=8", "--no-report", "--out"]


def environment() -> dict[str, str]:
    return {**os.environ, **EXPORTS, "PYTHONPATH": str(ROOT), "VLLM_LOGGING_LEVEL": "ERROR"}


def run_command(*arguments: str) -> list[str]:
    assert COMMANDS[2].startswith(".venv-vllm/bin/temp-processors ")
    return [sys.executable, "-m", "temp_processors", *COMMANDS[2].split()[1:], *arguments]


def test_the_experiment_runs_and_ends_with_its_report(tmp_path: Path) -> None:
    shutil.copytree(ROOT / "configs", tmp_path / "configs")
    done = subprocess.run(run_command(), cwd=tmp_path, env=environment(), capture_output=True, text=True, timeout=280)
    assert done.returncode == 0, done.stdout + done.stderr
    run = Run.load(tmp_path / "runs" / "fox_vllm")
    assert len(run.samples) == 384
    assert (run.path / "report.html").stat().st_size > 10_000
    diversity = [run.metrics[name]["distinct_2"]["value"] for name in ("T=0.1", "T=0.5", "T=1.0", "T=1.5")]
    assert diversity == sorted(diversity)


def test_the_snippet_prints_a_text(tmp_path: Path) -> None:
    script = tmp_path / "snippet.py"
    script.write_text(SNIPPET.replace("MODEL", str(FOX_PATH)))
    done = subprocess.run([sys.executable, script], env=environment(), capture_output=True, text=True, timeout=280)
    assert done.returncode == 0, done.stdout + done.stderr
    assert len(done.stdout.split()) > 5


def test_a_killed_run_goes_on_to_the_same_texts(tmp_path: Path) -> None:
    whole, killed = tmp_path / "whole", tmp_path / "killed"
    subprocess.run(run_command(*SMALL, str(whole)), cwd=ROOT, env=environment(), check=True, timeout=280)
    process = subprocess.Popen(run_command(*SMALL, str(killed)), cwd=ROOT, env=environment(), start_new_session=True)
    written = killed / "samples.jsonl"
    end = time.monotonic() + 120
    while not (written.exists() and written.stat().st_size) and process.poll() is None and time.monotonic() < end:
        time.sleep(0.005)
    os.killpg(process.pid, signal.SIGKILL)
    process.wait(60)
    before = written.read_text().splitlines()
    assert 0 < len(before) < 48
    subprocess.run(run_command("--resume", *SMALL, str(killed)), cwd=ROOT, env=environment(), check=True, timeout=280)
    got, wanted = (
        sorted((s["policy"], s["sample_id"], s["token_ids"], s["finish_reason"]) for s in map(json.loads, lines))
        for lines in (written.read_text().splitlines(), (whole / "samples.jsonl").read_text().splitlines())
    )
    assert got == wanted
