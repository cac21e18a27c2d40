"""Prompts as the model reads them: chat templates applied, tokenized, checked against the context."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from temp_processors.config.prompts import Messages, Prompt
from temp_processors.engines.engine import Engine, ModelError


@dataclass(frozen=True)
class Prompts:
    """Texts, as samples show them, and their token ids."""

    texts: list[str]
    token_ids: list[tuple[int, ...]]

    @property
    def digest(self) -> str:
        """Changes when any prompt changes."""
        return hashlib.blake2b(json.dumps(self.token_ids).encode(), digest_size=16).hexdigest()


def prepare(prompts: Sequence[Prompt], engine: Engine, system: str | None, max_new_tokens: int) -> Prompts:
    """Tokenize every prompt. With `system`, texts become chats that begin with it.

    Raises:
        ModelError: The tokenizer has no chat template, a prompt has no tokens, or it does not fit into the context.
    """
    chats = [prompt if isinstance(prompt, str) and system is None else _chat(prompt, system) for prompt in prompts]
    texts = [chat if isinstance(chat, str) else _render(chat, engine.tokenizer) for chat in chats]
    token_ids = [
        tuple(engine.tokenizer(text, add_special_tokens=isinstance(chat, str))["input_ids"])
        for chat, text in zip(chats, texts, strict=True)
    ]
    limit = getattr(engine.model_config, "max_position_embeddings", None)
    new = (
        0 if engine.model_config.is_encoder_decoder else max_new_tokens
    )  # a decoder of its own has a context of its own
    for number, ids in enumerate(token_ids):
        _check(number, texts[number], len(ids), new, limit)
    return Prompts(texts, token_ids)


def _chat(prompt: Prompt, system: str | None) -> Messages:
    messages = [{"role": "user", "content": prompt}] if isinstance(prompt, str) else prompt
    return messages if system is None else [{"role": "system", "content": system}, *messages]


def _render(messages: Messages, tokenizer: Any) -> str:
    if getattr(tokenizer, "chat_template", None) is None:
        raise ModelError("prompts: are chats, but the tokenizer of this model has no chat template")
    rendered: str = tokenizer.apply_chat_template(messages, tokenize=False, add_generation_prompt=True)
    return rendered


def _check(number: int, text: str, length: int, max_new_tokens: int, limit: int | None) -> None:
    if not length:
        raise ModelError(f"prompts.{number}: the tokenizer makes no token of {text!r}")
    if limit is not None and length + max_new_tokens > limit:
        new = f", and {max_new_tokens} new ones make {length + max_new_tokens}" if max_new_tokens else ""
        raise ModelError(f"prompts.{number}: has {length} tokens{new}, but the model's context holds {limit}")
