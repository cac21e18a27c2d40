"""A server that answers wrongly: the fault is named and asked again, every text that was obtained is kept, and `--resume` ends with the
texts of a server without faults."""

from __future__ import annotations

import json
import logging
import signal
import socket
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from temp_processors.cli.app import app
from temp_processors.config.experiment import ExperimentConfig
from temp_processors.engines.engine import ModelError
from temp_processors.experiment.run import run_experiment
from temp_processors.runs.folder import Run
from temp_processors.runs.sample import Sample
from tests.engines.faulty_server import FAULTS, MODELS, Fault, FaultyServer, serving

QUICK = [
    "connection reset", "a hang", "gzip that is none", "longer than sent", "429, a date", "503, empty", "400", "401", "301", "HTML",
    "cut JSON", "half a character", "an error with 200", "null token_ids", "one log-prob", "NaN", "token 1e9", "content_filter",
]  # fmt: skip
OTHERS = [name for name in FAULTS if name not in QUICK]


@pytest.fixture
def server() -> Iterator[FaultyServer]:
    with serving() as started:
        yield started


def config_at(server: FaultyServer, folder: Path, **options: Any) -> ExperimentConfig:
    return ExperimentConfig.model_validate(
        {
            "name": "served",
            "prompts": ["The quick brown fox", "The lazy dog"],
            "samples_per_prompt": 3,
            "max_new_tokens": 6,
            "policies": [{"name": "T=0.5", "kind": "fixed", "temperature": 0.5}],
            "metrics": ["distinct_1"],
            "traces": False,
            "engine": "vllm",
            "base_url": f"http://{server.address}/v1",
            "engine_options": {"concurrency": 3, "retries": 1, "retry_wait": 0.001, "timeout": 20.0, **options},
            "out": str(folder),
        }
    )


def texts(folder: Path) -> list[Sample]:
    return sorted(Run(folder).samples, key=lambda sample: sample.key)


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> list[Sample]:
    """The texts of a server without faults."""
    folder = tmp_path_factory.mktemp("served") / "run"
    with serving() as server:
        run_experiment(config_at(server, folder))
        assert sorted(server.paths) == ["/v1/completions"] * 6
    return texts(folder)


def check(fault: Fault, server: FaultyServer, folder: Path, whole: list[Sample]) -> None:
    """One text of six always meets the fault; then the server is mended and the run goes on."""
    victim = whole[1]
    server.fault, server.hits = fault.does, lambda seed, earlier: seed == victim.seed
    with pytest.raises(ModelError) as told:
        run_experiment(config_at(server, folder, **fault.options))
    message = str(told.value)
    assert fault.said in message
    assert "\n" not in message
    assert "kept: go on with --resume" in message
    assert sum(body["seed"] == victim.seed for body in server.bodies) == fault.tries
    kept = texts(folder)
    assert [sample for sample in whole if sample in kept] == kept
    if not fault.of_all:
        assert "1 of 6 texts could not be drawn: policy 'T=0.5', prompt 0, sample 1: base_url: " in message
        assert len(kept) == 5
    server.heal()
    assert run_experiment(config_at(server, folder), resume=True).complete
    assert texts(folder) == whole
    asked = [body["seed"] for body in server.bodies]
    assert {sample.seed for sample in whole if sample not in kept} <= set(asked)
    if not fault.of_all:  # else requests that were given up may reach the server after it is mended
        assert len(asked) == 6 - len(kept)


@pytest.mark.parametrize("name", QUICK)
def test_a_fault(name: str, server: FaultyServer, tmp_path: Path, whole: list[Sample]) -> None:
    check(FAULTS[name], server, tmp_path / "run", whole)


@pytest.mark.slow
@pytest.mark.parametrize("name", OTHERS)
def test_another_fault(name: str, server: FaultyServer, tmp_path: Path, whole: list[Sample]) -> None:
    check(FAULTS[name], server, tmp_path / "run", whole)


def test_there_are_enough_faults() -> None:
    assert len(FAULTS) >= 60
    assert set(QUICK) <= set(FAULTS)


@pytest.mark.parametrize("name", ["503, empty", "cut JSON"])
def test_a_fault_that_passes_is_no_fault(name: str, server: FaultyServer, tmp_path: Path, whole: list[Sample]) -> None:
    """The first try of every text fails."""
    server.fault, server.hits = FAULTS[name].does, lambda seed, earlier: earlier == 0
    assert run_experiment(config_at(server, tmp_path / "run", concurrency=6)).complete
    assert texts(tmp_path / "run") == whole
    assert len(server.bodies) == 12


@pytest.mark.parametrize("name", MODELS)
def test_a_wrong_list_of_models(name: str, server: FaultyServer, tmp_path: Path) -> None:
    server.models_fault = MODELS[name].does
    with pytest.raises(ModelError) as told:
        run_experiment(config_at(server, tmp_path / "run"))
    assert MODELS[name].said in str(told.value)
    assert "\n" not in str(told.value)
    assert server.bodies == []


def test_a_server_that_is_gone_ends_the_run_at_once(server: FaultyServer, tmp_path: Path, whole: list[Sample]) -> None:
    """Four texts come; then nothing does, and the other two are not asked for in vain one after another."""
    calls = 0

    def dying(seed: int, earlier: int) -> bool:
        nonlocal calls
        calls += 1
        return calls > 4

    server.fault, server.hits = FAULTS["connection closed"].does, dying
    with pytest.raises(ModelError, match=r"asked 2 times\); what was drawn is kept: go on with --resume"):
        run_experiment(config_at(server, tmp_path / "run", concurrency=1))
    assert len(server.bodies) == 6
    assert len(texts(tmp_path / "run")) == 4
    server.heal()
    run_experiment(config_at(server, tmp_path / "run"), resume=True)
    assert texts(tmp_path / "run") == whole


