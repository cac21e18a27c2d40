"""Draw continuations at any OpenAI-compatible server, of which nothing but the address and the name of the model is known.

Prompts are sent as texts or chats and texts come back: no token ids, log-probabilities where the server tells those before the temperature.
A policy has to be one that the server's own fields say in full (`exchange/`); what the server does with them is found out before anything
is drawn. The pool, the retries and the end of a run whose server is gone are those of `engine: vllm` at a server.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass, field, replace
from itertools import groupby
from typing import Any

import aiohttp
from torch import Tensor
from transformers import GenerationConfig, PretrainedConfig

from temp_processors.audit.findings import Finding
from temp_processors.config.experiment import ExperimentConfig
from temp_processors.config.sections import model_spec
from temp_processors.engines.characters import Characters
from temp_processors.engines.engine import Decoded, DecodeRow, DrawOptions, InTurn, ModelError
from temp_processors.engines.openai_probe import Probe, Probed
from temp_processors.engines.openai_requests import DIALECTS, Asking, Carried, carried, first_is_chat
from temp_processors.engines.pool import Rows, drawn
from temp_processors.engines.served import asked_what_they_serve, servers_of
from temp_processors.engines.server import OPENAI_KEY, Server
from temp_processors.exchange.steps import Step, steps_of
from temp_processors.policies.base import PolicyLogitsWarper
from temp_processors.trace.table import TokenTrace


@dataclass(frozen=True)
class OpenAIEngine(InTurn):
    """A model behind `base_url`.

    Args:
        servers: Where it is; several share the work.
        asking: What all requests have in common.
        n: Texts of one request.
        findings: What the servers ignore, and what they do not tell.
        tokenizer: Stands in for the tokenizer, which is inside the servers.
        model_config: Says nothing of the model: no context, no vocabulary.
        generation_config: Sets nothing: what the servers set is replaced by the fields of every request.
    """

    servers: Sequence[Server]
    asking: Asking
    n: int = 1
    findings: tuple[Finding, ...] = ()
    tokenizer: Characters = field(default_factory=Characters)
    model_config: Any = field(default_factory=PretrainedConfig)
    generation_config: Any = field(default_factory=GenerationConfig)

    @classmethod
    def load(cls, config: ExperimentConfig) -> OpenAIEngine:
        """Ask the servers what they serve, and what they do with the fields of the policies.

        Raises:
            ConfigError: Some policies cannot be said in full in the server's fields; before any server is asked.
            ServerError: None of the servers answers, one serves something else, or it refuses a field.
        """
        steps = [step for policy in carried(config) for step in steps_of(policy.policy)]
        options, name = config.engine_options, model_spec(config.model).name
        alive = asked_what_they_serve(servers_of(config, OPENAI_KEY))
        servers, model = alive.of_model(name, f"{name}:latest")
        chat = options.endpoint == "chat"
        asking = Asking(options.server, model, chat, config.max_new_tokens, config.stop)
        if options.server == "ollama":  # its own API stands beside the one that it shares with OpenAI
            servers = [replace(server, address=server.address.without("/v1")) for server in servers]
        probed = asyncio.run(_probed(servers, asking, first_is_chat(config), steps))
        found = dict.fromkeys(finding for one in probed for finding in one.findings)
        told = all(one.log_probs for one in probed)
        return cls(servers, replace(asking, log_probs=1 if told else 0), options.n, tuple(found))

    @property
    def independent_rows(self) -> bool:
        """True: a request is a text, whatever else is asked for."""
        return True

    def describe(self) -> dict[str, Any]:
        """The name under which it is served, by whom; the server may have moved."""
        return {"engine": f"server: {self.asking.model}", "server": self.asking.dialect}

    def prepare(self, config: ExperimentConfig) -> list[Carried]:
        """The policies as the server's fields.

        Raises:
            ConfigError: As `carried`.
        """
        return carried(config)

    def draw(self, rows: Sequence[DecodeRow], policies: Sequence[Carried], options: DrawOptions) -> Iterator[Decoded]:
        """Continue every row; `on_tokens` is called for every text, since an answer comes whole.

        Raises:
            DrawError: Some rows could not be had; all others were handed over before.
            ServerError: Every request is refused, or every server is gone.
        """
        asking = replace(self.asking, max_new_tokens=options.max_new_tokens)

        async def ask(server: Server, session: aiohttp.ClientSession, places: Rows) -> list[Decoded]:
            row = rows[places[0]]
            prompt, fields = self.tokenizer.prompt(row.prompt_ids), policies[row.policy].of(row.seed)
            texts = await asking.texts(server, session, prompt, fields, row.seed, len(places))
            return [
                Decoded(
                    place,
                    [],
                    text.finish_reason,
                    text.log_prob if asking.log_probs else None,
                    None,
                    text.text,
                    text.tokens,
                )
                for place, text in zip(
                    places, texts, strict=False
                )  # fewer texts than asked for: the rest is asked for again
            ]

        return drawn(self.servers, self._work(rows), len(rows), ask, options)

    def _work(self, rows: Sequence[DecodeRow]) -> Iterator[Rows]:
        """Rows of one request: `n` of one prompt and policy."""
        if self.n == 1:
            yield from ((place,) for place in range(len(rows)))
            return
        order = sorted(range(len(rows)), key=lambda place: (rows[place].prompt_ids, rows[place].policy))
        for _, same in groupby(order, key=lambda place: (rows[place].prompt_ids, rows[place].policy)):
            places = tuple(same)
            yield from (places[start : start + self.n] for start in range(0, len(places), self.n))

    def sampler_stack(self, config: ExperimentConfig, policies: Sequence[Carried]) -> dict[str, Any]:
        """For every policy the fields that carry it, and what the server does with them."""
        found = [asdict(finding) for finding in self.findings]
        return {
            named.name: {
                "mode": "sample",
                "stack": [
                    {"name": named.policy.kind, "parameters": dict(policy.fields), "origin": "experiment"},
                    {"name": DIALECTS[self.asking.dialect].name, "parameters": {}, "origin": "experiment"},
                ],
                "effective_temperature": "by the server",
                "findings": found,
            }
            for named, policy in zip(config.policies, policies, strict=True)
        }

    def why_not_traced(self) -> str | None:
        """The reason: a server tells texts, and no tokens of them."""
        return "the server tells no token ids"

    def trace(self, ids: Tensor, policy: PolicyLogitsWarper, prompt_length: int, *, top_k: int) -> TokenTrace:
        """Refused: there are no tokens to trace.

        Raises:
            ModelError: Always.
        """
        raise ModelError(f"engine: {self.why_not_traced()}")


async def _probed(servers: Sequence[Server], asking: Asking, chat: bool, steps: Sequence[Step]) -> list[Probed]:
    async def one(server: Server) -> Probed:
        async with server.session() as session:
            return await Probe(server, session, asking, chat).probed(steps)

    return await asyncio.gather(*(one(server) for server in servers))
