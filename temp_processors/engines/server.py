"""Ask a server over HTTP: keys, one pool of connections, and a bounded number of tries.

Tries are counted here and not by a retry library: how long to wait is in the answer (`Retry-After`), a wrong answer is as much a reason to
ask again as a failed connection, and whether to go on at all depends on how all other requests fare.
"""

from __future__ import annotations

import asyncio
import os
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime, timezone
from email.utils import parsedate_to_datetime
from typing import Any, NamedTuple, TypeVar

import aiohttp
from pydantic_core import from_json

from temp_processors.addresses import HIDDEN, Address
from temp_processors.config.sections import EngineOptions
from temp_processors.config.yaml_lines import shortened
from temp_processors.engines.answers import WrongAnswerError, error_of
from temp_processors.engines.engine import ModelError
from temp_processors.inert import one_line

VLLM_KEY = "VLLM_API_KEY"
"""Environment variable with the key of vLLM's server, as `vllm serve` reads it too."""
OPENAI_KEY = "OPENAI_API_KEY"
"""Environment variable with the key of any other server, as OpenAI's own client reads it too."""
LONGEST_WAIT = 16.0
"""Seconds between two tries, where the server does not say how long."""
LONGEST_ASKED_WAIT = 300.0
"""Seconds that a server may ask to wait (`Retry-After`); a run that is told to come back later than that ends, and resumes later."""
MOST_BYTES = 64_000_000
"""Of one answer, after decompression."""
BUSY = frozenset({408, 425, 429})
OF_ALL = frozenset({401, 403, 404, 405, 407, 410})
"""Statuses that every other request would get as well."""

Read = TypeVar("Read")


class ServerError(ModelError):
    """A server cannot be used, or refused a request; the message quotes it."""


class RequestError(ServerError):
    """One request failed for good; others may do better.

    Args:
        message: What was wrong with the last answer.
        answered: Whether the server answered at all.
    """

    def __init__(self, message: str, *, answered: bool) -> None:
        super().__init__(message)
        self.answered = answered


class Trouble(NamedTuple):
    """Why a try gave nothing: the reason, how long the server asks to wait, whether it answered."""

    reason: str
    wait: float | None
    answered: bool


class TryError(Exception):
    """A try that gave nothing and may be repeated."""

    def __init__(self, trouble: Trouble) -> None:
        super().__init__(trouble.reason)
        self.trouble = trouble


