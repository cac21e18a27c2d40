"""What the servers of a configuration serve: they are asked before anything else, and one that is gone is left out."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Sequence
from dataclasses import dataclass

from temp_processors.addresses import Address
from temp_processors.config.experiment import ExperimentConfig
from temp_processors.engines.answers import ServedModels, read_answer
from temp_processors.engines.server import Server, ServerError

logger = logging.getLogger(__name__)


def servers_of(config: ExperimentConfig, key_variable: str) -> list[Server]:
    """The servers behind `base_url`.

    Raises:
        ServerError: As `Server.of`.
    """
    given = config.base_url
    assert given is not None  # `load_engine` chose an engine at a server
    addresses = [given] if isinstance(given, Address) else given
    return [Server.of(address, config.engine_options, key_variable) for address in addresses]


@dataclass(frozen=True)
class Alive:
    """Servers that answer, and the names of the models of each."""

    served: Sequence[tuple[Server, list[str]]]

    def of_model(self, *names: str, only: bool = False) -> tuple[list[Server], str]:
        """The servers, and the first of some names under which all of them serve.

        Args:
            names: What the model may be called.
            only: Whether a server of a single model is taken for it, whatever the name.

        Raises:
            ServerError: One of them does not serve the model, or not under the name that the others have.
        """
        allowed = list(names)
        first = self.served[0][1]
        if only and len(first) == 1:
            allowed.insert(0, first[0])
        for name in allowed:
            if all(name in served for _, served in self.served):
                return [server for server, _ in self.served], name
        server, served = next(pair for pair in self.served if allowed[0] not in pair[1])
        raise ServerError(server.said(f"serves {', '.join(served) or 'nothing'}, but not {allowed[0]!r}"))


def asked_what_they_serve(servers: Sequence[Server]) -> Alive:
    """Those of the servers that answer, one at least.

    Raises:
        ServerError: None does; the error of the first.
    """
    found = asyncio.run(_all_of(servers))
    alive = [(server, said) for server, said in zip(servers, found, strict=True) if isinstance(said, list)]
    errors = [said for said in found if isinstance(said, ServerError)]
    if not alive:
        raise errors[0]
    for error in errors:
        logger.warning("goes on without a server: %s", error)
    return Alive(alive)


async def _all_of(servers: Sequence[Server]) -> list[list[str] | ServerError]:
    return await asyncio.gather(*(_served(server) for server in servers))


async def _served(server: Server) -> list[str] | ServerError:
    try:
        async with server.session() as session:
            answer = await server.ask(
                session, "GET", "/models", None, lambda content: read_answer(content, ServedModels)
            )
    except ServerError as error:
        return error
    return [model.id for model in answer.data]
