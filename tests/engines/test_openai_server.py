"""`engine: openai`: any OpenAI-compatible server, against one on this machine that answers as it is told to, wrongly too."""

from __future__ import annotations

import json
import logging
import math
import socket
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from temp_processors.cli.app import app
from temp_processors.config.experiment import ExperimentConfig
from temp_processors.config.yaml_lines import ConfigError
from temp_processors.engines.engine import ModelError
from temp_processors.engines.openai_probe import TOKENS
from temp_processors.experiment.run import run_experiment
from temp_processors.runs.folder import Run
from temp_processors.runs.sample import Sample
from tests.engines.faulty_server import FAULTS, Fault, error, raw, whole
from tests.engines.openai_fake import FakeServer, serving

WARM = {"name": "warm", "kind": "fixed", "temperature": 0.7}
KEPT = "kept: go on with --resume"


@pytest.fixture
def server() -> Iterator[FakeServer]:
    with serving() as started:
        yield started


def config_at(address: str | list[str], folder: Path, **changes: Any) -> ExperimentConfig:
    options = {"concurrency": 3, "retries": 1, "retry_wait": 0.001, "timeout": 20.0}
    data = {
        "name": "served",
        "model": "small",
        "prompts": ["The quick brown fox", "The lazy dog"],
        "samples_per_prompt": 3,
        "max_new_tokens": 6,
        "policies": [WARM],
        "metrics": ["distinct_1", "perplexity"],
        "engine": "openai",
        "base_url": address,
        "out": str(folder),
        **changes,
    }
    return ExperimentConfig.model_validate({**data, "engine_options": {**options, **changes.get("engine_options", {})}})


def texts(folder: Path) -> list[Sample]:
    return sorted(Run(folder).samples, key=lambda sample: sample.key)


def of_run(server: FakeServer) -> list[dict[str, Any]]:
    """The requests of the run itself, without those of the probe."""
    lengths = [(body, body.get("max_tokens", body.get("options", {}).get("num_predict"))) for body in server.bodies]
    return [body for body, most in lengths if most != TOKENS]


def test_a_run(server: FakeServer, tmp_path: Path) -> None:
    run = run_experiment(config_at(server.address, tmp_path / "run"))
    samples = texts(run.path)
    assert [sample.text for sample in samples] == [
        "".join(f" {word}" for word in server.words({"prompt": s.prompt, "seed": s.seed, "max_tokens": 6}))
        for s in samples
    ]
    assert {sample.token_ids for sample in samples} == {None}
    assert [sample.log_prob for sample in samples] == [-1.25 * sample.tokens for sample in samples if sample.tokens]
    scores = json.loads((run.path / "metrics.json").read_text())["policies"]["warm"]
    assert scores["perplexity"]["value"] == pytest.approx(math.exp(1.25))
    (body, *_) = of_run(server)
    assert {name: body[name] for name in ("model", "temperature", "top_p", "max_tokens")} == {
        "model": "small", "temperature": 0.7, "top_p": 1.0, "max_tokens": 6,
    }  # fmt: skip
    assert set(server.paths) == {"/v1/completions"}
    findings = json.loads((run.path / "stack.json").read_text())["policies"]["warm"]["findings"]
    assert [finding["code"] for finding in findings] == ["no-token-ids"]


@pytest.fixture(scope="module")
def whole_run(tmp_path_factory: pytest.TempPathFactory) -> list[Sample]:
    folder = tmp_path_factory.mktemp("served") / "run"
    with serving() as server:
        run_experiment(config_at(server.address, folder))
    return texts(folder)


def changed(said: str, change: Callable[[dict[str, Any]], Any]) -> Fault:
    """A good answer, changed in place."""

    def does(handler: Any, body: dict[str, Any]) -> None:
        answer = handler.server.good(body, handler.path)
        change(answer)
        handler.json(answer)

    return Fault(does, said)


def of_bytes(said: str, change: Callable[[bytes], bytes]) -> Fault:
    def does(handler: Any, body: dict[str, Any]) -> None:
        answer = handler.server.good(body, handler.path)
        answer["choices"][0]["text"] += " \U0001f98a"
        handler.bytes(change(json.dumps(answer, ensure_ascii=False).encode()))

    return Fault(does, said)


def choice(said: str, **values: Any) -> Fault:
    return changed(said, lambda answer: answer["choices"][0].update(values))


def without_log_probs(said: str, tokens: int, **values: Any) -> Fault:
    def change(answer: dict[str, Any]) -> None:
        answer["usage"] = {"completion_tokens": tokens}
        del answer["choices"][0]["logprobs"]
        answer["choices"][0] |= values

    return changed(said, change)