@dataclass(frozen=True)
class Server:
    """A server and how it is asked.

    Args:
        address: Its `base_url`; keys in it are sent and shown nowhere.
        options: How many requests at once, how long each may take, how often it is sent again.
        key: Sent as a bearer token; None sends none.
        key_variable: Environment variable that it is read from.
    """

    address: Address
    options: EngineOptions
    key: str | None = field(default=None, repr=False)
    key_variable: str = VLLM_KEY

    @classmethod
    def of(cls, address: Address, options: EngineOptions, key_variable: str = VLLM_KEY) -> Server:
        """The server at an address, with the key of the environment.

        Raises:
            ServerError: The key is none, or the address came out of a run folder without its own.
        """
        key = os.environ.get(key_variable, "").strip() or None
        if key is not None and not (key.isascii() and key.isprintable()):
            raise ServerError(f"{key_variable}: holds characters that no key can have")
        if HIDDEN in address.full:
            raise ServerError(
                f"base_url: {address} was written without its key: give the address itself, or {key_variable}"
            )
        return cls(address, options, key, key_variable)

    def session(self) -> aiohttp.ClientSession:
        """Connections for a whole run: at most `concurrency`, kept open between requests."""
        limit = aiohttp.TCPConnector(limit=self.options.concurrency)
        timeout = aiohttp.ClientTimeout(total=self.options.timeout)
        return aiohttp.ClientSession(connector=limit, timeout=timeout, headers=self.address.authorization(self.key))

    async def ask(
        self, session: aiohttp.ClientSession, method: str, path: str, body: Any, read: Callable[[bytes], Read]
    ) -> Read:
        """What `read` makes of the answer.

        Raises:
            RequestError: No good answer after all tries, or this request was refused.
            ServerError: Every request would be refused.
        """
        for attempt in range(self.options.retries + 1):
            try:
                return read(await self._content(session, method, path, body))
            except WrongAnswerError as error:
                trouble = Trouble(str(error), None, True)
            except TryError as error:
                trouble = error.trouble
            if attempt == self.options.retries or (trouble.wait or 0) > LONGEST_ASKED_WAIT:
                break
            usual = min(self.options.retry_wait * 2**attempt, LONGEST_WAIT)
            await asyncio.sleep(usual if trouble.wait is None else max(trouble.wait, 0.0))
        later = f"; the server asks to wait {trouble.wait:,.0f} s" if (trouble.wait or 0) > LONGEST_ASKED_WAIT else ""
        raise RequestError(self.said(f"{trouble.reason} (asked {attempt + 1} times{later})"), answered=trouble.answered)

    def said(self, text: str) -> str:
        """What is told of the server: one line, not long, without any key."""
        text = self.address.without_keys(text, self.key)
        return f"base_url: {self.address}: {one_line(shortened(text, 400))}"

    async def _content(self, session: aiohttp.ClientSession, method: str, path: str, body: Any) -> bytes:
        """The bytes of a good answer. Raises `TryError` for what may be repeated."""
        try:
            async with session.request(method, self.address.at(path), json=body, allow_redirects=False) as response:
                content = await _bounded(response)
        except asyncio.TimeoutError as error:
            raise TryError(Trouble(f"no answer within {self.options.timeout:g} s", None, False)) from error
        except (aiohttp.ClientError, OSError, ValueError) as error:
            raise TryError(Trouble(str(error).strip() or type(error).__name__, None, False)) from error
        self._refuse_status(response, content)
        return content

    def _refuse_status(self, response: aiohttp.ClientResponse, content: bytes) -> None:
        status = response.status
        if status == 200:
            return
        text = content.decode("utf-8", "replace")
        reason = f"{status}: {shortened(_message(text), 300) or response.reason}"
        if status in BUSY or status >= 500:
            raise TryError(Trouble(reason, retry_after(response.headers.get("Retry-After")), False))
        if 300 <= status < 400:
            where = response.headers.get("Location", "elsewhere")
            raise ServerError(self.said(f"{status}: the server is at {where}: give that address as base_url"))
        if status in (401, 403):
            reason += f" (a key is read from the environment variable {self.key_variable})"
        if status in OF_ALL:
            raise ServerError(self.said(reason))
        if status < 400:
            raise TryError(Trouble(reason, None, True))
        raise RequestError(self.said(reason), answered=True)


def retry_after(value: str | None) -> float | None:
    """Seconds that the header `Retry-After` asks to wait, given as a number or as a date; None where it says nothing.

    Example:
        >>> retry_after("7"), retry_after("soon"), retry_after(None)
        (7.0, None, None)
    """
    text = (value or "").strip()
    if text.isdecimal() and text.isascii():
        return float(text[:12])
    try:
        moment = parsedate_to_datetime(text)
    except (ValueError, TypeError, IndexError):
        return None
    known = moment if moment.tzinfo is not None else moment.replace(tzinfo=timezone.utc)
    return max(0.0, (known - datetime.now(timezone.utc)).total_seconds())


async def _bounded(response: aiohttp.ClientResponse) -> bytes:
    held = bytearray()
    async for block in response.content.iter_chunked(1 << 16):
        held += block
        if len(held) > MOST_BYTES:
            raise aiohttp.ClientPayloadError(f"the answer is longer than {MOST_BYTES:,} bytes")
    return bytes(held)


def _message(text: str) -> str:
    """The message of an error, else the whole answer."""
    try:
        return error_of(from_json(text))
    except ValueError:
        return text.strip()
