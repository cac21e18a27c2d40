"""The scripts that measure the metrics run, and the tables in the repository are theirs."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from tests.paths import ROOT

METRICS = ROOT / "temp_processors" / "metrics"


def output_of(script: str, *arguments: str) -> str:
    command = [sys.executable, str(ROOT / "scripts" / script), *arguments]
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"}
    return subprocess.run(command, env=environment, capture_output=True, text=True, check=True, timeout=250).stdout


def test_coverage_in_the_repository_is_within_bounds() -> None:
    rows = re.findall(
        r"^\| (\d+) \| (\d+) \| ([\w ]+) \|.*\| ([\d.]+) % \|$", (METRICS / "coverage.md").read_text(), re.M
    )
    assert {(int(size), int(prompts)) for size, prompts, _, _ in rows} >= {(16, 1), (64, 1), (256, 1), (256, 16)}
    assert all(92 <= float(held) <= 98 for *_, held in rows)


@pytest.mark.slow
def test_benchmark_prints_its_table() -> None:
    printed = output_of("benchmark_metrics.py", "--largest", "3000", "--repeats", "1", "--tokens", "40000")
    nltk = re.search(r"\| NLTK \| [\d.]+ \| [\d.]+ \| ([\d,]+) \| 20 texts; apart (\S+) \|", printed)
    assert nltk is not None, printed
    assert int(nltk[1].replace(",", "")) > 300
    assert float(nltk[2]) < 1e-12
    assert "Peak memory at 3,000 texts" in printed


@pytest.mark.slow
def test_coverage_script_prints_its_table(tmp_path: Path) -> None:
    table = tmp_path / "coverage.md"
    output_of(
        "check_coverage.py", "--experiments", "8", "--designs", "16x1,16x8", "--workers", "1", "--out", str(table)
    )
    assert len(re.findall(r"^\| 16 \| [18] \|", table.read_text(), re.M)) == 12
