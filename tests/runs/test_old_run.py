"""A run folder of the version before the rooms still loads, resumes, compares and reports."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from temp_processors import Run, load_config, run_experiment
from temp_processors.comparison.scoring import score_sources
from temp_processors.report.page import write_report
from temp_processors.runs.folder import RunFolderError
from temp_processors.runs.sample import Sample

OLD = Path(__file__).parent / "old_run"
SETTINGS = ["samples_per_prompt=4", "max_new_tokens=8"]


@pytest.fixture
def old(tmp_path: Path) -> Path:
    return Path(shutil.copytree(OLD, tmp_path / "old"))


def _key(sample: Sample) -> tuple[str, int, int]:
    return sample.policy, sample.prompt_id, sample.sample_id


def test_it_loads() -> None:
    run = Run.load(OLD)
    assert len(run.samples) == 24
    assert run.metrics["T=0.1"]["mean_length"]["value"] == 7.0  # words, of 8 tokens


def test_it_resumes_with_the_same_texts_where_it_stopped(old: Path) -> None:
    lines = (old / "samples.jsonl").read_bytes().splitlines(keepends=True)
    (old / "DONE").unlink()
    (old / "samples.jsonl").write_bytes(b"".join(lines[:10]))
    run_experiment(load_config("fox", SETTINGS, out=old), resume=True)
    again = {_key(sample): sample for sample in Run(old).samples}
    for was in Run(OLD).samples:
        now = again.pop(_key(was))
        assert (now.token_ids, now.text, now.seed) == (was.token_ids, was.text, was.seed)
        assert now.log_prob == pytest.approx(was.log_prob, abs=1e-4)  # the last bits depend on the machine
    assert not again


def test_it_says_why_other_settings_do_not_resume_it(old: Path) -> None:
    (old / "DONE").unlink()
    with pytest.raises(RunFolderError, match="max_new_tokens: 9"):
        run_experiment(load_config("fox", [SETTINGS[0], "max_new_tokens=9"], out=old), resume=True)


def test_it_compares(old: Path) -> None:
    scores = score_sources([str(old)], ["distinct_2"], length="full")
    assert next(iter(scores)) == "T=0.1"
    assert scores["T=0.1"]["distinct_2"]["value"] == Run.load(old).metrics["T=0.1"]["distinct_2"]["value"]


def test_it_reports(old: Path) -> None:
    assert "T=0.1" in write_report(old, plots=True).read_text()
    assert (old / "plots").is_dir()
