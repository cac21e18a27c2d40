"""The scripts that measure the metrics run, and the tables in the repository are theirs."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from tests.paths import ROOT
from tests.script_output import output_of

METRICS = ROOT / "temp_processors" / "metrics"


def test_coverage_in_the_repository_is_what_is_promised() -> None:
    """600 experiments a cell: one that is right at 95 % lies at 93 to 97; bounds on a handful of repeats hold more often."""
    text = (METRICS / "coverage.md").read_text()
    rows = re.findall(r"^\| [^|]+ \| \d+ \| \d+ \|(.*)\|$", text, re.M)
    cells = [
        (float(value), bound)
        for row in rows
        for value, bound in re.findall(r" ([\d.]+)(b?)(?: \(\d+\))? (?=\||$)", row)
    ]
    assert len(cells) > 1700
    assert min(value for value, _ in cells) > 89.5
    assert sum(value < 92 for value, _ in cells) <= 12
    assert sum(92 <= value <= 98 for value, bound in cells if not bound) > 0.7 * sum(not bound for _, bound in cells)
    assert re.search(r"^\| stories \| 12 \| 3 \|( refused \|){10}$", text, re.M)
    wrong = re.search(r"with at least one verdict: ([\d.]+) %", text)
    assert wrong is not None
    assert float(wrong[1]) <= 7


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
    designs = [part for name in ("stories", "own words") for part in ("--design", name)]
    output_of(
        "check_coverage.py", "--experiments", "4", "--largest", "16", "--workers", "1", *designs, "--out", str(table)
    )
    assert len(re.findall(r"^\| stories \| 16 \| [14] \|", table.read_text(), re.M)) == 6
    assert len(re.findall(r"^\| own words \| 16 \| 4 \|", table.read_text(), re.M)) == 3
