"""Draw continuations at a running OpenAI-compatible server: `vllm serve` with this package's processor.

Prompts are sent as token ids and come back as token ids, so that nothing is tokenised twice. One pool of requests works off
the whole run. A busy or unreachable server and a wrong answer are asked again a bounded number of times; a text that still
cannot be had is told at the end.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import aiohttp

from temp_processors.audit.neutral import SAMPLING_FIELDS
from temp_processors.config.experiment import ExperimentConfig
from temp_processors.config.sections import model_spec
from temp_processors.engines.answers import Asked, Completion, read_answer
from temp_processors.engines.engine import Decoded, DecodeRow, DrawOptions, model_path
from temp_processors.engines.pool import Rows, drawn, one_each
from temp_processors.engines.requests import Checkpoint, OnVllm, requests_of
from temp_processors.engines.served import asked_what_they_serve, servers_of
from temp_processors.engines.server import VLLM_KEY, Server
from temp_processors.serving.rows import KEY, of_text

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
        servers: Where it is, and how it is asked; several share the work.
        name: Under which they serve the model.
    """

    servers: Sequence[Server]
    name: str

    @classmethod
    def load(cls, config: ExperimentConfig) -> ServerEngine:
        """Ask the server what it serves.

        Raises:
            ServerError: It does not answer, or serves something else.
            ModelError: The checkpoint cannot be read on this side.
            ConfigError, PolicyError: As `requests_of`, before the server is asked.
        """
        spec, servers = model_spec(config.model), servers_of(config, VLLM_KEY)
        checkpoint, path = Checkpoint.read(spec), model_path(spec.name)
        requests_of(config, checkpoint.tokenizer)
        alive = asked_what_they_serve(servers)
        return cls(checkpoint, *alive.of_model(spec.name, path, only=True))

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
            ServerError: Every request is refused, or every server is gone.
        """
        asked = Asked(options.max_new_tokens, frozenset(self.checkpoint.eos_token_ids), self.vocabulary)

        async def ask(server: Server, session: aiohttp.ClientSession, places: Rows) -> list[Decoded]:
            (number,) = places
            row = rows[number]
            body = self._body(row, policies[row.policy], options.max_new_tokens)

            def read(content: bytes) -> Decoded:
                return asked.row_of(number, row, read_answer(content, Completion))

            return [await server.ask(session, "POST", "/completions", body, read)]

        return drawn(self.servers, one_each(len(rows)), len(rows), ask, options)

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
