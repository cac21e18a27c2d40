"""What a launcher needs no Ray for: its settings and their errors, which nodes can hold a worker, and the worker itself."""

from __future__ import annotations

import pickle
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from temp_processors.cli.app import app
from temp_processors.config.experiment import ExperimentConfig
from temp_processors.config.launcher import LauncherSpec, launcher_spec
from temp_processors.config.loading import load_config
from temp_processors.config.yaml_lines import ConfigError, Problem
from temp_processors.engines.engine import DecodeRow, DrawError, DrawOptions, Engine
from temp_processors.engines.load import load_engine
from temp_processors.engines.ray_cluster import asked_of_a_node, connected, nodes_that_hold
from temp_processors.engines.ray_engine import RayEngine
from temp_processors.engines.ray_worker import Ready, Worker
from temp_processors.engines.vllm_local import ENGINE_FIELDS, OPTIONAL_FIELDS
from temp_processors.experiment.run import run_experiment


def node(alive: bool = True, **resources: float) -> dict[str, Any]:
    return {"Alive": alive, "Resources": {"node:10.0.0.1": 1.0, "object_store_memory": 1e9, **resources}}


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ("launcher=slurm", "launcher: has to be 'ray', but is 'slurm'"),
        ("launcher={kind: ray, worker: 2}", "launcher.worker: not a field of 'ray' (did you mean 'workers'?)"),
        ("launcher={kind: ray, workers: 0}", "launcher.workers: has to be greater than or equal to 1"),
        ("launcher={kind: ray, options: {max_restarts: 3}}", "launcher.options: `max_restarts` is the launcher's own"),
        ("launcher={kind: ray, init: {address: auto}}", "launcher.init: `address` stands beside `init`"),
    ],
)
def test_mistakes_are_told_at_their_field(given: str, message: str, tmp_path: Path) -> None:
    with pytest.raises(ConfigError) as told:
        load_config("fox", [given])
    assert message in str(told.value)
    assert "\n" not in str(told.value)


def test_a_server_needs_no_launcher() -> None:
    with pytest.raises(ConfigError, match="`launcher` is for engines in its own processes"):
        load_config("fox", ["launcher=ray", "engine=vllm", "base_url=http://127.0.0.1:8000/v1"])


def test_where_a_run_is_drawn_is_not_in_its_folder() -> None:
    here, there = (
        load_config("fox"),
        load_config("fox", ["launcher={kind: ray, workers: 2, init: {namespace: secret}}"]),
    )
    assert here.to_yaml() == there.to_yaml()
    assert here.launcher is None
    assert there.launcher == LauncherSpec(kind="ray", workers=2, init={"namespace": "secret"})
    assert launcher_spec("ray") == LauncherSpec(kind="ray")


