"""The traces of a real run: the recomputed log-probabilities are those that generating wrote down."""

from __future__ import annotations

import json
import math
import shutil
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest
import torch
import yaml
from typer.testing import CliRunner

from temp_processors.cli.app import app
from temp_processors.config.loading import load_config
from temp_processors.config.yaml_lines import ConfigError
from temp_processors.experiment.run import run_experiment
from temp_processors.report.page import write_report
from temp_processors.report.page_data import page_data
from temp_processors.runs.lenient import load_run
from temp_processors.trace.recompute import trace_tokens

SMALL = ["samples_per_prompt=3", "max_new_tokens=12"]


@pytest.fixture(scope="module")
def run_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("traced") / "fox"
    run_experiment(load_config("fox", SMALL, out))
    write_report(out, plots=True)
    return out


def traced(folder: Path) -> list[dict[str, Any]]:
    return pq.read_table(folder / "traces.parquet").to_pylist()


def samples_of(rows: list[dict[str, Any]]) -> set[tuple[str, int, int]]:
    return {(row["policy"], row["prompt_id"], row["sample_id"]) for row in rows}


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


def test_long_runs_are_traced_in_part(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("temp_processors.experiment.traces.MOST_TOKENS", 100)
    run_experiment(load_config("fox", [*SMALL, "prompts=[The quick brown fox, A dog, One day]"], tmp_path / "run"))
    found = samples_of(traced(tmp_path / "run"))
    assert {(prompt, sample) for _, prompt, sample in found} == {(0, 0), (1, 0)}
    assert len(found) == 2 * 6


def test_long_prompts_are_counted_too(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """24 tokens are in a place, 6 policies times 4, and 156 or more with the prompts: 150 are enough."""
    monkeypatch.setattr("temp_processors.experiment.traces.MOST_TOKENS", 50)
    long = [
        "The quick brown fox jumped over the lazy dog. " * 2,
        "Then came a bright night, and the forest was very still. " * 2,
    ]
    settings = ["samples_per_prompt=2", "max_new_tokens=4", f"prompts={json.dumps(long)}"]
    run_experiment(load_config("fox", settings, tmp_path / "run"))
    assert {(prompt, sample) for _, prompt, sample in samples_of(traced(tmp_path / "run"))} == {(0, 0)}
    chosen = [*settings, "traces={samples_per_policy: 3}"]
    run_experiment(load_config("fox", chosen, tmp_path / "chosen"))
    assert len(samples_of(traced(tmp_path / "chosen"))) == 3 * 6


def test_how_much_is_traced_can_be_chosen(tmp_path: Path) -> None:
    settings = [*SMALL, "prompts=[The quick brown fox, A dog]", "traces={top_k: 3, samples_per_policy: 5}"]
    run = run_experiment(load_config("fox", settings, tmp_path / "run"))
    rows = traced(run.path)
    chosen = {(prompt, sample) for _, prompt, sample in samples_of(rows)}
    assert chosen == {(0, 0), (1, 0), (0, 1), (1, 1), (0, 2)}
    assert {len(row[name]) for row in rows for name in ("top_ids", "top_logits")} == {3}
    again = load_config(run.path / "config.yaml").traces
    assert (again.top_k, again.samples_per_policy) == (3, 5)


def test_no_traces_unless_asked_for_afterwards(tmp_path: Path) -> None:
    run = run_experiment(load_config("fox", [*SMALL, "traces=false"], tmp_path / "run"))
    assert run.complete
    assert not (run.path / "traces.parquet").exists()
    done = CliRunner().invoke(app, ["report", str(run.path), "--trace"])
    assert done.exit_code == 0, done.output
    assert len(samples_of(traced(run.path))) == 18


def rows_at_most(limit: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """A memory that holds so many texts."""

    def full(model: Any, input_ids: torch.Tensor, *args: Any, **kwargs: Any) -> Any:
        if len(input_ids) > limit:
            raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 20.00 GiB")
        return trace_tokens(model, input_ids, *args, **kwargs)

    monkeypatch.setattr("temp_processors.engines.local.trace_tokens", full)


@pytest.mark.slow
def test_out_of_memory_traces_fewer_texts_at_once(
    run_folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    rows_at_most(1, monkeypatch)
    run = run_experiment(load_config("fox", SMALL, tmp_path / "run"))
    got, wanted = traced(run.path), traced(run_folder)
    assert [row["token_id"] for row in got] == [row["token_id"] for row in wanted]
    assert [row["entropy"] for row in got] == pytest.approx([row["entropy"] for row in wanted], abs=1e-4)


def test_no_memory_for_one_text_leaves_the_run_without_traces(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    rows_at_most(0, monkeypatch)
    flags = [part for setting in SMALL for part in ("--set", setting)]
    done = CliRunner().invoke(app, ["run", "fox", *flags, "--out", str(tmp_path / "run")])
    assert done.exit_code == 0, done.output
    assert "no traces: out of memory with the tokens of a single text" in done.stdout
    assert {path.name for path in (tmp_path / "run").glob("*traces*")} == set()


@pytest.mark.parametrize(
    ("setting", "message"),
    [
        ("traces={topk: 3}", "traces.topk: not a field of `traces` (did you mean 'top_k'?)"),
        ("traces={top_k: 0}", "traces.top_k: has to be greater than or equal to 1, but is 0"),
        ("traces='yes please'", "traces: has to be true or false, but is 'yes please'"),
    ],
)
def test_mistakes_are_named(setting: str, message: str) -> None:
    with pytest.raises(ConfigError) as error:
        load_config("fox", [setting])
    assert message in str(error.value)


def test_a_run_from_elsewhere_runs_no_files_of_its_checkpoint(run_folder: Path, tmp_path: Path) -> None:
    folder = tmp_path / "from-elsewhere"
    shutil.copytree(run_folder, folder)
    config = yaml.safe_load((folder / "config.yaml").read_text())
    (folder / "config.yaml").write_text(yaml.safe_dump({**config, "model": {"name": "fox", "trust_remote_code": True}}))
    refused = CliRunner().invoke(app, ["report", str(folder), "--trace"])
    assert refused.exit_code == 2
    assert "--trust-remote-code allows it" in " ".join(refused.output.split())
    allowed = CliRunner().invoke(app, ["report", str(folder), "--trace", "--trust-remote-code"])
    assert allowed.exit_code == 0, allowed.output
