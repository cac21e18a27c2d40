"""The client of an OpenAI-compatible server, against a small real server on this machine."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, ClassVar

import pytest
from transformers import GenerationConfig

from temp_processors.addresses import Address
from temp_processors.config.experiment import ExperimentConfig
from temp_processors.config.sections import EngineOptions
from temp_processors.engines import pool
from temp_processors.engines.engine import DecodeRow, DrawError, DrawOptions
from temp_processors.engines.requests import Checkpoint
from temp_processors.engines.server import Server, ServerError, retry_after
from temp_processors.engines.vllm_server import ServerEngine
from tests.models import tiny_llama

OPTIONS = EngineOptions(concurrency=3, retries=2, retry_wait=0.01, timeout=10.0)
POLICY = {"kind": "fixed", "temperature": 0.5}


class Handler(BaseHTTPRequestHandler):
    """Answers with the prompt's tokens; the first tries of each request may be refused."""

    busy: ClassVar[int] = 0
    seen: ClassVar[list[dict[str, Any]]] = []
    now: ClassVar[int] = 0
    most: ClassVar[int] = 0
    lock: ClassVar[threading.Lock] = threading.Lock()

    def do_POST(self) -> None:
        with self.lock:
            Handler.now += 1
            Handler.most = max(Handler.most, Handler.now)
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        earlier = sum(other["seed"] == body["seed"] for other in self.seen)
        self.seen.append(body)
        if body["seed"] == 400:
            self.answer(400, {"error": {"message": "temperature_policy: no"}})
        elif earlier < self.busy:
            self.answer(503, {"error": {"message": "busy"}})
        else:
            tokens = [*body["prompt"], 2]
            logprobs = {"token_logprobs": [-0.5] * len(tokens)}
            choice = {"token_ids": tokens, "finish_reason": "stop", "logprobs": logprobs}
            self.answer(200, {"choices": [choice]})
        with self.lock:
            Handler.now -= 1

    def answer(self, status: int, content: Any) -> None:
        data = json.dumps(content).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)

    def log_message(self, *_: Any) -> None:
        """Quiet."""


@pytest.fixture
def served() -> Iterator[ServerEngine]:
    Handler.busy, Handler.seen, Handler.most = 0, [], 0
    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.handle_error = lambda *_: None  # type: ignore[method-assign]  # a client that went away is no news
    threading.Thread(target=server.serve_forever, daemon=True).start()
    checkpoint = Checkpoint(None, tiny_llama().config, GenerationConfig(eos_token_id=2))
    address = Address.parse(f"http://127.0.0.1:{server.server_port}")
    yield ServerEngine(checkpoint, [Server(address, OPTIONS)], "fox")
    server.shutdown()
    server.server_close()


def rows(count: int) -> list[DecodeRow]:
    return [DecodeRow((5, 6 + seed), 0, seed) for seed in range(count)]


def test_every_row_comes_back_under_its_own_number(served: ServerEngine) -> None:
    done = sorted(served.draw(rows(12), [POLICY], DrawOptions(4)))
    assert [row.row for row in done] == list(range(12))
    assert [row.token_ids for row in done] == [[5, 6 + seed] for seed in range(12)]
    assert {(row.finish_reason, row.log_prob) for row in done} == {("stop", -1.5)}
    assert Handler.most <= OPTIONS.concurrency


def test_a_request_carries_the_policy_as_text_and_switches_the_rest_off(served: ServerEngine) -> None:
    list(served.draw(rows(1), [POLICY], DrawOptions(4)))
    (body,) = Handler.seen
    assert json.loads(body["vllm_xargs"]["temperature_policy"]) == POLICY
    assert (body["temperature"], body["top_p"], body["top_k"], body["min_p"], body["seed"]) == (1.0, 1.0, 0, 0.0, 0)


def test_a_busy_server_is_asked_again(served: ServerEngine) -> None:
    Handler.busy = 2
    assert len(list(served.draw(rows(4), [POLICY], DrawOptions(4)))) == 4
    assert len(Handler.seen) == 12


def test_a_server_that_stays_busy_stops_the_run(served: ServerEngine) -> None:
    Handler.busy = 9
    with pytest.raises(ServerError, match=r"503: busy \(asked 3 times\)"):
        list(served.draw(rows(1), [POLICY], DrawOptions(4)))


def test_a_refusal_is_not_repeated_and_is_quoted(served: ServerEngine) -> None:
    with pytest.raises(DrawError, match="1 of 1 texts could not be drawn") as told:
        list(served.draw([DecodeRow((5,), 0, 400)], [POLICY], DrawOptions(4)))
    ((row, reason),) = told.value.failed
    assert row == 0
    assert reason.endswith("400: temperature_policy: no")
    assert len(Handler.seen) == 1


def test_no_rows_ask_nothing(served: ServerEngine) -> None:
    assert list(served.draw([], [POLICY], DrawOptions(4))) == []
    assert Handler.seen == []


def test_texts_that_all_fail_end_the_run(served: ServerEngine, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pool, "MOST_WRONG", 5)
    with pytest.raises(ServerError, match="400: temperature_policy: no; the last 5 texts all failed"):
        list(served.draw([DecodeRow((5,), 0, 400)] * 50, [POLICY], DrawOptions(4)))
    assert len(Handler.seen) < 10


@pytest.mark.parametrize(
    ("value", "seconds"),
    [
        ("7", 7.0),
        ("0", 0.0),
        ("9" * 400, 999999999999.0),
        ("-1", None),
        ("", None),
        ("Wed, 21 Oct 2015 07:28:00 GMT", 0.0),
        ("²", None),
    ],
)
def test_retry_after(value: str, seconds: float | None) -> None:
    assert retry_after(value) == seconds


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"base_url": "http://x"}, "`base_url` is for `engine: vllm`"),
        ({"engine_options": {"dtype": "float32"}}, "`engine_options.dtype` is for `engine: vllm`"),
        ({"engine": "vllm", "engine_options": {"retries": 2}}, "is for a running server"),
        ({"engine": "vllm", "base_url": "http://x", "engine_options": {"dtype": "float32"}}, "cannot change a running"),
        ({"engine": "vllm", "model": {"name": "fox", "dtype": "float32"}}, "is 'float32': set `engine_options.dtype`"),
        (
            {"engine": "vllm", "model": {"name": "fox", "attn_implementation": "eager"}},
            "`model.attn_implementation` is for `engine: transformers`, but is 'eager'; allowed with vllm: name, revision, trust",
        ),
        (
            {"engine": "vllm", "base_url": "http://x", "model": {"name": "fox", "device_map": "auto"}},
            "`model.device_map` is for `engine: transformers`",
        ),
        (
            {"engine": "vllm", "base_url": "http://x", "model": {"name": "fox", "dtype": "float16"}},
            "`model.dtype` is for `engine: transformers`, but is 'float16'; allowed with vllm",
        ),
    ],
)
def test_settings_that_would_be_ignored_are_refused(settings: dict[str, Any], message: str) -> None:
    policies = [{"name": "one", **POLICY}]
    with pytest.raises(ValueError, match=message):
        ExperimentConfig.model_validate({"name": "x", "prompts": ["a"], "policies": policies, **settings})
