"""A small OpenAI-compatible server on this machine that answers some requests wrongly, and the table of how."""

from __future__ import annotations

import gzip
import json
import math
import socket
import struct
import time
from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from datetime import datetime, timedelta, timezone
from email.utils import format_datetime
from typing import Any

from tests.engines.recording_server import Handler, RecordingServer, running

EOS = 2
"""`<eos>` of fox."""
HANG = 3.0
"""Seconds that a request hangs, unless its client goes away before."""


class FaultyServer(RecordingServer):
    """Answers as vLLM does, with tokens that depend on prompt and seed alone."""

    def __init__(self) -> None:
        super().__init__("fox")

    @property
    def address(self) -> str:
        return f"127.0.0.1:{self.server_port}"

    def good(self, body: dict[str, Any], path: str) -> dict[str, Any]:
        return good(body)


def serving() -> AbstractContextManager[FaultyServer]:
    return running(FaultyServer())


def tokens_of(body: dict[str, Any]) -> list[int]:
    """Tokens of fox that prompt and seed decide; every other text ends early."""
    seed, most = body["seed"] + sum(body["prompt"]), body["max_tokens"]
    tokens = [100 + (seed * (step + 3)) % 250 for step in range(most)]
    return [*tokens[: most - 2], EOS] if seed % 2 else tokens


def good(body: dict[str, Any], **changes: Any) -> dict[str, Any]:
    tokens = tokens_of(body)
    choice = {
        "index": 0,
        "text": "",
        "token_ids": tokens,
        "prompt_token_ids": body["prompt"],
        "finish_reason": "stop" if tokens[-1] == EOS else "length",
        "logprobs": {"token_logprobs": [-0.5 - token / 1000 for token in tokens]},
    }
    return {"id": "x", "object": "text_completion", "model": "fox", "choices": [{**choice, **changes}]}


Answer = Callable[[dict[str, Any]], Any]


@dataclass(frozen=True)
class Fault:
    """One way of answering wrongly.

    Args:
        does: What the server does to the request.
        said: Part of what the run then says.
        tries: How often a client with one retry asks.
        of_all: Whether the run ends at once, since every request would get this.
    """

    does: Callable[[Handler, dict[str, Any]], None]
    said: str
    tries: int = 2
    of_all: bool = False
    options: dict[str, Any] = field(default_factory=dict)


def choice(said: str, **changes: Any) -> Fault:
    return Fault(lambda handler, body: handler.json(good(body, **changes)), said)


def whole(said: str, answer: Any) -> Fault:
    return Fault(lambda handler, body: handler.json(answer), said)


def raw(said: str, content: bytes, status: int = 200, tries: int = 2, of_all: bool = False, **headers: str) -> Fault:
    return Fault(lambda handler, body: handler.bytes(content, status, **headers), said, tries, of_all)


def changed(said: str, change: Callable[[dict[str, Any]], Any]) -> Fault:
    """The first choice of a good answer, changed in place."""

    def does(handler: Handler, body: dict[str, Any]) -> None:
        answer = good(body)
        change(answer["choices"][0])
        handler.json(answer)

    return Fault(does, said)


def error(status: int, message: str, said: str, tries: int, of_all: bool = False, **headers: str) -> Fault:
    return Fault(
        lambda handler, body: handler.json({"error": {"message": message}}, status, **headers), said, tries, of_all
    )


