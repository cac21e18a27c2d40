"""Draw continuations at a running OpenAI-compatible server: `vllm serve` with this package's processor.

Prompts are sent as token ids and come back as token ids, so that nothing is tokenised twice. One pool of requests works off
the whole run. A busy or unreachable server and a wrong answer are asked again a bounded number of times; a text that still
cannot be had is told at the end.
"""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import AsyncGenerator, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any, TypeAlias

import aiohttp

from temp_processors.addresses import Address
from temp_processors.audit.neutral import SAMPLING_FIELDS
from temp_processors.config.experiment import ExperimentConfig
from temp_processors.config.sections import model_spec
from temp_processors.engines.answers import Asked, Completion, ServedModels, read_answer
from temp_processors.engines.engine import Decoded, DecodeRow, DrawError, DrawOptions, model_path
from temp_processors.engines.requests import Checkpoint, OnVllm, of_text, requests_of
from temp_processors.engines.server import RequestError, Server, ServerError
from temp_processors.serving.rows import KEY

MOST_WRONG = 256
"""Texts that fail one after another, without a good one between them, until the rest is not asked for any more."""
FIRST_FAILURES = 3
"""Texts that fail without an answer before any has come, until a server counts as gone: the others may just be slower."""

# Sent with every request: a server fills what is missing from the checkpoint's generation_config.
SHARED_FIELDS = ("temperature", "top_p", "top_k", "min_p", "repetition_penalty")
NEUTRAL = {
    **{name: SAMPLING_FIELDS[name].off_number for name in SHARED_FIELDS},
    "presence_penalty": 0.0,
    "frequency_penalty": 0.0,
}


@dataclass(frozen=True)
class ServerEngine(OnVllm):
    """A model behind `base_url`.

    Args:
        checkpoint: Its settings and tokenizer, read on this side.
        server: Where it is, and how it is asked.
        name: Under which it serves the model.
    """

    server: Server
    name: str

    @classmethod
    def load(cls, config: ExperimentConfig) -> ServerEngine:
        """Ask the server what it serves.

        Raises:
            ServerError: It does not answer, or serves something else.
            ModelError: The checkpoint cannot be read on this side.
            ConfigError, PolicyError: As `requests_of`, before the server is asked.
        """
        spec, address = model_spec(config.model), config.base_url
        assert isinstance(address, Address)  # `load_engine` chose this class
        server = Server.of(address, config.engine_options)
        checkpoint, path = Checkpoint.read(spec), model_path(spec.name)
        requests_of(config, checkpoint.tokenizer)
        served = asyncio.run(_served(server))
        name = served[0] if len(served) == 1 else path if path in served else spec.name
        if name not in served:
            raise ServerError(server.said(f"serves {', '.join(served) or 'nothing'}, but not {spec.name!r}"))
        return cls(checkpoint, server, name)

    @property
    def independent_rows(self) -> bool:
        """True: a request is a text, whatever else is asked for."""
        return True

    def describe(self) -> dict[str, Any]:
        """The configuration of the model and the name under which it is served; the server may have moved."""
        return self.checkpoint.describe(f"server: {self.name}")

    def draw(self, rows: Sequence[DecodeRow], policies: Sequence[Any], options: DrawOptions) -> Iterator[Decoded]:
        """Continue every row; `on_tokens` is called for every text, since an answer comes whole.

        Raises:
            DrawError: Some rows could not be had; all others were handed over before.
            ServerError: Every request is refused, or the server is gone.
        """
        loop = asyncio.new_event_loop()
        answers = self._answers(rows, policies, options.max_new_tokens)
        try:
            while (done := loop.run_until_complete(anext(answers, None))) is not None:
                options.on_tokens(done.steps)
                yield done
        finally:
            _finish(loop, answers)

    async def _answers(
        self, rows: Sequence[DecodeRow], policies: Sequence[Any], max_new_tokens: int
    ) -> AsyncGenerator[Decoded, None]:
        """Rows in the order in which they finish; each of `concurrency` workers takes the next row once it is free."""
        todo = iter(range(len(rows)))
        results: Results = asyncio.Queue()
        tally = _Tally(len(rows))
        asked = Asked(max_new_tokens, frozenset(self.checkpoint.eos_token_ids), self.vocabulary)
        async with self.server.session() as session:

            async def work() -> None:
                for number in todo:
                    row = rows[number]
                    body = self._body(row, policies[row.policy], max_new_tokens)
                    begun = time.monotonic()
                    try:
                        done = await self._complete(session, body, number, row, asked)
                    except RequestError as error:
                        tally.bad(number, error, begun)
                        results.put_nowait(None)
                    else:
                        tally.good()
                        results.put_nowait(done)

            workers = [asyncio.create_task(work()) for _ in range(min(self.server.options.concurrency, len(rows)))]
            for worker in workers:
                worker.add_done_callback(partial(_tell, results))
            try:
                for _ in range(len(rows)):
                    result = await results.get()
                    if isinstance(result, BaseException):
                        raise result
                    if result is not None:
                        yield result
            finally:
                for worker in workers:
                    worker.cancel()
                await asyncio.gather(*workers, return_exceptions=True)
        tally.refuse_if_any()

    async def _complete(
        self, session: aiohttp.ClientSession, body: Any, number: int, row: DecodeRow, asked: Asked
    ) -> Decoded:
        def read(content: bytes) -> Decoded:
            return asked.row_of(number, row, read_answer(content, Completion))

        return await self.server.ask(session, "POST", "/completions", body, read)

    @property
    def vocabulary(self) -> int | None:
        """Token ids are smaller than this; None where the configuration of the model does not say."""
        return getattr(self.model_config.get_text_config(), "vocab_size", None)

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
            "vllm_xargs": {KEY: json.dumps(of_text(request, row.seed))},
        }


