"""On a terminal that is not UTF-8, commands write their files and print what the terminal can show."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.paths import ROOT
from tests.report.test_untrusted import OLD_RUN

TEXTS = "the fox ran home\nthe owl sat ≥ ± 狐狸\na wolf ran\nan elk ate\nthe hen hid\n"


def run_command(folder: Path, encoding: str, *arguments: str) -> subprocess.CompletedProcess[bytes]:
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "PYTHONIOENCODING": encoding, "COLUMNS": "100"}
    return subprocess.run(
        [sys.executable, "-m", "temp_processors", *arguments],
        cwd=folder,
        env=environment,
        capture_output=True,
        timeout=300,
        check=False,
    )


@pytest.mark.parametrize("encoding", ["cp1252", "ascii", "latin-1", "utf-8"])
def test_score_writes_its_files_and_ends_well(tmp_path: Path, encoding: str) -> None:
    (tmp_path / "狐狸.txt").write_text(TEXTS, encoding="utf-8")
    (tmp_path / "b.txt").write_text(TEXTS, encoding="utf-8")
    done = run_command(tmp_path, encoding, "score", "狐狸.txt", "b.txt", "--out", "out")
    assert (done.returncode, done.stderr) == (0, b"")
    written = {path.name for path in (tmp_path / "out").iterdir()}
    assert written == {"metrics.json", "comparison.csv", "comparison.md", "comparison.tex"}
    shown = done.stdout.decode(encoding)
    assert ("狐狸" in shown) == (encoding == "utf-8")
    assert ("??" in shown) == (encoding != "utf-8")


@pytest.mark.parametrize(
    "arguments", [("compare", str(OLD_RUN)), ("softmax",), ("report", "--out", "狐.html", str(OLD_RUN / "nowhere狐"))]
)
def test_other_commands(tmp_path: Path, arguments: tuple[str, ...]) -> None:
    done = run_command(tmp_path, "ascii", *arguments)
    assert done.returncode == (2 if "report" in arguments else 0), done.stderr
    assert b"Traceback" not in done.stderr


def test_a_run_writes_everything_and_prints_what_can_be_shown(tmp_path: Path) -> None:
    policies = "policies=[{name: 冷, kind: fixed, temperature: 0.1}, {name: '[/INST]', kind: fixed, temperature: 1}]"
    small = ["samples_per_prompt=2", "max_new_tokens=4", policies]
    settings = [part for setting in small for part in ("--set", setting)]
    done = run_command(tmp_path, "ascii", "run", "fox", *settings, "--out", "run", "--plots")
    assert done.returncode == 0, done.stderr.decode()
    for name in ("DONE", "metrics.json", "comparison.csv", "comparison.md", "report.html", "plots/distinct_2.png"):
        assert (tmp_path / "run" / name).exists()
    assert b"[/INST]" in done.stdout
    assert b"report: " in done.stdout