def cut_json(handler: Handler, body: dict[str, Any]) -> None:
    content = json.dumps(good(body)).encode()
    handler.bytes(content[: len(content) // 2])


def half_a_character(handler: Handler, body: dict[str, Any]) -> None:
    handler.bytes(
        json.dumps(good(body, text="\U0001f98a"), ensure_ascii=False)
        .encode()
        .replace("\U0001f98a".encode(), b"\xf0\x9f")
    )


def closed(handler: Handler, body: dict[str, Any]) -> None:
    handler.close_connection = True
    handler.connection.close()


def reset(handler: Handler, body: dict[str, Any]) -> None:
    handler.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    closed(handler, body)


def no_http(handler: Handler, body: dict[str, Any]) -> None:
    handler.wfile.write(b"SSH-2.0-OpenSSH_9.2\r\n")
    closed(handler, body)


def long_header(handler: Handler, body: dict[str, Any]) -> None:
    handler.bytes(json.dumps(good(body)).encode(), X="y" * 100_000)


def too_short(handler: Handler, body: dict[str, Any]) -> None:
    """Says that more comes than comes."""
    content = json.dumps(good(body)).encode()
    handler.bytes(content, Content_Length=str(len(content) + 50))
    closed(handler, body)


def too_long(handler: Handler, body: dict[str, Any]) -> None:
    """Says that less comes than comes."""
    content = json.dumps(good(body)).encode()
    handler.bytes(content, Content_Length=str(len(content) - 50))
    handler.close_connection = True


def bad_chunks(handler: Handler, body: dict[str, Any]) -> None:
    handler.wfile.write(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n{}\r\n")
    closed(handler, body)


def hang(handler: Handler, body: dict[str, Any]) -> None:
    end = time.monotonic() + HANG
    while time.monotonic() < end and not gone(handler.connection):
        time.sleep(0.02)
    handler.close_connection = True


def drip(handler: Handler, body: dict[str, Any]) -> None:
    """A byte now and then, for ever."""
    handler.wfile.write(b"HTTP/1.1 200 OK\r\nContent-Length: 100000\r\n\r\n")
    end = time.monotonic() + HANG
    while time.monotonic() < end and not gone(handler.connection):
        handler.wfile.write(b" ")
        time.sleep(0.02)
    handler.close_connection = True


def gone(connection: socket.socket) -> bool:
    """Whether the client went away."""
    connection.settimeout(0.001)
    try:
        return connection.recv(1, socket.MSG_PEEK) == b""
    except OSError as problem:
        return not isinstance(problem, TimeoutError)
    finally:
        connection.settimeout(None)


def in_seconds(seconds: float) -> str:
    return format_datetime(datetime.now(timezone.utc) + timedelta(seconds=seconds), usegmt=True)


HTML = b"<!doctype html><html><body><h1>It works!</h1></body></html>"
NAN = [float("nan")] * 3
SLOW = {"timeout": 0.25}

FAULTS: dict[str, Fault] = {
    # no answer at all
    "connection closed": Fault(closed, "Server disconnected"),
    "connection reset": Fault(reset, "(asked 2 times)"),
    "another protocol": Fault(no_http, "(asked 2 times)"),
    "a hang": Fault(hang, "no answer within 0.25 s (asked 2 times)", options=SLOW),
    "a byte now and then": Fault(drip, "no answer within 0.25 s (asked 2 times)", options=SLOW),
    # HTTP that is not as it should be
    "longer than sent": Fault(too_short, "(asked 2 times)"),
    "shorter than sent": Fault(too_long, "(asked 2 times)"),
    "chunks that are none": Fault(bad_chunks, "(asked 2 times)"),
    "gzip that is none": raw("(asked 2 times)", b"no gzip at all", Content_Encoding="gzip"),
    "gzip cut in half": raw("(asked 2 times)", gzip.compress(b"{}" * 5000)[:20], Content_Encoding="gzip"),
    "a gzip bomb": raw("(asked 2 times)", gzip.compress(bytes(80_000_000)), Content_Encoding="gzip"),
    "deflate that is none": raw("(asked 2 times)", b"\x00\x01garbage", Content_Encoding="deflate"),
    "a header without end": Fault(long_header, "(asked 2 times)"),
    "an unknown encoding": raw("the answer is no JSON", b"\x8b\x02\x80{}", Content_Encoding="snappy"),
    # statuses
    "429": error(429, "slow down", "429: slow down (asked 2 times)", 2),
    "429, later": error(429, "slow down", "429: slow down (asked 1 times; the server asks to wait 90,000 s)", 1, Retry_After="90000"),
    "429, at once": error(429, "slow down", "429: slow down (asked 2 times)", 2, Retry_After="0"),
    "429, a date": error(429, "slow down", "429: slow down (asked 2 times)", 2, Retry_After=in_seconds(-5)),
    "429, nonsense": error(429, "slow down", "429: slow down (asked 2 times)", 2, Retry_After="soon"),
    "408": error(408, "too slow", "408: too slow (asked 2 times)", 2),
    "500": error(500, "engine died", "500: engine died (asked 2 times)", 2),
    "502, HTML": raw("502: <html>bad gateway", b"<html>bad gateway</html>", 502),
    "503, empty": raw("503: Service Unavailable (asked 2 times)", b"", 503),
    "504": error(504, "upstream", "504: upstream (asked 2 times)", 2),
    "529": error(529, "overloaded", "529: overloaded (asked 2 times)", 2),
    "204": raw("204", b"", 204),
    "400": error(400, "temperature_policy: no", "400: temperature_policy: no", 1),
    "400, a text": raw("400: no such thing", b"no such thing", 400, tries=1),
    "413": error(413, "too large", "413: too large", 1),
    "422": raw("422: {'detail'", b'{"detail": [{"loc": ["body"]}]}', 422, tries=1),
    "401": error(401, "Unauthorized", "401: Unauthorized (a key is read from the environment variable VLLM_API_KEY)", 1, of_all=True),
    "403": error(403, "Forbidden", "VLLM_API_KEY", 1, of_all=True),
    "a model that is not there": error(404, "The model `x` does not exist.", "404: The model `x` does not exist.", 1, of_all=True),
    "301": raw("301: the server is at https://else.where/v1: give that", b"", 301, 1, True, Location="https://else.where/v1"),
    "307 without a place": raw("307: the server is at elsewhere", b"", 307, 1, True),
    "302 to nowhere": raw("302: the server is at", b"", 302, 1, True, Location="http://[::1"),
    "308 to itself": raw("308: the server is at /v1/completions", b"", 308, 1, True, Location="/v1/completions"),
    # bodies that are no answer
    "HTML": raw("the answer is no JSON", HTML, Content_Type="text/html"),
    "an empty body": raw("the answer is no JSON", b""),
    "cut JSON": Fault(cut_json, "the answer is no JSON (EOF"),
    "half a character": Fault(half_a_character, "the answer is no JSON (invalid unicode"),
    "UTF-16": Fault(lambda handler, body: handler.bytes(json.dumps(good(body)).encode("utf-16")), "the answer is no JSON"),
    "nested deep": raw("the answer is no JSON (recursion limit", b"[" * 100_000),
    "control characters": raw(r"\x1b]0;owned", b"\x1b]0;owned\x07"),
    "an error with 200": whole("the answer is an error: out of memory", {"error": {"message": "out of memory"}}),
    "an error text with 200": whole("the answer is an error: no", {"error": "no"}),
    "a list": whole("the answer: has to be", []),
    "null": whole("the answer: has to be", None),
    # answers without a text
    "no choices": whole("choices: is missing", {"id": "x"}),
    "empty choices": whole("choices: ", {"choices": []}),
    "null choices": whole("choices: has to be a valid list, but is None", {"choices": None}),
    "choices of another kind": whole("choices.0: has to be", {"choices": ["text"]}),
    "two texts": Fault(lambda handler, body: handler.json({"choices": good(body)["choices"] * 2}), "choices: "),
    "null token_ids": choice("choices.0.token_ids: has to be a valid list, but is None", token_ids=None),
    "no token_ids": changed("choices.0.token_ids: is missing", lambda choice: choice.pop("token_ids")),
    "empty token_ids": choice("choices.0.token_ids: ", token_ids=[]),
    "tokens as texts": choice("choices.0.token_ids.0: has to be a valid integer, but is 'fox'", token_ids=["fox"]),
    "tokens with halves": choice("choices.0.token_ids.0: has to be a valid integer", token_ids=[1.5]),
    "true tokens": choice("choices.0.token_ids.0: has to be a valid integer", token_ids=[True]),
    "a negative token": choice("choices.0.token_ids.0: ", token_ids=[-1]),
    "token 1e9": changed("token id 1000000000 is not in the vocabulary", lambda choice: choice["token_ids"].__setitem__(0, 10**9)),
    "null logprobs": choice("choices.0.logprobs: has to be", logprobs=None),
    "no logprobs": changed("choices.0.logprobs: is missing", lambda choice: choice.pop("logprobs")),
    "null token_logprobs": choice("token_logprobs: has to be a valid list", logprobs={"token_logprobs": None}),
    "one log-prob": choice("1 log-probabilities for ", logprobs={"token_logprobs": [-1.0]}),
    "NaN": choice("token_logprobs.0: has to be a finite number, but is nan", logprobs={"token_logprobs": NAN}),
    "-inf": choice("has to be a finite number, but is -inf", logprobs={"token_logprobs": [-math.inf]}),
    "a null log-prob": choice("token_logprobs.0: has to be a valid number, but is None", logprobs={"token_logprobs": [None]}),
    "log-probs above 0": changed(
        "a log-probability is 0.5, above 0", lambda choice: choice["logprobs"]["token_logprobs"].__setitem__(1, 0.5)
    ),
    # texts that are no draws
    "abort": choice("finish_reason is 'abort'", finish_reason="abort"),
    "content_filter": choice("finish_reason is 'content_filter'", finish_reason="content_filter"),
    "null finish_reason": choice("choices.0.finish_reason: has to be a valid string", finish_reason=None),
    "cut short": changed("tokens without an end of text (length)", lambda choice: shorten(choice, "length")),
    "stopped by a string": changed("tokens without an end of text (stop)", lambda choice: shorten(choice, "stop")),
    "too many tokens": changed("where at most 6 were asked for", lambda choice: lengthen(choice)),
    "behind its end": changed("the text goes on behind its end", lambda choice: choice["token_ids"].__setitem__(0, EOS)),
    "another prompt": choice("the text continues another prompt", prompt_token_ids=[5, 6]),
}  # fmt: skip


def shorten(choice: dict[str, Any], reason: str) -> None:
    choice["token_ids"] = choice["token_ids"][:2]
    choice["logprobs"]["token_logprobs"] = choice["logprobs"]["token_logprobs"][:2]
    choice["finish_reason"] = reason


def lengthen(choice: dict[str, Any]) -> None:
    choice["token_ids"] = [300] * 9
    choice["logprobs"]["token_logprobs"] = [-1.0] * 9


MODELS: dict[str, Fault] = {
    "HTML": FAULTS["HTML"],
    "no data": whole("data: is missing", {"object": "list"}),
    "null data": whole("data: has to be a valid list, but is None", {"data": None}),
    "data without id": whole("data.0.id: is missing", {"data": [{}]}),
    "an empty id": whole("data.0.id: ", {"data": [{"id": ""}]}),
    "nothing served": whole("serves nothing, but not 'fox'", {"data": []}),
    "other models": whole("serves a, b, but not 'fox'", {"data": [{"id": "a"}, {"id": "b"}]}),
    "an error with 200": FAULTS["an error with 200"],
    "401": FAULTS["401"],
    "404": error(404, "Not Found", "404: Not Found", 1),
    "503": FAULTS["503, empty"],
    "closed": FAULTS["connection closed"],
    "301": FAULTS["301"],
}