def test_nobody_listens(tmp_path: Path) -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    server = type("Nobody", (), {"address": f"127.0.0.1:{port}"})()
    with pytest.raises(ModelError, match=r"base_url: http://127.0.0.1:\d+/v1: Cannot connect .*\(asked 2 times\)$"):
        run_experiment(config_at(server, tmp_path / "run"))


def test_one_pool_works_off_the_whole_run(server: FaultyServer, tmp_path: Path) -> None:
    """A slow text holds up its own place in the pool and no batch: all others are done before it is asked again."""
    first = FAULTS["a hang"]
    server.fault, server.hits = first.does, lambda seed, earlier: seed == server.bodies[0]["seed"] and earlier == 0
    config = config_at(server, tmp_path / "run", concurrency=2, timeout=0.5).model_copy(update={"batch_size": 1})
    assert run_experiment(config).complete
    seeds = [body["seed"] for body in server.bodies]
    assert seeds[-1] == seeds[0]
    assert len(seeds) == 7


def test_the_first_sample_of_every_prompt_is_asked_for_first(server: FaultyServer, tmp_path: Path) -> None:
    run_experiment(config_at(server, tmp_path / "run", concurrency=1))
    asked = [tuple(body["prompt"]) for body in server.bodies]
    assert len(set(asked[:2])) == 2


def test_ctrl_c_keeps_what_came(server: FaultyServer, tmp_path: Path, whole: list[Sample]) -> None:
    """While two texts hang; the four others are on disk."""
    hanging = {sample.seed for sample in whole[-2:]}
    (tmp_path / "served.yaml").write_text(config_at(server, tmp_path / "run", concurrency=6).to_yaml())
    server.fault, server.hits = FAULTS["a hang"].does, lambda seed, earlier: seed in hanging

    def interrupt() -> None:
        samples = tmp_path / "run" / "samples.jsonl"
        while not (samples.exists() and samples.read_bytes().count(b"\n") == 4):
            time.sleep(0.01)
        signal.raise_signal(signal.SIGINT)

    waiting = threading.Thread(target=interrupt)
    waiting.start()
    done = CliRunner().invoke(app, ["run", str(tmp_path / "served.yaml"), "--quiet"])
    waiting.join()
    assert done.exit_code == 130
    assert isinstance(done.exception, SystemExit)
    assert "go on with the same command and --resume" in done.stderr
    assert texts(tmp_path / "run") == whole[:4]
    server.heal()
    run_experiment(config_at(server, tmp_path / "run"), resume=True)
    assert texts(tmp_path / "run") == whole


SECRETS = ("hunter2", "sk-12345", "me-myself")
ADDRESSES = {
    "a password": ("http://me-myself:hunter2@{}/v1", {"Authorization": "Basic bWUtbXlzZWxmOmh1bnRlcjI="}, "/v1/completions"),
    "a query": ("http://{}/v1/?key=hunter2", {}, "/v1/completions?key=hunter2"),
    "the environment": ("http://{}/v1", {"Authorization": "Bearer sk-12345"}, "/v1/completions"),
}  # fmt: skip


@pytest.mark.parametrize("kind", ADDRESSES)
def test_keys_are_sent_and_never_shown_or_written(
    kind: str, server: FaultyServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    address, headers, path = ADDRESSES[kind]
    if kind == "the environment":
        monkeypatch.setenv("VLLM_API_KEY", "sk-12345")
    caplog.set_level(logging.DEBUG)
    config = config_at(server, tmp_path / "run").model_dump(mode="json") | {"base_url": address.format(server.address)}
    (tmp_path / "served.yaml").write_text(json.dumps(config))
    command = ["run", str(tmp_path / "served.yaml"), "--out", str(tmp_path / "run")]
    server.fault = lambda handler, body: handler.json({"error": {"message": f"bad keys: {SECRETS}"}}, 401)
    refused = CliRunner().invoke(app, command)
    assert refused.exit_code == 2
    assert isinstance(refused.exception, SystemExit)
    server.heal()
    done = CliRunner().invoke(app, [*command, "--resume"])
    assert done.exit_code == 0, done.output
    sent = server.headers_seen[-1]
    assert {name: sent.get(name) for name in headers} == headers
    assert server.paths[-1] == path
    written = [path.read_bytes() for path in (tmp_path / "run").rglob("*") if path.is_file()]
    shown = (
        refused.output + refused.stderr + done.output + done.stderr + caplog.text + repr(config_of(command))
    ).encode()
    used = [secret for secret in SECRETS if secret in address or (kind == "the environment" and secret == "sk-12345")]
    assert used
    for secret in used:
        assert not [content for content in (*written, shown) if secret.encode() in content], secret


def config_of(command: list[str]) -> ExperimentConfig:
    from temp_processors.config.loading import load_config

    return load_config(command[1])


def test_an_address_of_a_run_folder_is_refused_without_its_key(server: FaultyServer, tmp_path: Path) -> None:
    config = config_at(server, tmp_path / "run").model_dump(mode="json") | {"base_url": "http://***@localhost/v1"}
    with pytest.raises(ModelError, match="was written without its key: give the address itself, or VLLM_API_KEY"):
        run_experiment(ExperimentConfig.model_validate(config))


def test_a_key_that_no_header_can_have(server: FaultyServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("VLLM_API_KEY", "sk-\n12345")
    with pytest.raises(ModelError, match="VLLM_API_KEY: holds characters that no key can have"):
        run_experiment(config_at(server, tmp_path / "run"))
