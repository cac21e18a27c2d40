"""A run folder that `scripts/make_run.py` writes is one to what reads runs, and the scaling benchmark prints its table and picture."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest

from scripts.make_run import make_run
from temp_processors import load_config, run_experiment
from temp_processors.report.page import write_page
from temp_processors.runs.lenient import load_run
from tests.script_output import output_of

TIMES = ("seconds", "processor")


@pytest.mark.slow
def test_a_made_run_is_complete_to_resume_and_to_the_page(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """--resume finds nothing to do: every sample is of the larger plan, every checksum and setting fits. The page keeps to its size."""
    run_experiment(load_config("fox", ["samples_per_prompt=2", "max_new_tokens=4"], out=tmp_path / "small"))
    made = make_run(tmp_path / "small", 70, tmp_path / "large")
    held = {name.name: name.read_bytes() for name in made.path.iterdir() if name.is_file()}
    config = load_config(made.path / "config.yaml", out=made.path)
    again = run_experiment(config, resume=True)
    assert {name: (again.path / name).read_bytes() for name in held} == held
    assert len(list(again.samples)) == 70 * len(config.policies)
    loaded = load_run(made.path)
    assert loaded.notes == ()
    sizes = []
    for texts in (10_000, 20_000):
        monkeypatch.setattr("temp_processors.report.page_data.TEXT_BYTES", texts)
        sizes.append(write_page([loaded], tmp_path / "page.html").stat().st_size)
    assert 8_000 < sizes[1] - sizes[0] < 11_000


@pytest.mark.slow
def test_scaling_prints_its_table_and_draws_it(tmp_path: Path) -> None:
    """One point is measured, the others are kept: each unit beyond the first costs the same, so that the exponent is 1."""
    results, chart = tmp_path / "points.jsonl", tmp_path / "chart.svg"
    results.write_text(
        "".join(
            json.dumps(
                {"task": "samples", "size": size, "page": 0.1, "megabytes": 90, **dict.fromkeys(TIMES, 5 + size)}
            )
            + "\n"
            for size in (1, 10, 100, 1_000)
        )
    )
    arguments = ("--only", "samples", "--only", "texts", "--results", str(results), "--chart", str(chart))
    printed = output_of("benchmark_scaling.py", *arguments, "--largest", "1000")
    assert "| samples | 1,000 | 1005.0 | 1005.0 | 90 | 0.1 | 1.00 |" in printed
    assert re.search(r"^\| texts \| 1,000 \| [\d.]+ \| [\d.]+ \| [\d,]+ \| - \| - \|$", printed, re.M)
    assert len(results.read_text().splitlines()) == 5
    assert chart.read_text().startswith("<?xml")
