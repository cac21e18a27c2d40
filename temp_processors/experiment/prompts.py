"""Prompts as the model reads them: chat templates applied, tokenized, checked against the context."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from jinja2 import TemplateError

from temp_processors.config.prompts import Messages, Prompt
from temp_processors.engines.engine import ModelError

PROBE = "The quick  brown fox, don't 1234 ÀÉß ﬁ 敏捷的 ไทย \U0001f98a\n\tEnd."
"""A text with what tokenizers treat in ways of their own: spaces, digits, accents, ligatures, scripts, an emoji."""
PROBED = 1000
"""Tokens that are decoded in a row."""


@dataclass(frozen=True)
class Prompts:
    """Texts, as samples show them, and their token ids."""

    texts: list[str]
    token_ids: list[tuple[int, ...]]

    @property
    def digest(self) -> str:
        """Changes when any prompt changes."""
        return hashlib.blake2b(json.dumps(self.token_ids).encode(), digest_size=16).hexdigest()


class Reader(Protocol):
    """What makes tokens of prompts: an engine, or what `read_prompts_with` gives before there is one."""

    @property
    def tokenizer(self) -> Any:
        """The model's tokenizer."""

    @property
    def model_config(self) -> Any:
        """transformers' configuration of the model."""


def tokenizer_digest(tokenizer: Any) -> str:
    """Changes when the tokenizer reads or writes texts otherwise: its tokens, its merges, and what it does to `PROBE`.

    Taken of what it does and not of its file, which another version of the library may write otherwise.
    """
    tokens = sorted((place, token) for token, place in tokenizer.get_vocab().items())
    read = tokenizer(PROBE, add_special_tokens=True)["input_ids"]
    written = tokenizer.decode([place for place, _ in tokens[:PROBED]])
    backend = getattr(tokenizer, "backend_tokenizer", None)
    rules = json.loads(backend.to_str())["model"].get("merges") if backend is not None else None
    merges = [rule if isinstance(rule, str) else " ".join(rule) for rule in rules or []]
    known = json.dumps([tokens, read, written, merges, tokenizer.all_special_ids])
    return hashlib.blake2b(known.encode(), digest_size=16).hexdigest()


def prepare(prompts: Sequence[Prompt], reader: Reader, system: str | None, max_new_tokens: int) -> Prompts:
    """Tokenize every prompt. With `system`, texts become chats that begin with it.

    Raises:
        ModelError: The tokenizer has no chat template, a prompt has no tokens, or it does not fit into the context.
    """
    chats = [prompt if isinstance(prompt, str) and system is None else _chat(prompt, system) for prompt in prompts]
    texts = [
        chat if isinstance(chat, str) else _render(number, chat, reader.tokenizer) for number, chat in enumerate(chats)
    ]
    token_ids = [
        tuple(reader.tokenizer(text, add_special_tokens=isinstance(chat, str))["input_ids"])
        for chat, text in zip(chats, texts, strict=True)
    ]
    if reader.model_config.is_encoder_decoder:
        _check_decoder(max_new_tokens, _context(reader.model_config, decoder=True))
        limit, new = _context(reader.model_config, encoder=True), 0
    else:
        limit, new = _context(reader.model_config), max_new_tokens
    for number, ids in enumerate(token_ids):
        _check(number, texts[number], len(ids), new, limit)
    return Prompts(texts, token_ids)


def _context(model_config: Any, **part: bool) -> int | None:
    """Most tokens that the model, or its encoder or decoder, reads; None where nothing bounds it (relative positions).

    The settings of a composite model, such as a vision-language one, hold those of its text model. XLNet writes -1.
    """
    limit = getattr(model_config.get_text_config(**part), "max_position_embeddings", None)
    return limit if limit is not None and limit > 0 else None


def _chat(prompt: Prompt, system: str | None) -> Messages:
    messages = [{"role": "user", "content": prompt}] if isinstance(prompt, str) else prompt
    return messages if system is None else [{"role": "system", "content": system}, *messages]


TEMPLATE_ERRORS = (AttributeError, ImportError, LookupError, TemplateError, TypeError, ValueError)
"""What a chat template raises: TemplateError where it refuses a chat (roles that do not alternate, a system prompt it does not know),
an error of Python's where it meets content that it was not written for."""


def _render(number: int, messages: Messages, tokenizer: Any) -> str:
    if getattr(tokenizer, "chat_template", None) is None:
        raise ModelError("prompts: are chats, but the tokenizer of this model has no chat template")
    try:
        rendered: str = tokenizer.apply_chat_template(messages, tokenize=False, add_generation_prompt=True)
    except TEMPLATE_ERRORS as error:
        reason = str(error).strip().split("\n")[0] or type(error).__name__
        roles = ", ".join(str(message["role"]) for message in messages)
        raise ModelError(
            f"prompts.{number}: the model's chat template refuses it: {reason} (roles: {roles})"
        ) from error
    return rendered


def _check_decoder(max_new_tokens: int, limit: int | None) -> None:
    if limit is not None and 1 + max_new_tokens > limit:
        raise ModelError(
            f"max_new_tokens: {max_new_tokens} new tokens and the start token make {1 + max_new_tokens}, "
            f"but the context of the model's decoder holds {limit}"
        )


def _check(number: int, text: str, length: int, max_new_tokens: int, limit: int | None) -> None:
    if not length:
        raise ModelError(f"prompts.{number}: the tokenizer makes no token of {text!r}")
    if limit is not None and length + max_new_tokens > limit:
        new = f", and {max_new_tokens} new ones make {length + max_new_tokens}" if max_new_tokens else ""
        raise ModelError(f"prompts.{number}: has {length} tokens{new}, but the model's context holds {limit}")
