"""A run that is stopped anywhere goes on where it was, with nothing lost and nothing different."""

from __future__ import annotations

import os
import random
import resource
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from datasets import load_dataset
from transformers import AutoModelForCausalLM, AutoTokenizer
from typer.testing import CliRunner

from temp_processors.cli.app import app
from temp_processors.config.loading import load_config
from temp_processors.engines import local
from temp_processors.engines.decoding.continuous import draw_continuously
from temp_processors.engines.engine import Decoded
from temp_processors.experiment.plan import Plan
from temp_processors.experiment.processes import Processes
from temp_processors.experiment.run import run_experiment
from temp_processors.fox import FOX_PATH
from temp_processors.runs.folder import Run, RunFolderError
from temp_processors.runs.recovery import recover
from temp_processors.runs.resume import locked
from temp_processors.runs.sample import Sample

SMALL = ["samples_per_prompt=4", "max_new_tokens=6", "batch_size=5"]
FLAGS = [flag for setting in SMALL for flag in ("--set", setting)]
COMMAND = [sys.executable, "-m", "temp_processors", "run", "fox"]


def config_in(folder: Path, *more: str):
    return load_config("fox", [*SMALL, *more], out=folder)


def in_order(path: Path) -> list[str]:
    return sorted((path / "samples.jsonl").read_text(encoding="utf-8").splitlines())


def assert_equal_runs(got: Path, wanted: Path) -> None:
    assert in_order(got) == in_order(wanted)
    for name in ("metrics.json", "comparison.csv", "samples.parquet", "DONE"):
        assert (got / name).read_bytes() == (wanted / name).read_bytes(), name


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return run_experiment(config_in(tmp_path_factory.mktemp("runs") / "whole")).path


def stopped_at(whole: Path, folder: Path, size: int, *, scored: bool = False) -> Path:
    """What is on disk when the process dies after `size` bytes of samples."""
    shutil.copytree(whole, folder)
    for name in ("DONE", "samples.parquet", "comparison.csv", *([] if scored else ["metrics.json"])):
        (folder / name).unlink()
    os.truncate(folder / "samples.jsonl", size)
    return folder


@pytest.mark.parametrize("seed", range(4))
def test_a_run_cut_anywhere_goes_on_to_the_same_result(whole: Path, tmp_path: Path, seed: int) -> None:
    size = random.Random(seed).randrange((whole / "samples.jsonl").stat().st_size)
    folder = stopped_at(whole, tmp_path / "cut", size)
    run_experiment(config_in(folder), resume=True)
    assert_equal_runs(folder, whole)


def test_a_run_stopped_while_scoring_is_scored_again(whole: Path, tmp_path: Path) -> None:
    folder = stopped_at(whole, tmp_path / "cut", (whole / "samples.jsonl").stat().st_size, scored=True)
    (folder / ".samples.parquet.partial").write_bytes(b"half")
    run_experiment(config_in(folder), resume=True)
    assert_equal_runs(folder, whole)


def test_nothing_left_to_do(whole: Path) -> None:
    before = (whole / "samples.jsonl").stat().st_mtime_ns
    assert run_experiment(config_in(whole), resume=True).complete
    assert (whole / "samples.jsonl").stat().st_mtime_ns == before


def test_resume_without_a_run_starts_one(whole: Path, tmp_path: Path) -> None:
    folder = tmp_path / "new"
    folder.mkdir()
    (folder / "config.yaml").write_text("half of a start")
    run_experiment(config_in(folder), resume=True)
    assert_equal_runs(folder, whole)


def test_a_plain_rerun_says_how_to_go_on(whole: Path, tmp_path: Path) -> None:
    folder = stopped_at(whole, tmp_path / "cut", 100)
    with pytest.raises(RunFolderError, match="holds an unfinished run; go on with it by --resume"):
        run_experiment(config_in(folder))


def test_another_configuration_is_refused_with_the_difference(whole: Path, tmp_path: Path) -> None:
    folder = stopped_at(whole, tmp_path / "cut", 100)
    with pytest.raises(RunFolderError, match=r"-max_new_tokens: 6\n  \+max_new_tokens: 7"):
        run_experiment(config_in(folder, "max_new_tokens=7"), resume=True)


