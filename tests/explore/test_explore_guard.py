"""The server of the page: its own names, no endpoint that the page does not use, bounded requests, memory that does not grow."""

from __future__ import annotations

import importlib.util
import json
import re
import socket
import urllib.error
import urllib.request
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

if importlib.util.find_spec("gradio") is None:
    pytest.skip("gradio is not installed: pip install -e '.[explore]'", allow_module_level=True)

import httpx
from starlette.responses import PlainTextResponse
from starlette.testclient import TestClient

from temp_processors.cli.explore import FIRST_PORT, ExploreError, free_port
from temp_processors.engines.local import LocalEngine
from temp_processors.explore.app import SESSIONS
from temp_processors.explore.guard import LARGEST_BODY, Guard, Hosts
from temp_processors.explore.handlers import SETTINGS, Handlers
from temp_processors.explore.loading import load
from temp_processors.explore.screen import ScreenError, check_settings
from tests.explore.explore_page import page_values, served

HERE = socket.gethostname()


@pytest.mark.parametrize(
    ("host", "more", "header", "allowed"),
    [
        ("127.0.0.1", (), "127.0.0.1:7860", True),
        ("127.0.0.1", (), "localhost:7860", True),
        ("127.0.0.1", (), "LOCALHOST", True),
        ("127.0.0.1", (), "localhost.:7860", True),
        ("127.0.0.1", (), "[::1]:7860", True),
        ("127.0.0.1", (), "evil.example", False),
        ("127.0.0.1", (), "evil.example:7860", False),
        ("127.0.0.1", (), "localhost.evil.example", False),
        ("127.0.0.1", (), "127.0.0.1.evil.example", False),
        ("127.0.0.1", (), "evil.example@127.0.0.1", True),
        ("127.0.0.1", (), "127.0.0.1@evil.example", False),
        ("127.0.0.1", (), "192.168.1.5", False),
        ("127.0.0.1", (), "", False),
        ("127.0.0.1", (), "[::1", False),
        ("127.0.0.1", ("page.example",), "page.example", True),
        ("192.168.1.5", (), "192.168.1.5:7860", True),
        ("192.168.1.5", (), "evil.example", False),
        ("0.0.0.0", (), "192.168.1.5:7860", True),
        ("0.0.0.0", (), f"{HERE}:7860", True),
        ("0.0.0.0", (), "[fe80::1]:7860", True),
        ("0.0.0.0", (), "evil.example", False),
        ("0.0.0.0", ("Page.Example",), "page.example:443", True),
        ("::", (), "127.0.0.1", True),
    ],
)
def test_names_of_the_page(host: str, more: tuple[str, ...], header: str, allowed: bool) -> None:
    assert Hosts.of(host, more).allows(header) is allowed


@pytest.mark.parametrize(
    ("method", "path", "headers", "content", "status"),
    [
        ("GET", "/", {}, b"", 200),
        ("GET", "/", {"host": "evil.example"}, b"", 400),
        ("POST", "/gradio_api/queue/join", {}, b"{}", 200),
        ("POST", "/gradio_api/queue/join?x=1", {}, b"{}", 200),
        ("POST", "/gradio_api/queue/join", {"host": "evil.example"}, b"{}", 400),
        ("POST", "/gradio_api/queue/join", {}, b"x" * (LARGEST_BODY + 1), 413),
        ("POST", "/gradio_api/upload", {}, b"x", 404),
        ("POST", "/upload", {}, b"x", 404),
        ("POST", "/gradio_api/upload/", {}, b"x", 404),
        ("POST", "/gradio_api/process_recording", {}, b"x", 404),
        ("POST", "/gradio_api/run/predict", {}, b"{}", 404),
        ("PUT", "/gradio_api/queue/join", {}, b"x", 404),
        ("DELETE", "/", {}, b"", 404),
    ],
)
def test_what_is_answered(method: str, path: str, headers: dict[str, str], content: bytes, status: int) -> None:
    client = TestClient(Guard(PlainTextResponse("page"), Hosts.of("127.0.0.1")), "http://localhost")
    assert client.request(method, path, headers=headers, content=content).status_code == status


