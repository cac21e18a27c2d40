"""The traces of a real run: the recomputed log-probabilities are those that generating wrote down."""

from __future__ import annotations

import math
from pathlib import Path

import pytest

from temp_processors.config import load_config
from temp_processors.experiment.run import run_experiment
from temp_processors.report.folder import load_run
from temp_processors.report.page import write_report
from temp_processors.report.page_data import page_data


@pytest.fixture(scope="module")
def run_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("traced") / "fox"
    run_experiment(load_config("fox", ["samples_per_prompt=3", "max_new_tokens=12"], out))
    write_report(out)
    return out


def test_traces_agree_with_what_generating_recorded(run_folder: Path) -> None:
    run = load_run(run_folder)
    assert run.notes == ()
    assert len(run.traces) == len(run.samples) == 18
    for sample in run.samples:
        trace = run.traces[sample["policy"], sample["prompt_id"], sample["sample_id"]]
        assert trace.token_ids[: len(sample["token_ids"])] == sample["token_ids"]
        assert math.fsum(v or 0 for v in trace.log_prob) == pytest.approx(sample["log_prob"], abs=1e-3)


def test_temperatures_are_those_of_the_policies(run_folder: Path) -> None:
    run = load_run(run_folder)
    assert {*run.traces["T=0.5", 0, 0].temperature} == {0.5}
    cooling = [1.5 - step / 24 for step in range(12)]
    assert run.traces["cooling", 0, 0].temperature == pytest.approx(cooling, abs=1e-6)


def test_the_page_of_the_shipped_model_shows_its_tokens_as_text(run_folder: Path) -> None:
    data = page_data(load_run(run_folder))
    assert any(piece.endswith(" the") for piece, _ in data["pieces"])
    assert (run_folder / "report.html").stat().st_size < 1_000_000
    assert (run_folder / "plots" / "steps.png").exists()


def test_long_runs_are_traced_in_part(run_folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("temp_processors.report.traces.MOST_TOKENS", 10)
    write_report(run_folder)
    run = load_run(run_folder)
    assert {sample for _, _, sample in run.traces} == {0}
    assert len(run.traces) == 6