def test_another_model_is_refused(whole: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = stopped_at(whole, tmp_path / "cut", 100)
    load = AutoModelForCausalLM.from_pretrained

    def retrained(*args, **kwargs):
        model = load(*args, **kwargs)
        with torch.no_grad():
            next(model.parameters()).mul_(1.5)
        return model

    monkeypatch.setattr(AutoModelForCausalLM, "from_pretrained", retrained)
    with pytest.raises(RunFolderError, match=r"-model is .*\n  \+model is "):
        run_experiment(config_in(folder), resume=True)


def test_two_processes_on_one_folder(tmp_path: Path) -> None:
    folder = tmp_path / "run"
    with locked(folder), pytest.raises(RunFolderError, match=f"another process .id {os.getpid()}. is writing this run"):
        run_experiment(config_in(folder))
    assert run_experiment(config_in(folder)).complete


def test_a_full_disk_keeps_what_is_whole(whole: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)

    def filling(*args, **kwargs):
        resource.setrlimit(resource.RLIMIT_FSIZE, (1500, hard))
        return draw_continuously(*args, **kwargs)

    monkeypatch.setattr(local, "draw_continuously", filling)
    try:
        with pytest.raises(RunFolderError, match="cannot be written: File too large; what was finished before is kept"):
            run_experiment(config_in(tmp_path / "full"))
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert (tmp_path / "full" / "samples.jsonl").stat().st_size == 1500
    monkeypatch.setattr(local, "draw_continuously", draw_continuously)
    run_experiment(config_in(tmp_path / "full"), resume=True)
    assert_equal_runs(tmp_path / "full", whole)


def test_ctrl_c_says_how_to_go_on(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, whole: Path) -> None:
    def interrupted(*args, **kwargs):
        for number, done in enumerate(draw_continuously(*args, **kwargs)):
            yield done
            if number == 2:
                signal.raise_signal(signal.SIGINT)

    monkeypatch.setattr(local, "draw_continuously", interrupted)
    done = CliRunner().invoke(app, ["run", "fox", *FLAGS, "--out", str(tmp_path / "run")])
    assert done.exit_code == 130
    assert "go on with the same command and --resume" in done.stderr
    monkeypatch.setattr(local, "draw_continuously", draw_continuously)
    run_experiment(config_in(tmp_path / "run"), resume=True)
    assert_equal_runs(tmp_path / "run", whole)


def test_nan_is_reported_and_the_others_go_on(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(*args, **kwargs):
        for done in draw_continuously(*args, **kwargs):
            yield Decoded(done.row, [5, 6], "nan", float("nan")) if done.row == 1 else done

    monkeypatch.setattr(local, "draw_continuously", broken)
    folder = tmp_path / "run"
    done = CliRunner().invoke(app, ["run", "fox", "--set", "max_new_tokens=4", "--out", str(folder)])
    assert done.exit_code == 1
    assert "prompt 0, sample 0, step 2: NaN logits" in done.stderr
    run = Run.load(folder)
    assert [failure["step"] for failure in run.failures] == [2] * len(run.failures) != []
    assert len(in_order(folder)) + len(run.failures) == len(list(Plan(load_config("fox")).jobs()))


@pytest.mark.parametrize("broken_policy", ["T=0.1", "T=1.0"])
def test_a_policy_without_a_single_text(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, broken_policy: str) -> None:
    config = config_in(tmp_path / "run")
    number = [named.name for named in config.policies].index(broken_policy)

    def broken(model, rows, *args, **kwargs):
        for done in draw_continuously(model, rows, *args, **kwargs):
            yield Decoded(done.row, [], "nan", float("nan")) if rows[done.row].policy == number else done

    monkeypatch.setattr(local, "draw_continuously", broken)
    done = CliRunner().invoke(app, ["run", "fox", *FLAGS, "--out", str(tmp_path / "run")])
    assert done.exit_code == 1
    assert f"policy '{broken_policy}', prompt 0, sample 0, step 0: NaN logits" in done.stderr
    assert set(Run.load(tmp_path / "run").metrics) == {named.name for named in config.policies} - {broken_policy}
    assert (tmp_path / "run" / "report.html").exists()


def test_a_model_that_gives_nan_alone(tmp_path: Path) -> None:
    model = AutoModelForCausalLM.from_pretrained(FOX_PATH)
    with torch.no_grad():
        model.lm_head.weight[3] = float("nan")
    model.save_pretrained(tmp_path / "model")
    AutoTokenizer.from_pretrained(FOX_PATH).save_pretrained(tmp_path / "model")
    settings = ["--set", f"model={tmp_path / 'model'}", "--out", str(tmp_path / "run")]
    done = CliRunner().invoke(app, ["run", "fox", *FLAGS, *settings])
    assert done.exit_code == 2
    assert "model: not one of 24 texts could be drawn; the first: policy 'T=0.1', prompt 0" in done.stderr


def texts_of(folder: Path) -> list[Sample]:
    """The samples in order, without their log-probabilities: another number of threads moves the last bits of those."""
    return sorted((replace(sample, log_prob=0.0) for sample in Run(folder).samples), key=lambda sample: sample.key)


def started_with(folder: Path) -> list[int]:
    """Ids of the processes that run in this folder: the launcher and its workers, each in a session of its own."""
    found = []
    for entry in Path("/proc").glob("[0-9]*"):
        try:
            arguments = (entry / "cmdline").read_bytes().split(b"\0")
        except OSError:
            continue
        if str(folder).encode() in arguments:
            found.append(int(entry.name))
    return found


def kill_all(folder: Path) -> None:
    """Kill -9 of every process that works in the folder, until none is left."""
    while running := started_with(folder):
        for process in running:
            with suppress(ProcessLookupError):
                os.kill(process, signal.SIGKILL)
        time.sleep(0.01)


def killed_launch(folder: Path, size: int, victims: Callable[[Path, int], list[int]]) -> None:
    """Start a run under torchrun and kill some of its processes once its parts hold so many bytes; nothing of it is left running."""
    command = [*LAUNCH, *FLAGS, "--out", str(folder), "--resume"]
    running = subprocess.Popen(command, env=ONE_THREAD, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    while running.poll() is None and sum(part.stat().st_size for part in parts_of(folder)) <= size:
        time.sleep(0.0005)
    for process in victims(folder, running.pid):
        with suppress(ProcessLookupError):
            os.kill(process, signal.SIGKILL)
    running.wait(120)
    kill_all(folder)


def parts_of(folder: Path) -> list[Path]:
    return [part for part in folder.glob("samples.*.jsonl") if part.exists()]


def everyone(folder: Path, launcher: int) -> list[int]:
    return started_with(folder)


def one_worker(folder: Path, launcher: int) -> list[int]:
    return [process for process in started_with(folder) if process != launcher][:1]


def torchrun_itself(folder: Path, launcher: int) -> list[int]:
    return [launcher]


LAUNCH = [sys.executable, "-m", "torch.distributed.run", "--nproc_per_node", "2", *COMMAND[1:]]
ONE_THREAD = {**os.environ, "OMP_NUM_THREADS": "1"}
KILLS = int(os.environ.get("KILLS", "4"))
"""How often runs of one process are killed; those of two a bit more than half as often."""


@pytest.mark.slow
@pytest.mark.skipif(not Path("/proc/self/cmdline").exists(), reason="finds the workers in /proc")
@pytest.mark.parametrize("victims", [everyone, one_worker, torchrun_itself])
def test_two_processes_killed_and_resumed(
    victims: Callable[[Path, int], list[int]], whole: Path, tmp_path: Path
) -> None:
    """The parts of both are taken up, by two processes again and by one, to the same texts."""
    total = (whole / "samples.jsonl").stat().st_size
    for seed in range(max(1, KILLS // 5)):
        folder = tmp_path / f"run{seed}"
        killed_launch(folder, random.Random(seed).randrange(total), victims)
        again = [*(LAUNCH if seed % 2 else COMMAND), *FLAGS, "--out", str(folder), "--resume"]
        subprocess.run(again, check=True, env=ONE_THREAD, capture_output=True)
        assert Run.load(folder).complete
        assert texts_of(folder) == texts_of(whole)


def test_parts_of_several_processes_become_one_file(whole: Path, tmp_path: Path) -> None:
    folder = stopped_at(whole, tmp_path / "cut", 0)
    lines = (whole / "samples.jsonl").read_bytes().splitlines(keepends=True)
    (folder / "samples.0.jsonl").write_bytes(b"".join(lines[:5]) + lines[5][:20])
    (folder / "samples.1.jsonl").write_bytes(b"".join(lines[3:9]))
    assert len(recover(Run(folder)).done) == 9
    assert not list(folder.glob("samples.*.jsonl"))
    run_experiment(config_in(folder), resume=True)
    assert_equal_runs(folder, whole)


def test_work_is_split_by_plan() -> None:
    shares = [list(Processes(rank, 3).share(range(8))) for rank in range(3)]
    assert shares == [[0, 3, 6], [1, 4, 7], [2, 5]]


def test_results_as_a_dataset_and_a_table(whole: Path) -> None:
    run = Run.load(whole)
    assert sorted(run.to_pandas()["text"]) == sorted(sample.text for sample in run.samples)
    rows = load_dataset("parquet", data_files=str(whole / "samples.parquet"), split="train", streaming=True)
    assert next(iter(rows))["sample_id"] == 0
    assert set(run.metrics) == {sample.policy for sample in run.samples}


@pytest.mark.slow
def test_two_processes_give_the_samples_of_one(whole: Path, tmp_path: Path) -> None:
    command = [*LAUNCH, *FLAGS, "--out", str(tmp_path / "two")]
    subprocess.run(command, check=True, env=ONE_THREAD, capture_output=True)
    assert texts_of(tmp_path / "two") == texts_of(whole)


@pytest.mark.slow
def test_kills_at_random_moments(whole: Path, tmp_path: Path) -> None:
    """Kill -9 at random moments while samples are being written, and once more in between."""
    total = (whole / "samples.jsonl").stat().st_size
    for seed in range(KILLS):
        folder, size = tmp_path / f"run{seed}", random.Random(seed).randrange(total)
        process = subprocess.Popen(
            [*COMMAND, *FLAGS, "--out", str(folder), "--resume"],
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            env={**os.environ, "OMP_NUM_THREADS": str(torch.get_num_threads())},
        )
        samples = folder / "samples.jsonl"
        while process.poll() is None and not (samples.exists() and samples.stat().st_size >= size):
            time.sleep(0.0005)
        process.kill()
        process.wait()
        run_experiment(config_in(folder), resume=True)
        assert_equal_runs(folder, whole)