def test_under_torchrun_it_is_refused(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    from temp_processors.experiment import run
    from temp_processors.experiment.processes import LaunchError, Processes

    monkeypatch.setattr(run.Processes, "join", classmethod(lambda cls: Processes(1, 2)))
    with pytest.raises(LaunchError, match="start the command once, without torchrun"):
        run_experiment(load_config("fox", ["launcher=ray"], out=tmp_path / "run"))


@pytest.mark.skipif(find_spec("ray") is not None, reason="Ray is in this environment")
def test_without_ray_it_is_said_what_brings_it(tmp_path: Path) -> None:
    done = CliRunner().invoke(app, ["run", "fox", "--set", "launcher=ray", "--out", str(tmp_path / "run")])
    assert done.exit_code == 2
    assert done.stderr == (
        "launcher: ray cannot be imported (No module named 'ray'): pip install 'temp_processors[ray]'\n"
    )
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize(
    ("options", "asked"),
    [
        ({"num_cpus": 1, "scheduling_strategy": "SPREAD"}, {"CPU": 1}),
        ({"num_cpus": 0, "num_gpus": 0.5}, {"GPU": 0.5}),
        ({"resources": {"gold": 2}, "memory": 10}, {"memory": 10, "gold": 2}),
        ({"accelerator_type": "H200"}, {"accelerator_type:H200": 0.001}),
    ],
)
def test_what_a_worker_asks_of_a_node(options: dict[str, Any], asked: dict[str, float]) -> None:
    assert asked_of_a_node(options) == asked


def test_nodes_that_hold_a_worker() -> None:
    nodes = [node(CPU=8), node(CPU=1), node(CPU=8, GPU=4), node(False, CPU=99)]
    assert nodes_that_hold(nodes, {"num_cpus": 4}, False) == 2
    assert nodes_that_hold(nodes, {"num_gpus": 4}, False) == 1
    assert nodes_that_hold(nodes, {"num_gpus": 8}, True) == 0


def test_nodes_that_hold_none_are_listed() -> None:
    nodes = [node(CPU=8), node(CPU=2, GPU=1)]
    with pytest.raises(ConfigError) as told:
        nodes_that_hold(nodes, {"num_cpus": 1, "resources": {"gold": 1}}, False)
    assert str(told.value) == (
        "the configuration: launcher.options: no node of the cluster can hold a worker with CPU 1, gold 1, and none has any gold; "
        "the nodes have CPU 8; CPU 2, GPU 1 (`autoscaling: true` waits for nodes that are not there yet)"
    )


@pytest.mark.parametrize(
    "error",
    [
        ConfigError([Problem("x.yaml", 3, ("policies", 0), "is wrong"), Problem("x.yaml", None, (), "is worse")]),
        DrawError("2 texts are missing", [(1, "a hang"), (2, "no answer")]),
    ],
    ids=lambda error: type(error).__name__,
)
def test_errors_travel(error: Exception) -> None:
    back = pickle.loads(pickle.dumps(error))
    assert (type(back), str(back), vars(back)) == (type(error), str(error), vars(error))


def small(**changes: Any) -> ExperimentConfig:
    data = {"name": "x", "prompts": ["The quick brown fox"], "max_new_tokens": 6, **changes}
    return ExperimentConfig.model_validate({"policies": [{"name": "one", "kind": "fixed", "temperature": 1.0}], **data})


def test_a_worker_draws_what_its_engine_draws() -> None:
    config = small(stop=["."])
    worker, engine = Worker(config), load_engine(config)
    ready = worker.load()
    assert isinstance(ready, Ready)
    assert ready.described == engine.describe()
    tokenizer, model_config, generation_config = pickle.loads(ready.checkpoint)
    ids = tuple(tokenizer("The quick brown fox")["input_ids"])
    assert (model_config.vocab_size, generation_config.eos_token_id) == (
        engine.model_config.vocab_size,
        engine.generation_config.eos_token_id,
    )
    rows = [DecodeRow(ids, 0, seed) for seed in range(4)]
    found, error = worker.draw(rows)
    assert error is None
    wanted = engine.draw(rows, engine.prepare(config), DrawOptions(config.max_new_tokens, ends=worker._options.ends))
    assert sorted(found) == sorted(wanted)


def test_a_worker_returns_what_a_user_has_to_know(tmp_path: Path) -> None:
    told = Worker(small(model=str(tmp_path))).load()
    assert isinstance(told, ValueError)
    assert "(a worker on " in str(told)
    unknown = {
        "name": "a",
        "kind": "scheduled",
        "shape": "linear",
        "start": 1.0,
        "end": 0.5,
        "steps": 4,
        "reset_ids": [10**6],
    }
    assert isinstance(Worker(small(policies=[unknown])).load(), ConfigError)


def test_it_keeps_the_protocol_of_engines() -> None:
    for name in vars(Engine):
        assert name.startswith("_") or hasattr(RayEngine, name), name


@pytest.mark.parametrize("address", ["127.0.0.1:1", "ray://127.0.0.1:1", "127.0.0.1:99999"])
def test_an_address_that_nobody_answers_at(address: str) -> None:
    pytest.importorskip("ray", reason="Ray is not in this environment: scripts/setup_ray.sh makes one")
    with (
        pytest.raises(ConfigError, match=r"launcher\.address: no Ray cluster answers at") as told,
        connected(LauncherSpec(kind="ray", address=address)),
    ):
        pass
    assert "\n" not in str(told.value)


def test_splitting_one_model_is_passed_to_vllm() -> None:
    splits = {"tensor_parallel_size": 4, "pipeline_parallel_size": 2, "distributed_executor_backend": "ray"}
    config = load_config("fox", ["engine=vllm", *(f"engine_options.{name}={value}" for name, value in splits.items())])
    assert {name: getattr(config.engine_options, name) for name in splits} == splits
    assert set(splits) <= {*ENGINE_FIELDS, *OPTIONAL_FIELDS}


def test_several_copies_are_workers() -> None:
    with pytest.raises(ConfigError, match=r"by `launcher: \{kind: ray, workers: N\}`"):
        load_config("fox", ["engine=vllm", "engine_options.data_parallel_size=2"])
