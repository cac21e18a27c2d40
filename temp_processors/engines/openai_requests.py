"""Policies as the fields of a server, and the requests that carry them: OpenAI's API with the fields of a dialect, and Ollama's own."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import aiohttp

from temp_processors.config.experiment import ExperimentConfig
from temp_processors.config.yaml_lines import ConfigError, Problem
from temp_processors.engines.openai_answers import Text, texts_of, texts_of_ollama
from temp_processors.engines.server import Server
from temp_processors.exchange.formats import exported
from temp_processors.serving.rows import of_text

Prompt = str | list[dict[str, Any]]
"""A text, or the messages of a chat."""


class Dialect(NamedTuple):
    """How one kind of server is told what to do.

    Args:
        format: Key of `exchange.formats.FORMATS`: whose fields carry a policy.
        name: For people.
        seeds: Seeds are below this number.
        elsewhere: What else carries a policy that the fields cannot say.
        off: Fields that the format leaves out, at what switches them off: sent for servers that do not look at `samplers`.
    """

    format: str
    name: str
    seeds: int = 1 << 63
    elsewhere: str = ""
    off: Mapping[str, Any] = {}


DIALECTS = {
    "openai": Dialect(
        "openai", "an OpenAI-compatible server", elsewhere="; `engine_options.server` names one that knows more fields"
    ),
    "llama.cpp": Dialect(
        "llama.cpp",
        "llama.cpp's server",
        (1 << 32) - 1,
        off={"top_k": 0, "top_p": 1.0, "min_p": 0.0, "typical_p": 1.0, "repeat_penalty": 1.0},
    ),
    "ollama": Dialect("ollama", "Ollama", (1 << 31) - 1),
    "vllm": Dialect(
        "vllm", "vLLM's server", elsewhere="; `engine: vllm` carries it, at a server with this package's processor"
    ),
}
"""By `engine_options.server`."""


@dataclass(frozen=True)
class Carried:
    """A policy as the fields of a server.

    Args:
        policy: As data.
        dialect: Of the server.
    """

    policy: Mapping[str, Any]
    dialect: Dialect
    fields: Mapping[str, Any]

    def of(self, seed: int) -> Mapping[str, Any]:
        """The fields for the text of a seed: `kind: monte_carlo` draws its temperature on this side."""
        text = of_text(self.policy, seed)
        return self.fields if text == self.policy else exported(text, self.dialect.format).fields


def carried(config: ExperimentConfig) -> list[Carried]:
    """The policies of a configuration as the server takes them.

    Raises:
        ConfigError: Some cannot be said in full in its fields, each named with what of it cannot.
    """
    dialect = DIALECTS[config.engine_options.server]
    found, problems = [], []
    for place, named in enumerate(config.policies):
        policy = named.policy.model_dump(mode="json", exclude_none=True)
        said = exported(of_text(policy, 0), dialect.format)
        lost = list(said.not_carried) or (
            [f"{policy['kind']} is no plain number"] if "extra_args" in said.fields else []
        )
        if lost:
            message = f"{dialect.name} cannot carry it: {'; '.join(lost)}{dialect.elsewhere}"
            problems.append(Problem(f"policy {named.name!r}", None, ("policies", place), message))
        found.append(Carried(policy, dialect, said.fields))
    if problems:
        raise ConfigError(problems)
    return found


@dataclass(frozen=True)
class Asking:
    """What all requests of a run have in common.

    Args:
        dialect: A key of `DIALECTS`.
        model: Its name at the server.
        chat: Whether texts go to the endpoint of chats too, as what the user says.
        max_new_tokens: Most tokens of a text.
        stop: Texts that end a text.
        log_probs: How many alternatives to ask for with every token; 0 asks for no log-probabilities.
    """

    dialect: str
    model: str
    chat: bool
    max_new_tokens: int
    stop: Sequence[str] = ()
    log_probs: int = 0

    async def texts(
        self,
        server: Server,
        session: aiohttp.ClientSession,
        prompt: Prompt,
        fields: Mapping[str, Any],
        seed: int,
        n: int = 1,
    ) -> list[Text]:
        """One request: one text at least, `n` at most.

        Raises:
            RequestError, ServerError: As `Server.ask`.
        """
        seed %= DIALECTS[self.dialect].seeds
        write, read = (self._to_ollama, texts_of_ollama) if self.dialect == "ollama" else (self._to_any, texts_of)
        path, body = write(prompt, fields, seed, n)
        return await server.ask(session, "POST", path, body, lambda content: read(content, self.max_new_tokens, n))

    def _prompt(self, prompt: Prompt) -> tuple[bool, dict[str, Any]]:
        """Whether it goes to the endpoint of chats, and the field that carries it."""
        if isinstance(prompt, str) and not self.chat:
            return False, {"prompt": prompt}
        return True, {"messages": [{"role": "user", "content": prompt}] if isinstance(prompt, str) else prompt}

    def _to_any(self, prompt: Prompt, fields: Mapping[str, Any], seed: int, n: int) -> tuple[str, dict[str, Any]]:
        chat, asked = self._prompt(prompt)
        body = {"model": self.model, **asked, "max_tokens": self.max_new_tokens, "seed": seed}
        body |= {**DIALECTS[self.dialect].off, **fields}
        if n > 1:
            body["n"] = n
        if self.stop:
            body["stop"] = list(self.stop)
        if self.log_probs:
            body |= {"logprobs": True, "top_logprobs": self.log_probs} if chat else {"logprobs": self.log_probs}
        return "/chat/completions" if chat else "/completions", body

    def _to_ollama(self, prompt: Prompt, fields: Mapping[str, Any], seed: int, n: int) -> tuple[str, dict[str, Any]]:
        """Ollama's own API, since the one that it shares with OpenAI takes temperature and top-p alone."""
        options = {
            **fields,
            "seed": seed,
            "num_predict": self.max_new_tokens,
            **({"stop": list(self.stop)} if self.stop else {}),
        }
        chat, asked = self._prompt(prompt)
        body = {"model": self.model, **asked, "stream": False, "options": options}
        return ("/api/chat", body) if chat else ("/api/generate", {**body, "raw": True})


def first_is_chat(config: ExperimentConfig) -> bool:
    """Whether the first prompt goes to the endpoint of chats."""
    if config.engine_options.endpoint == "chat" or config.system_prompt is not None:
        return True
    source = config.prompts
    first = source[0] if isinstance(source, list) else source.model_copy(update={"limit": 1}).read()[0]
    return not isinstance(first, str)