FOX = "\U0001f98a".encode()
AS_VLLM = (
    "connection closed", "connection reset", "another protocol", "a hang", "a byte now and then", "chunks that are none",
    "gzip that is none", "429", "429, later", "429, at once", "429, a date", "500", "502, HTML", "503, empty", "529", "400", "413", "422",
    "a model that is not there", "301", "HTML", "an empty body", "nested deep", "control characters", "an error with 200", "a list", "null",
    "no choices", "empty choices", "null choices",
)  # fmt: skip
WRONG: dict[str, Fault] = {
    **{name: FAULTS[name] for name in AS_VLLM},
    "401": error(401, "No", "401: No (a key is read from the environment variable OPENAI_API_KEY)", 1, of_all=True),
    "cut JSON": of_bytes("the answer is no JSON (EOF", lambda content: content[: len(content) // 2]),
    "half a character": of_bytes(
        "the answer is no JSON (invalid unicode", lambda content: content.replace(FOX, FOX[:2])
    ),
    "half an escape": raw("the answer is no JSON", b'{"choices": [{"text": "\\ud83e", "finish_reason": "stop"}]}'),
    "two texts": changed(
        "2 texts where 1 were asked for", lambda answer: answer["choices"].append(answer["choices"][0])
    ),
    "no text": changed("the answer has no text", lambda answer: answer["choices"][0].pop("text")),
    "null text": choice("the answer has no text", text=None),
    "a text of another kind": choice("choices.0.text: has to be a valid string, but is 5", text=5),
    "no finish_reason": choice("choices.0.finish_reason: has to be a valid string, but is None", finish_reason=None),
    "content_filter": choice("finish_reason is 'content_filter'", finish_reason="content_filter"),
    "too many tokens": without_log_probs("99 tokens where at most 6", 99),
    "cut short": without_log_probs("the text ends after 2 of 6 tokens", 2, finish_reason="length"),
    "counts that differ": changed(
        "log-probabilities for 60 tokens", lambda answer: answer.update(usage={"completion_tokens": 60})
    ),
    "NaN": choice("token_logprobs.0: has to be a finite number", logprobs={"token_logprobs": [float("nan")]}),
    "above 0": changed(
        "a log-probability is 0.5, above 0",
        lambda answer: answer["choices"][0]["logprobs"]["token_logprobs"].__setitem__(0, 0.5),
    ),
    "a text for an object": whole("the answer: has to be", "text"),
}


QUICK = ["half an escape", "a model that is not there"]


def check(fault: Fault, server: FakeServer, folder: Path, whole_run: list[Sample]) -> None:
    """One text of six always meets the fault; then the server is mended and the run goes on."""
    victim = whole_run[1]
    server.fault, server.hits = fault.does, lambda seed, earlier: seed == victim.seed
    with pytest.raises(ModelError) as told:
        run_experiment(config_at(server.address, folder, engine_options=fault.options))
    message = str(told.value)
    assert fault.said in message
    assert "\n" not in message
    assert KEPT in message
    assert sum(body["seed"] == victim.seed for body in server.bodies) == fault.tries
    kept = texts(folder)
    assert [sample for sample in whole_run if sample in kept] == kept
    if not fault.of_all:
        assert "1 of 6 texts could not be drawn: policy 'warm', prompt 0, sample 1: base_url: " in message
        assert len(kept) == 5
    server.heal()
    assert run_experiment(config_at(server.address, folder), resume=True).complete
    assert texts(folder) == whole_run
    assert len(of_run(server)) == 6 - len(kept)


@pytest.mark.parametrize("name", QUICK)
def test_a_fault(name: str, server: FakeServer, tmp_path: Path, whole_run: list[Sample]) -> None:
    check(WRONG[name], server, tmp_path / "run", whole_run)


@pytest.mark.slow
@pytest.mark.parametrize("name", [name for name in WRONG if name not in QUICK])
def test_another_fault(name: str, server: FakeServer, tmp_path: Path, whole_run: list[Sample]) -> None:
    check(WRONG[name], server, tmp_path / "run", whole_run)


def test_a_model_that_is_not_served(server: FakeServer, tmp_path: Path) -> None:
    with pytest.raises(ModelError, match="serves small, but not 'large'"):
        run_experiment(config_at(server.address, tmp_path / "run", model="large"))
    assert server.bodies == []


@pytest.mark.parametrize(
    ("server_kind", "policy", "said"),
    [
        ("openai", {"kind": "min_p", "min_p": 0.1}, "cannot carry it: min_p (min_p 0.1) has no counterpart in OpenAI's API"),
        ("openai", {"kind": "fixed", "temperature": 2.5}, "temperature 2.5: OpenAI's API takes at most 2"),
        ("openai", {"kind": "scheduled", "shape": "linear", "start": 1.0, "end": 0.5, "steps": 9}, "scheduled ("),
        ("llama.cpp", {"kind": "edt", "temperature": 1.0, "theta": 0.5}, "llama.cpp's server cannot carry it: edt"),
        ("ollama", {"kind": "dynamic", "temperature": 1.0, "range": 0.5}, "has no counterpart in Ollama"),
        ("vllm", {"kind": "dynamic", "temperature": 1.0, "range": 0.5}, "dynamic is no plain number; `engine: vllm` carries it"),
    ],
)  # fmt: skip
def test_a_policy_that_the_server_cannot_carry(
    server_kind: str, policy: dict[str, Any], said: str, server: FakeServer, tmp_path: Path
) -> None:
    """Refused by name before anything is sent."""
    config = config_at(
        server.address,
        tmp_path / "run",
        policies=[WARM, {"name": "other", **policy}],
        engine_options={"server": server_kind},
    )
    with pytest.raises(ConfigError) as told:
        run_experiment(config)
    assert "policy 'other'" in str(told.value)
    assert said in str(told.value)
    assert server.headers_seen == []


TRUNCATED = {
    "name": "cut",
    "kind": "chain",
    "steps": [{"kind": "min_p", "min_p": 0.05}, {"kind": "dynamic", "temperature": 0.8, "range": 0.3}],
}


@pytest.mark.slow
@pytest.mark.parametrize(
    ("kind", "ignores", "codes", "said"),
    [
        ("openai", {"temperature"}, ["server-temperature"], "temperature: has no effect: two seeds gave two texts at T = 0"),
        ("openai", {"temperature", "seed"}, ["server-temperature"], "temperature: has no effect: a text at T = 2 is the one at T = 0"),
        ("openai", {"seed"}, ["server-seed"], "seed: has no effect: two seeds gave one text"),
        ("llama.cpp", {"min_p"}, ["server-ignored"], "min_p: has no effect"),
        ("llama.cpp", {"dynatemp_exponent"}, ["server-ignored"], "dynatemp_range and dynatemp_exponent: has no effect"),
        ("llama.cpp", {"samplers"}, ["server-ignored"], "samplers: has no effect: cuts and temperature act in the server's own order"),
        ("llama.cpp", set(), [], ""),
    ],
)  # fmt: skip
def test_what_the_server_ignores_is_said(
    kind: str, ignores: set[str], codes: list[str], said: str, server: FakeServer, tmp_path: Path
) -> None:
    server.ignores = ignores
    policies = [WARM] if kind == "openai" else [TRUNCATED, WARM]
    config = config_at(server.address, tmp_path / "run", policies=policies, engine_options={"server": kind})
    run = run_experiment(config)
    findings = json.loads((run.path / "stack.json").read_text())["policies"]["warm"]["findings"]
    warned = [finding for finding in findings if finding["severity"] == "warning"]
    assert [finding["code"] for finding in warned] == codes
    assert all(said in finding["message"] for finding in warned)


@pytest.mark.slow
@pytest.mark.parametrize("told", [None, "after"])
def test_without_log_probabilities_perplexity_is_undefined(
    told: str | None, server: FakeServer, tmp_path: Path
) -> None:
    server.log_probs = told
    (tmp_path / "served.yaml").write_text(config_at(server.address, tmp_path / "run").to_yaml())
    done = CliRunner().invoke(app, ["run", str(tmp_path / "served.yaml")])
    assert done.exit_code == 0, done.output
    why = "the server does not tell it" if told is None else "the server tells it behind the temperature"
    assert f"info: log_prob: null, and no perplexity: {why}" in done.output
    assert "no traces: the server tells no token ids" in done.output
    assert {sample.log_prob for sample in texts(tmp_path / "run")} == {None}
    assert "text 0 has no log-probability: what drew it tells none" in (tmp_path / "run" / "metrics.json").read_text()
    again = CliRunner().invoke(app, ["run", str(tmp_path / "served.yaml"), "--resume"])
    assert again.exit_code == 0, again.output


@pytest.mark.slow
def test_chats_and_stop_texts(server: FakeServer, tmp_path: Path) -> None:
    config = config_at(server.address, tmp_path / "run", system_prompt="Be brief.", stop=[" fox", " dog"])
    samples = texts(run_experiment(config).path)
    assert set(server.paths) == {"/v1/chat/completions"}
    messages = [{"role": "system", "content": "Be brief."}, {"role": "user", "content": "The lazy dog"}]
    assert messages in [body["messages"] for body in of_run(server)]
    assert all(body["stop"] == [" fox", " dog"] for body in of_run(server))
    assert not [sample for sample in samples if " fox" in sample.text or " dog" in sample.text]


def test_ollama_takes_its_options_by_its_own_api(server: FakeServer, tmp_path: Path) -> None:
    server.models = ["small:latest"]
    policy = {
        "name": "cut",
        "kind": "chain",
        "steps": [{"kind": "top_k", "top_k": 20}, {"kind": "fixed", "temperature": 0.8}],
    }
    config = config_at(server.address, tmp_path / "run", policies=[policy], engine_options={"server": "ollama"})
    assert all(sample.tokens and sample.log_prob is None for sample in texts(run_experiment(config).path))
    assert set(server.paths) == {"/api/generate"}
    (body, *_) = of_run(server)
    assert {"top_k": 20, "temperature": 0.8, "num_predict": 6}.items() <= body["options"].items()
    assert body["model"] == "small:latest"


@pytest.mark.slow
def test_n_texts_of_one_request_and_those_that_are_missing_are_asked_for_again(
    server: FakeServer, tmp_path: Path
) -> None:
    server.fewer = 1
    config = config_at(server.address, tmp_path / "run", engine_options={"n": 3})
    samples = texts(run_experiment(config).path)
    assert len(samples) == 6
    assert sorted(body.get("n", 1) for body in of_run(server)) == [1, 1, 3, 3]


def test_servers_share_the_work_and_a_dead_one_is_survived(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, whole_run: list[Sample]
) -> None:
    with serving() as one, serving() as other:
        calls = iter(range(100))
        other.fault, other.hits = FAULTS["connection closed"].does, lambda seed, earlier: next(calls) >= 8
        config = config_at([one.address, other.address], tmp_path / "run", engine_options={"concurrency": 1})
        assert run_experiment(config).complete
        assert texts(tmp_path / "run") == whole_run
        assert of_run(other)
        assert f"goes on without a server: base_url: {other.address}" in caplog.text


@pytest.mark.slow
def test_a_server_that_is_dead_from_the_start(
    server: FakeServer, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        dead = f"http://127.0.0.1:{free.getsockname()[1]}/v1"
    assert run_experiment(config_at([dead, server.address], tmp_path / "run")).complete
    assert f"goes on without a server: base_url: {dead}" in caplog.text


@pytest.mark.slow
def test_both_servers_die(tmp_path: Path) -> None:
    with serving() as one, serving() as other:
        for each in (one, other):
            each.fault, each.hits = FAULTS["connection closed"].does, lambda seed, earlier: seed > 100
        with pytest.raises(ModelError, match=KEPT):
            run_experiment(config_at([one.address, other.address], tmp_path / "run"))


@pytest.mark.slow
def test_one_pool_over_the_whole_run(server: FakeServer, tmp_path: Path) -> None:
    """A slow text holds up its own place in the pool: all others are done before it is."""

    def slow(handler: Any, body: dict[str, Any]) -> None:
        while len(of_run(server)) < 6:
            time.sleep(0.01)
        handler.json(server.good(body, handler.path))

    server.fault, server.hits = (
        slow,
        lambda seed, earlier: seed == of_run(server)[0]["seed"] if of_run(server) else False,
    )
    config = config_at(server.address, tmp_path / "run", batch_size=1, engine_options={"concurrency": 2})
    assert run_experiment(config).complete


@pytest.mark.slow
def test_keys_come_from_the_environment_alone(
    server: FakeServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", "sk-12345")
    caplog.set_level(logging.DEBUG)
    run_experiment(config_at(server.address, tmp_path / "run"))
    assert {headers.get("Authorization") for headers in server.headers_seen} == {"Bearer sk-12345"}
    written = [path.read_bytes() for path in (tmp_path / "run").rglob("*") if path.is_file()]
    assert not [content for content in (*written, caplog.text.encode()) if b"sk-12345" in content]


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"base_url": None}, "`base_url` has to be given with `engine: openai`"),
        ({"base_url": ["http://a/v1", "http://a/v1"]}, "names http://a/v1 twice"),
        ({"base_url": []}, "at least 1 item"),
        ({"tokenizer": "model"}, "`tokenizer` cannot be 'model' with `engine: openai`"),
        ({"coupled": True}, "which draws by itself"),
        ({"model": {"name": "small", "dtype": "float16"}}, "allowed with openai: name"),
        ({"engine_options": {"dtype": "float32"}}, "cannot change a running server"),
        ({"engine_options": {"server": "ollama", "n": 2}}, "`engine_options.n` has to be 1"),
        ({"engine": "vllm", "engine_options": {"n": 2}}, "`engine_options.n` is for `engine: openai`"),
        ({"policies": [{"name": "c", "kind": "checkpoint"}]}, "`kind: checkpoint` needs the files of the model"),
    ],
)
def test_settings_that_do_not_go_together(changes: dict[str, Any], said: str, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=said):
        config_at("http://a/v1", tmp_path / "run", **changes)
