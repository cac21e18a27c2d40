"""Runs on a real Ray cluster of two nodes on this machine: the texts of one process, whatever is lost on the way."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from temp_processors.config.loading import load_config
from temp_processors.experiment.run import run_experiment
from temp_processors.runs.folder import Run
from tests.models import tiny_llama, tiny_tokenizer
from tests.paths import ROOT

pytestmark = [pytest.mark.slow, pytest.mark.ray, pytest.mark.filterwarnings("default")]
pytest.importorskip("ray", reason="Ray is not in this environment: scripts/setup_ray.sh makes one")

SETTINGS = ["samples_per_prompt=60", "batch_size=16"]
SAME = ("stack.json", "samples.parquet", "metrics.json", "comparison.csv", "traces.parquet", "DONE")
"""Files of the folder that hold the same bytes however a run was drawn."""


@pytest.fixture(scope="module")
def cluster() -> Iterator[Any]:
    """A head with one processor and a port for ray://, and one other node."""
    os.environ["RAY_USAGE_STATS_ENABLED"] = "0"
    from ray.cluster_utils import Cluster

    paths, os.environ["PYTHONPATH"] = os.environ.get("PYTHONPATH"), str(ROOT)
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    head = {"num_cpus": 1, "include_dashboard": False, "ray_client_server_port": port}
    cluster = Cluster(initialize_head=True, head_node_args=head)
    cluster.client = f"ray://127.0.0.1:{port}"
    cluster.other = cluster.add_node(num_cpus=1)
    yield cluster
    cluster.shutdown()
    os.environ.pop("PYTHONPATH")
    if paths is not None:
        os.environ["PYTHONPATH"] = paths


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The run in one process."""
    return run_experiment(load_config("fox", SETTINGS, out=tmp_path_factory.mktemp("runs") / "whole")).path


def started(address: str, out: Path, *more: str) -> subprocess.Popen[str]:
    launcher = f"launcher={{kind: ray, address: '{address}', workers: 2}}"
    settings = [word for setting in (*SETTINGS, launcher, *more) for word in ("--set", setting)]
    command = [
        sys.executable,
        "-m",
        "temp_processors",
        "run",
        "fox",
        "--no-report",
        "--quiet",
        "--out",
        str(out),
        *settings,
    ]
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"}
    return subprocess.Popen(
        command, env=environment, stderr=subprocess.PIPE, stdout=subprocess.PIPE, text=True, start_new_session=True
    )


def ended(process: subprocess.Popen[str]) -> tuple[int, str]:
    said = process.communicate(timeout=240)[1]
    assert "Traceback" not in said, said
    return process.returncode, said


def when_texts_are_there(process: subprocess.Popen[str], out: Path, count: int, act: Callable[[], Any]) -> None:
    """Do something in the middle of a run."""
    end = time.monotonic() + 120
    samples = out / "samples.jsonl"
    while not samples.exists() or samples.read_bytes().count(b"\n") < count:
        assert process.poll() is None, process.communicate()
        assert time.monotonic() < end
        time.sleep(0.02)
    act()


def assert_same(out: Path, whole: Path) -> None:
    lines = (out / "samples.jsonl").read_bytes().splitlines()
    assert sorted(lines) == sorted((whole / "samples.jsonl").read_bytes().splitlines())
    for name in SAME:
        assert (out / name).read_bytes() == (whole / name).read_bytes(), name


def test_two_workers_and_one_that_is_killed(cluster: Any, whole: Path, tmp_path: Path) -> None:
    out = tmp_path / "run"
    process = started(cluster.address, out)
    when_texts_are_there(process, out, 16, lambda: os.kill(workers_at_work()[0], signal.SIGKILL))
    assert ended(process)[0] == 0
    assert_same(out, whole)


def test_an_interrupted_run_goes_on_without_a_launcher(cluster: Any, whole: Path, tmp_path: Path) -> None:
    out = tmp_path / "run"
    process = started(cluster.address, out)
    when_texts_are_there(process, out, 16, lambda: process.send_signal(signal.SIGINT))
    code, said = ended(process)
    assert code == 130
    assert "go on with the same command and --resume" in said
    assert not Run(out).complete
    run_experiment(load_config("fox", SETTINGS, out=out), resume=True)
    assert_same(out, whole)


def test_by_the_address_of_a_client(cluster: Any, whole: Path, tmp_path: Path) -> None:
    out = tmp_path / "run"
    assert ended(started(cluster.client, out)) == (0, "")
    assert_same(out, whole)


def test_a_client_whose_server_dies_at_its_start_is_connected_again(cluster: Any, whole: Path, tmp_path: Path) -> None:
    before = servers_of_clients()
    out = tmp_path / "run"
    process = started(cluster.client, out)
    end = time.monotonic() + 120
    while not (new := servers_of_clients() - before):
        assert process.poll() is None, process.communicate()
        assert time.monotonic() < end
        time.sleep(0.02)
    os.kill(new.pop(), signal.SIGKILL)
    assert ended(process) == (0, "")
    assert_same(out, whole)


def test_a_policy_whose_rows_depend_on_each_other(cluster: Any, tmp_path: Path) -> None:
    power = [
        "policies=[{name: p, kind: power, alpha: 2.0, particles: 4}]",
        "samples_per_prompt=6",
        "max_new_tokens=16",
        "batch_size=4",
    ]
    one = run_experiment(load_config("fox", power, out=tmp_path / "one")).path
    assert ended(started(cluster.address, tmp_path / "two", *power)) == (0, "")
    assert_same(tmp_path / "two", one)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        (["launcher.options={resources: {gold: 1}}"], "no node of the cluster can hold a worker with CPU 1, gold 1, and none has any gold"),
        (["launcher.options={num_gpus: 1}"], "launcher.options: no node of the cluster can hold a worker with CPU 1, GPU 1"),
        (["launcher.options={gpus: 1}"], "launcher.options: Ray does not take them: Invalid option keyword gpus for actors"),
        (["launcher.init={gold: 1}"], "launcher.init: no connection to a Ray cluster: "),
        (["launcher.address=nonsense"], "launcher.address: no connection to a Ray cluster at 'nonsense': Invalid address format"),
        (["launcher.options={num_cpus: 2}", "launcher.autoscaling=true", "launcher.wait=3.0"], "launcher: no worker was ready within 3 s"),
        (["launcher.options={runtime_env: {py_executable: /nowhere/python}}", "launcher.wait=30.0"], "launcher: "),
    ],
    ids=lambda value: value[0] if isinstance(value, list) else "",
)  # fmt: skip
def test_mistakes_are_one_line(settings: list[str], message: str, cluster: Any, tmp_path: Path) -> None:
    code, said = ended(started(cluster.address, tmp_path / "run", *settings))
    assert code == 2
    assert message in said
    assert said.count("\n") == 1, said
    assert not (tmp_path / "run" / "samples.jsonl").exists()


def test_a_worker_that_cannot_load_the_model_is_one_line(cluster: Any, tmp_path: Path) -> None:
    tiny_llama().save_pretrained(tmp_path / "model")
    tiny_tokenizer().save_pretrained(tmp_path / "model")
    (tmp_path / "model" / "model.safetensors").write_bytes(b"cut off")
    code, said = ended(started(cluster.address, tmp_path / "run", f"model={tmp_path / 'model'}"))
    assert code == 2
    assert said.startswith("model: ")
    assert " (a worker on " in said
    assert said.count("\n") == 1, said


def test_a_node_is_removed_in_the_middle(cluster: Any, whole: Path, tmp_path: Path) -> None:
    """The last test of this file: afterwards the cluster has one node."""
    out = tmp_path / "run"
    process = started(cluster.address, out)
    when_texts_are_there(process, out, 16, lambda: cluster.remove_node(cluster.other))
    assert ended(process)[0] == 0
    assert_same(out, whole)


def workers_at_work() -> list[int]:
    """Process ids of actors of this package, by the title that Ray gives its processes."""
    found = [process for process, command in commands() if command.startswith(b"ray::Worker")]
    assert found
    return found


def servers_of_clients() -> set[int]:
    """Process ids of what a head starts for each client of ray://."""
    return {process for process, command in commands() if b"--mode=specific-server" in command}


def commands() -> Iterator[tuple[int, bytes]]:
    """The processes of this machine, each with its command line."""
    for place in Path("/proc").iterdir():
        try:
            command = (place / "cmdline").read_bytes() if place.name.isdecimal() else b""
        except OSError:
            continue
        if command:
            yield int(place.name), command
