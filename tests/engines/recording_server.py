"""A small server on this machine that keeps every request, and answers those that its `hits` says as its `fault` does."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, TypeVar

Served = TypeVar("Served", bound="RecordingServer")


class Handler(BaseHTTPRequestHandler):
    """Answers as its server says, or as the server's fault does."""

    server: RecordingServer
    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        self.server.headers_seen.append(dict(self.headers))
        if self.server.models_fault is not None:
            self.server.models_fault(self, {})
        else:
            self.json({"data": [{"id": name} for name in self.server.models]})

    def do_POST(self) -> None:
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        seed = seed_of(body)
        with self.server.lock:
            self.server.bodies.append(body)
            self.server.paths.append(self.path)
            self.server.headers_seen.append(dict(self.headers))
            earlier = sum(seed_of(other) == seed for other in self.server.bodies) - 1
        if self.server.fault is not None and self.server.hits(seed, earlier):
            self.server.fault(self, body)
        else:
            self.json(self.server.good(body, self.path))

    def json(self, content: Any, status: int = 200, **headers: str) -> None:
        self.bytes(json.dumps(content).encode(), status, **headers)

    def bytes(self, content: bytes, status: int = 200, **headers: str) -> None:
        self.send_response(status)
        for name, value in {"Content-Type": "application/json", "Content-Length": str(len(content)), **headers}.items():
            self.send_header(name.replace("_", "-"), value)
        self.end_headers()
        self.wfile.write(content)

    def log_message(self, *_: Any) -> None:
        """Quiet."""


def seed_of(body: dict[str, Any]) -> int:
    """The seed of a request, where OpenAI or where Ollama puts it."""
    return int(body["seed"] if "seed" in body else body["options"]["seed"])


class RecordingServer(ThreadingHTTPServer):
    """The server. A subclass says what a good answer is.

    Args:
        models: Names that it lists.
    """

    daemon_threads = True
    request_queue_size = 64

    def __init__(self, *models: str) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.models = list(models)
        self.lock = threading.Lock()
        self.headers_seen: list[dict[str, str]] = []
        self.heal()

    def heal(self) -> None:
        """No fault any more, and no request seen."""
        self.bodies: list[dict[str, Any]] = []
        self.paths: list[str] = []
        self.fault: Callable[[Handler, dict[str, Any]], None] | None = None
        self.models_fault: Callable[[Handler, dict[str, Any]], None] | None = None
        self.hits: Callable[[int, int], bool] = lambda seed, earlier: True

    def good(self, body: dict[str, Any], path: str) -> dict[str, Any]:
        """The answer to a request."""
        raise NotImplementedError(f"{type(self).__name__} has to say what it answers")

    def handle_error(self, request: Any, client_address: Any) -> None:
        """A client that went away is no news."""


@contextmanager
def running(server: Served) -> Iterator[Served]:
    """The server, answering while the block lasts."""
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
    thread.start()
    try:
        yield server
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