def test_a_body_of_unknown_length_is_not_read() -> None:
    client = TestClient(Guard(PlainTextResponse("page"), Hosts.of("127.0.0.1")), "http://localhost")
    assert client.post("/gradio_api/queue/join", content=iter([b"{}"])).status_code == 411


GOOD = {"prompt": "a", "columns": 2, "max_new_tokens": 8, "seed": 0, "samples": 4}


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({}, None),
        ({"seed": 5.0}, None),
        ({"prompt": None}, "prompt: has to be a text of at most 20,000 characters"),
        ({"prompt": "a" * 20_001}, "prompt: has to be a text of at most 20,000 characters"),
        ({"columns": 5}, "policies: has to be a whole number from 1 to 4, but is 5"),
        ({"columns": None}, "policies: has to be a whole number from 1 to 4, but is None"),
        ({"max_new_tokens": 257}, "longest text: has to be a whole number from 1 to 256, but is 257"),
        ({"samples": 10**9}, "samples: has to be a whole number from 1 to 64, but is 1000000000"),
        ({"samples": 1.5}, "samples: has to be a whole number from 1 to 64, but is 1.5"),
        ({"seed": -1}, "seed: has to be a whole number from 0 to"),
        ({"seed": float("nan")}, "seed: has to be a whole number from 0 to"),
        ({"seed": True}, "seed: has to be a whole number from 0 to"),
    ],
)
def test_settings_are_bounded(changes: dict[str, Any], said: str | None) -> None:
    if said is None:
        check_settings(**{**GOOD, **changes})
        return
    with pytest.raises(ScreenError) as error:
        check_settings(**{**GOOD, **changes})
    assert str(error.value).startswith(said)


@pytest.fixture(scope="module")
def fox() -> LocalEngine:
    return load("fox")


@pytest.mark.parametrize(
    ("place", "value", "said"),
    [
        (0, "fox " * 6000, "prompt: has to be a text of at most"),
        (1, 99, "policies: has to be a whole number"),
        (2, 10**9, "longest text: has to be a whole number"),
        (4, None, "samples: has to be a whole number"),
        (len(SETTINGS), "nonsense", "A: policy: &#x27;nonsense&#x27; is none of"),
        (len(SETTINGS), None, "A: policy: &#x27;None&#x27; is none of"),
    ],
)
def test_what_no_page_sends_is_a_message(fox: LocalEngine, place: int, value: Any, said: str) -> None:
    act, values = Handlers(fox, "fox"), page_values("fixed", "fixed", "fixed", "fixed")
    values[place] = value
    for message in (
        act.look(None, *values)[1],
        next(act.generate("entropy", *values))[1],
        next(act.measure(*values))[0],
    ):
        assert said in message
    good = page_values("fixed", "fixed")
    assert "the page has changed: load it again" in act.look(None, *good[:-1])[1]
    assert "the page has changed: load it again" in act.look(None, *good[:3])[1]


def test_a_model_that_fails_is_a_message(fox: LocalEngine, monkeypatch: pytest.MonkeyPatch) -> None:
    def out_of_memory(*values: Any, **options: Any) -> None:
        raise RuntimeError("out of memory\nby a lot")

    monkeypatch.setattr(fox.model, "forward", out_of_memory)
    act, values = Handlers(fox, "fox"), page_values("fixed", "fixed", "fixed", "fixed")
    for message in (
        act.look(None, *values)[1],
        next(act.generate("entropy", *values))[1],
        next(act.measure(*values))[0],
    ):
        assert "out of memory<" in message.replace(")<", "<")
        assert "the model failed: " in message or "its own code fails (RuntimeError: " in message


def test_a_free_port_is_looked_for(monkeypatch: pytest.MonkeyPatch) -> None:
    port = free_port("127.0.0.1")
    assert port >= FIRST_PORT
    with socket.create_server(("127.0.0.1", port)):
        assert free_port("127.0.0.1") > port
        monkeypatch.setattr("temp_processors.cli.explore.FIRST_PORT", port)
        monkeypatch.setattr("temp_processors.cli.explore.PORTS", 1)
        with pytest.raises(ExploreError, match=f"no port from {port} to {port} is free on 127.0.0.1: choose another"):
            free_port("127.0.0.1")


