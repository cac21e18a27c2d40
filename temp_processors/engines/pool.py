"""One pool of requests over a whole run, at one server or at several that share the work.

Every server has its own workers, each of which takes the next piece of work once it is free. A server that is gone leaves its work to the
others; a text that cannot be had is told at the end.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections import deque
from collections.abc import AsyncGenerator, Awaitable, Callable, Iterable, Iterator, Sequence
from functools import partial
from typing import TypeAlias

import aiohttp

from temp_processors.engines.engine import Decoded, DrawError, DrawOptions
from temp_processors.engines.server import RequestError, Server, ServerError

MOST_WRONG = 256
"""Texts that fail one after another, without a good one between them, until the rest is not asked for any more."""
FIRST_FAILURES = 3
"""Texts that fail without an answer before any has come, until a server counts as gone: the others may just be slower."""

logger = logging.getLogger(__name__)

Rows = tuple[int, ...]
"""Positions of the rows that one request asks for."""
Ask: TypeAlias = "Callable[[Server, aiohttp.ClientSession, Rows], Awaitable[Sequence[Decoded]]]"
"""The rows that one request gave: at least one, at most all that were asked for. Raises `ServerError`, `RequestError` among them."""


def drawn(
    servers: Sequence[Server], work: Iterable[Rows], rows: int, ask: Ask, options: DrawOptions
) -> Iterator[Decoded]:
    """Rows in the order in which they come; `on_tokens` is called for every text, since an answer comes whole.

    Args:
        servers: At least one.
        work: What each request asks for, every row once.
        rows: How many rows that are.
        ask: Sends one.
        options: Of which `on_tokens` is used.

    Raises:
        DrawError: Some rows could not be had; all others were handed over before.
        ServerError: Every request is refused, or every server is gone.
    """
    loop = asyncio.new_event_loop()
    answers = _Pool(servers, work, rows, ask).answers()
    try:
        while (done := loop.run_until_complete(anext(answers, None))) is not None:
            options.on_tokens(done.steps)
            yield done
    finally:
        _finish(loop, answers)


def _finish(loop: asyncio.AbstractEventLoop, answers: AsyncGenerator[Decoded, None]) -> None:
    """Close the requests under way, also where Ctrl-C came while one was waited for."""
    if under_way := asyncio.all_tasks(loop):
        for task in under_way:
            task.cancel()
        loop.run_until_complete(asyncio.wait(under_way))
    loop.run_until_complete(answers.aclose())
    loop.close()


class _Shared:
    """Work that several servers take from, and may give back to the others; no server gets a piece twice that it gave back.

    Args:
        work: All of it.
        takers: How many servers there are.
    """

    def __init__(self, work: Iterable[Rows], takers: int) -> None:
        self.fresh = iter(work)
        self.back: deque[tuple[Rows, frozenset[int]]] = deque()
        self.under_way = 0
        self.alive = set(range(takers))
        self.changed = asyncio.Condition()

    async def take(self, taker: int) -> tuple[Rows, frozenset[int]] | None:
        """The next piece for a server, with those that had it; waits while others may give some back. None at the end."""
        async with self.changed:
            while taker in self.alive:
                if (found := self._next(taker)) is not None:
                    self.under_way += 1
                    return found
                if not self.under_way:
                    return None
                await self.changed.wait()
            return None

    def _next(self, taker: int) -> tuple[Rows, frozenset[int]] | None:
        for place, (rows, had) in enumerate(self.back):
            if taker not in had:
                del self.back[place]
                return rows, had
        fresh = next(self.fresh, None)
        return None if fresh is None else (fresh, frozenset())

    async def done(self, rows: Rows = (), had: frozenset[int] = frozenset()) -> Rows:
        """A piece is done with, and what is left of it comes back. The rows that no server is left for."""
        async with self.changed:
            self.under_way -= 1
            self.changed.notify_all()
            if rows and self.alive - had:
                self.back.append((rows, had))
                return ()
            return rows

    async def leave(self, taker: int) -> Rows:
        """A server is gone. The rows that no server is left for."""
        async with self.changed:
            self.alive.discard(taker)
            self.changed.notify_all()
            lost = [piece for piece in self.back if not self.alive - piece[1]]
            self.back = deque(piece for piece in self.back if self.alive - piece[1])
            return tuple(row for rows, _ in lost for row in rows)


Results: TypeAlias = "asyncio.Queue[Sequence[Decoded] | BaseException | int]"
"""Texts that came, how many did not, or what ended a worker."""


def _tell(results: Results, worker: asyncio.Task[None]) -> None:
    """Pass on what ended a worker, so that nobody waits for its texts."""
    if not worker.cancelled() and (error := worker.exception()) is not None:
        results.put_nowait(error)


class _Pool:
    """The workers of all servers, and what they share."""

    def __init__(self, servers: Sequence[Server], work: Iterable[Rows], rows: int, ask: Ask) -> None:
        self.servers, self.work, self.rows, self.ask = servers, work, rows, ask
        self.failed: list[tuple[int, str]] = []
        self.health = [Health(rows) for _ in servers]

    async def answers(self) -> AsyncGenerator[Decoded, None]:
        """Texts as they come."""
        results: Results = asyncio.Queue()
        shared = _Shared(self.work, len(self.servers))
        sessions = [server.session() for server in self.servers]
        workers = [
            asyncio.create_task(self._work(place, sessions[place], shared, results))
            for place, server in enumerate(self.servers)
            for _ in range(min(server.options.concurrency, self.rows))
        ]
        for worker in workers:
            worker.add_done_callback(partial(_tell, results))
        left = self.rows
        try:
            while left:
                result = await results.get()
                if isinstance(result, BaseException):
                    raise result
                left -= result if isinstance(result, int) else len(result)
                for done in () if isinstance(result, int) else result:
                    yield done
        finally:
            for worker in workers:
                worker.cancel()
            await asyncio.gather(*workers, return_exceptions=True)
            for session in sessions:
                await session.close()
        if self.failed:
            raise DrawError(f"{len(self.failed):,} of {self.rows:,} texts could not be drawn", self.failed)

    async def _work(self, place: int, session: aiohttp.ClientSession, shared: _Shared, results: Results) -> None:
        """Ask one server for one piece after another, until there is none or it is gone."""

        def cannot_be_had(rows: Rows, error: ServerError) -> None:
            self.failed += [(row, str(error)) for row in rows]
            results.put_nowait(len(rows))

        while (taken := await shared.take(place)) is not None:
            rows, had = taken
            begun = time.monotonic()
            try:
                found = await self.ask(self.servers[place], session, rows)
            except ServerError as error:
                one = error if isinstance(error, RequestError) else None
                if one is None or self.health[place].bad(one, begun, len(rows)):
                    cannot_be_had(await self._lose(place, error, shared), error)
                elsewhere = one is None or not one.answered
                had = had | {place} if elsewhere else frozenset(range(len(self.servers)))
                cannot_be_had(await shared.done(rows, had), error)
            else:
                self.health[place].good()
                results.put_nowait(found)
                await shared.done(tuple(sorted(set(rows) - {row.row for row in found})), had)

    async def _lose(self, place: int, error: ServerError, shared: _Shared) -> Rows:
        """Go on without a server; the rows that none is left for. Raises its error where it is the last one."""
        if place not in shared.alive:
            return ()
        if len(shared.alive) == 1:
            raise error
        logger.warning("goes on without a server: %s", error)
        return await shared.leave(place)


class Health:
    """How the requests to one server fare, and whether it is of use to go on.

    Args:
        rows: Texts of the run.
    """

    def __init__(self, rows: int) -> None:
        self.rows = rows
        self.in_a_row = 0
        self.last_success = time.monotonic()
        self.came = False

    def good(self) -> None:
        """A text came."""
        self.in_a_row, self.last_success, self.came = 0, time.monotonic(), True

    def bad(self, error: RequestError, begun: float, texts: int = 1) -> bool:
        """Some texts that were asked for since `begun` cannot be had; whether no other can be had either.

        Raises:
            ServerError: The server answers, and wrongly every time.
        """
        self.in_a_row += texts
        silent = not error.answered and self.last_success <= begun
        gone = silent and (self.came or self.in_a_row >= min(self.rows, FIRST_FAILURES))
        if self.in_a_row >= MOST_WRONG and not gone:
            raise ServerError(f"{error}; the last {self.in_a_row} texts all failed")
        return gone


def one_each(rows: int) -> Iterator[Rows]:
    """A request for every row."""
    return ((place,) for place in range(rows))
