"""Draw continuations at a running OpenAI-compatible server: `vllm serve` with this package's processor.

Prompts are sent as token ids and come back as token ids, so that nothing is tokenised twice. A busy or unreachable server
is asked again after a while; a request that it refuses stops the run with the server's own words.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncGenerator, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import aiohttp

from temp_processors.audit.neutral import SAMPLING_FIELDS
from temp_processors.config.experiment import ExperimentConfig
from temp_processors.config.sections import EngineOptions, model_spec
from temp_processors.engines.engine import Decoded, DecodeRow, DrawOptions, ModelError, model_path
from temp_processors.engines.requests import Checkpoint, OnVllm, as_row, requests_of
from temp_processors.serving.rows import KEY

BUSY = frozenset({408, 429, 500, 502, 503, 504})
FIRST_WAIT, LONGEST_WAIT = 0.5, 16.0  # seconds; doubled after every try

# Sent with every request: a server fills what is missing from the checkpoint's generation_config.
SHARED_FIELDS = ("temperature", "top_p", "top_k", "min_p", "repetition_penalty")
NEUTRAL = {
    **{name: SAMPLING_FIELDS[name].off_number for name in SHARED_FIELDS},
    "presence_penalty": 0.0,
    "frequency_penalty": 0.0,
}


class ServerError(ModelError):
    """A server cannot be used, or refused a request; the message quotes it."""


@dataclass(frozen=True)
class ServerEngine(OnVllm):
    """A model behind `base_url`.

    Args:
        checkpoint: Its settings and tokenizer, read on this side.
        base_url: The server's address, without a slash at its end.
        name: Under which it serves the model.
        options: How many requests at once, how long each may take, how often it is sent again.
    """

    base_url: str
    name: str
    options: EngineOptions

    @classmethod
    def load(cls, config: ExperimentConfig) -> ServerEngine:
        """Ask the server what it serves.

        Raises:
            ServerError: It does not answer, or serves something else.
            ModelError: The checkpoint cannot be read on this side.
            ConfigError, PolicyError: As `requests_of`, before the server is asked.
        """
        spec, base_url = model_spec(config.model), str(config.base_url).rstrip("/")
        checkpoint, path = Checkpoint.read(spec), model_path(spec.name)
        requests_of(config, checkpoint.tokenizer)
        served = asyncio.run(_served(base_url, config.engine_options))
        name = served[0] if len(served) == 1 else path if path in served else spec.name
        if name not in served:
            raise ServerError(f"base_url: {base_url} serves {', '.join(served) or 'nothing'}, but not {spec.name!r}")
        return cls(checkpoint, base_url, name, config.engine_options)

    def describe(self) -> dict[str, Any]:
        """The configuration of the model and the name under which it is served; the server may have moved."""
        return self.checkpoint.describe(f"server: {self.name}")

    def draw(self, rows: Sequence[DecodeRow], policies: Sequence[Any], options: DrawOptions) -> Iterator[Decoded]:
        """Continue every row; `on_tokens` is called for every text, since an answer comes whole."""
        bodies = [self._body(row, policies[row.policy], options.max_new_tokens) for row in rows]
        loop = asyncio.new_event_loop()
        answers = complete_all(self.base_url, bodies, self.options)
        try:
            while (done := loop.run_until_complete(anext(answers, None))) is not None:
                options.on_tokens(done.steps)
                yield done
        finally:
            loop.run_until_complete(answers.aclose())
            loop.close()

    def _body(self, row: DecodeRow, request: Any, max_new_tokens: int) -> dict[str, Any]:
        return {
            **NEUTRAL,
            "model": self.name,
            "prompt": list(row.prompt_ids),
            "max_tokens": max_new_tokens,
            "seed": row.seed,
            "stop_token_ids": self.checkpoint.eos_token_ids,
            "logprobs": 0,
            "return_token_ids": True,
            "vllm_xargs": {KEY: json.dumps(request)},
        }


async def _served(base_url: str, options: EngineOptions) -> list[str]:
    async with _session(options) as session:
        answer = await send(session, "GET", f"{base_url}/models", None, options.retries)
    return [str(model["id"]) for model in answer["data"]]


def _session(options: EngineOptions) -> aiohttp.ClientSession:
    limit = aiohttp.TCPConnector(limit=options.concurrency)
    return aiohttp.ClientSession(connector=limit, timeout=aiohttp.ClientTimeout(total=options.timeout))


async def complete_all(
    base_url: str, bodies: Sequence[dict[str, Any]], options: EngineOptions
) -> AsyncGenerator[Decoded, None]:
    """Send every body, at most `concurrency` at once, and yield rows in the order in which they finish."""
    turn = asyncio.Semaphore(options.concurrency)

    async def one(row: int, body: dict[str, Any]) -> Decoded:
        async with turn:
            answer = await send(session, "POST", f"{base_url}/completions", body, options.retries)
        return row_of_answer(row, answer)

    async with _session(options) as session:
        tasks = [asyncio.ensure_future(one(row, body)) for row, body in enumerate(bodies)]
        try:
            for task in asyncio.as_completed(tasks):
                yield await task
        finally:
            for left in tasks:
                left.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)


async def send(session: aiohttp.ClientSession, method: str, url: str, body: Any, retries: int) -> dict[str, Any]:
    """The JSON that a server answers. Waits 0.5 s, 1 s, 2 s ... (at most 16 s) between tries.

    Raises:
        ServerError: refused, or still busy or unreachable after `retries` more tries.
    """
    for attempt in range(retries + 1):
        try:
            async with session.request(method, url, json=body) as response:
                if response.status < 400:
                    answer: dict[str, Any] = await response.json()
                    return answer
                problem = f"{response.status}: {_message(await response.text())}"
                if response.status not in BUSY:
                    raise ServerError(f"{url}: {problem}")
        except (aiohttp.ClientConnectionError, aiohttp.ClientPayloadError, asyncio.TimeoutError) as error:
            problem = str(error) or type(error).__name__
        if attempt < retries:
            await asyncio.sleep(min(FIRST_WAIT * 2**attempt, LONGEST_WAIT))
    raise ServerError(f"{url}: {problem} (asked {retries + 1} times)")


def _message(text: str) -> str:
    """The message inside an OpenAI-style error, else the whole answer."""
    try:
        answer = json.loads(text)
    except ValueError:
        return text.strip()
    error = answer.get("error", answer) if isinstance(answer, dict) else answer
    return str(error.get("message", error)) if isinstance(error, dict) else str(error)


def row_of_answer(row: int, answer: dict[str, Any]) -> Decoded:
    """A server's answer as a finished row."""
    choice = answer["choices"][0]
    tokens = [int(token) for token in choice["token_ids"]]
    return as_row(row, tokens, choice["finish_reason"], float(sum(choice["logprobs"]["token_logprobs"])))