@pytest.fixture(scope="module")
def server() -> Iterator[tuple[str, int]]:
    with served() as found:
        yield found


@pytest.fixture(scope="module")
def address(server: tuple[str, int]) -> str:
    return server[0]


def status_of(request: urllib.request.Request) -> int:
    try:
        with urllib.request.urlopen(request, timeout=60) as answer:
            return int(answer.status)
    except urllib.error.HTTPError as error:
        return error.code


def test_the_real_server_answers_to_its_names_and_takes_no_files(address: str) -> None:
    assert status_of(urllib.request.Request(address)) == 200
    assert status_of(urllib.request.Request(address, headers={"Host": "evil.example"})) == 400
    for path in ("config", "gradio_api/info", "gradio_api/queue/data?session_hash=x"):
        assert status_of(urllib.request.Request(f"{address}/{path}", headers={"Host": "evil.example"})) == 400
    boundary = b'--x\r\nContent-Disposition: form-data; name="files"; filename="a"\r\n\r\ndata\r\n--x--\r\n'
    headers = {"Content-Type": "multipart/form-data; boundary=x"}
    for path in ("gradio_api/upload", "upload", "gradio_api/upload?upload_id=1"):
        assert status_of(urllib.request.Request(f"{address}/{path}", boundary, headers)) == 404


class Visitor:
    """Somebody with a session of their own who presses the page's buttons, by the requests that the page sends."""

    def __init__(self, address: str, session: str) -> None:
        self.address, self.session = f"{address}/gradio_api", session
        self.client = httpx.Client(timeout=300)
        found = self.client.get(f"{address}/config").json()
        self.components = {component["id"]: component["props"] for component in found["components"]}
        self.events = found["dependencies"]

    def press(self, button: str, **typed: Any) -> dict[str, Any]:
        """Press a button by its elem_id, with these settings, and wait for the end."""
        (event,) = (
            event
            for event in self.events
            if event["backend_fn"]
            and any(self.components.get(t[0], {}).get("elem_id") == button for t in event["targets"])
        )
        inputs = (self.components[i] for i in event["inputs"])
        data = [typed.get(props.get("elem_id"), props.get("value")) for props in inputs]
        body = {"data": data, "fn_index": event["id"], "session_hash": self.session}
        self.client.post(f"{self.address}/queue/join", json=body).raise_for_status()
        with self.client.stream("GET", f"{self.address}/queue/data", params={"session_hash": self.session}) as lines:
            for line in lines.iter_lines():
                message = json.loads(line[5:]) if line.startswith("data:") else {}
                if message.get("msg") == "process_completed":
                    return dict(message)
        raise AssertionError("the server ended without an answer")


def test_a_visitor_gets_texts_and_scores(address: str) -> None:
    visitor = Visitor(address, "one")
    texts = visitor.press("generate", longest=4)
    assert texts["success"]
    assert "tp-strip" in json.dumps(texts["output"])
    assert "tp-scores" in json.dumps(visitor.press("measure", longest=4, samples=4)["output"])
    assert "has to be a text of at most" in json.dumps(visitor.press("generate", prompt="a" * 30_000)["output"])


def resident(process: int) -> float:
    """Memory of a process in MB."""
    return int(re.findall(r"VmRSS:\s+(\d+)", Path(f"/proc/{process}/status").read_text())[0]) / 1024


@pytest.mark.slow
def test_memory_does_not_grow_with_visits(server: tuple[str, int]) -> None:
    """20 visitors with 4 columns; once the sessions that are kept are full, further ones cost nothing."""

    address, process = server

    def visit(number: int) -> None:
        visitor = Visitor(address, f"visitor-{number}")
        for _ in range(2):
            visitor.press("generate", longest=48, columns=4, prompt=f"The fox {number}")
        visitor.client.close()

    def visits(first: int, count: int) -> None:
        with ThreadPoolExecutor(4) as pool:
            list(pool.map(visit, range(first, first + count)))

    visits(0, SESSIONS + 8)
    full = resident(process)
    visits(SESSIONS + 8, 40)
    assert resident(process) - full < 15