def _finish(loop: asyncio.AbstractEventLoop, answers: AsyncGenerator[Decoded, None]) -> None:
    """Close the requests under way, also where Ctrl-C came while one was waited for."""
    if under_way := asyncio.all_tasks(loop):
        for task in under_way:
            task.cancel()
        loop.run_until_complete(asyncio.wait(under_way))
    loop.run_until_complete(answers.aclose())
    loop.close()


Results: TypeAlias = "asyncio.Queue[Decoded | BaseException | None]"


def _tell(results: Results, worker: asyncio.Task[None]) -> None:
    """Pass on what ended a worker, so that nobody waits for its texts."""
    if not worker.cancelled() and (error := worker.exception()) is not None:
        results.put_nowait(error)


class _Tally:
    """How the requests of a run fare, and whether it is of use to go on."""

    def __init__(self, rows: int) -> None:
        self.rows = rows
        self.failed: list[tuple[int, str]] = []
        self.in_a_row = 0
        self.last_success = time.monotonic()
        self.came = False

    def good(self) -> None:
        """A text came."""
        self.in_a_row, self.last_success, self.came = 0, time.monotonic(), True

    def bad(self, row: int, error: RequestError, begun: float) -> None:
        """A text that was asked for since `begun` cannot be had. Raises `ServerError` where no other can be had either."""
        self.failed.append((row, str(error)))
        self.in_a_row += 1
        silent = not error.answered and self.last_success <= begun
        gone = silent and (self.came or self.in_a_row >= min(self.rows, FIRST_FAILURES))
        if gone or self.in_a_row >= MOST_WRONG:
            why = "" if gone else f"; the last {self.in_a_row} texts all failed"
            raise ServerError(f"{error}{why}")

    def refuse_if_any(self) -> None:
        """Raise `DrawError` where some texts could not be had."""
        if self.failed:
            raise DrawError(f"{len(self.failed):,} of {self.rows:,} texts could not be drawn", self.failed)


async def _served(server: Server) -> list[str]:
    async with server.session() as session:
        answer = await server.ask(session, "GET", "/models", None, lambda content: read_answer(content, ServedModels))
    return [model.id for model in answer.data]
