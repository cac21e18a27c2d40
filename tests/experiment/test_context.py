"""Prompts against the context and the chat template of a model: one line that names the prompt, before anything is drawn."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest
from transformers import BartConfig, LlavaConfig, MBartConfig, T5Config, T5GemmaConfig, XLNetConfig

from temp_processors.engines.engine import ModelError
from temp_processors.experiment.prompts import prepare
from tests.models import tiny_llama, tiny_tokenizer

BART = {"max_position_embeddings": 12}
TEXT = {"model_type": "llama", "max_position_embeddings": 12}
CASES: list[tuple[Any, int, int, str | None]] = [
    (tiny_llama(max_position_embeddings=12).config, 8, 4, None),
    (tiny_llama(max_position_embeddings=12).config, 8, 5, "prompts.0: has 8 tokens, and 5 new ones make 13, but .* 12"),
    (LlavaConfig(text_config=TEXT), 8, 5, "prompts.0: has 8 tokens, and 5 new ones make 13, but .* 12"),
    (BartConfig(**BART), 12, 11, None),
    (BartConfig(**BART), 13, 11, "prompts.0: has 13 tokens, but the model's context holds 12"),
    (BartConfig(**BART), 3, 12, "max_new_tokens: 12 new tokens and the start token make 13, but .* decoder holds 12"),
    (MBartConfig(**BART), 3, 40, "max_new_tokens: 40 new tokens and the start token make 41, but .* decoder holds 12"),
    (T5Config(), 600, 600, None),
    (T5GemmaConfig(encoder=BART, decoder=BART), 3, 12, "max_new_tokens: 12 new"),
    (XLNetConfig(), 600, 600, None),
]


@pytest.mark.parametrize(
    ("config", "length", "new", "line"), CASES, ids=lambda value: getattr(value, "model_type", None)
)
def test_prompts_and_new_tokens_fit(config: Any, length: int, new: int, line: str | None) -> None:
    engine: Any = SimpleNamespace(tokenizer=tiny_tokenizer(), model_config=config)
    if line is None:
        assert len(prepare(["a" * length], engine, None, new).token_ids[0]) == length
        return
    with pytest.raises(ModelError, match=line):
        prepare(["a" * length], engine, None, new)


ALTERNATES = (
    "{% for message in messages %}"
    "{% if (message['role'] == 'user') != (loop.index0 % 2 == 0) %}"
    "{{ raise_exception('Conversation roles must alternate user/assistant/user/assistant/...') }}{% endif %}"
    "{{ message['content'] }}{% endfor %}"
)
USER, ASSISTANT = {"role": "user", "content": "hi"}, {"role": "assistant", "content": "ho"}
CHATS: list[tuple[str, list[dict[str, str]], str]] = [
    (ALTERNATES, [USER, USER], r"refuses it: Conversation roles must alternate .* \(roles: user, user\)"),
    (ALTERNATES, [ASSISTANT], r"refuses it: Conversation roles must alternate .* \(roles: assistant\)"),
    ("{{ raise_exception('System role not supported') }}", [USER], "refuses it: System role not supported"),
    ("{{ messages[0]['content'] + 5 }}", [USER], "refuses it: .*concatenate"),
    ("{{ messages[0].name.first }}", [USER], "refuses it: 'dict object' has no attribute 'name'"),
    ("{% for message in messages %}", [USER], "refuses it: "),
    ("{{ messages | no_such_filter }}", [USER], "refuses it: No filter named 'no_such_filter'"),
    ("{{ messages[7]['content'].strip() }}", [USER], "refuses it: "),
]


@pytest.mark.parametrize(("template", "chat", "line"), CHATS)
def test_a_chat_template_that_raises(template: str, chat: list[dict[str, str]], line: str) -> None:
    tokenizer = tiny_tokenizer()
    tokenizer.chat_template = template
    engine: Any = SimpleNamespace(tokenizer=tokenizer, model_config=tiny_llama().config)
    with pytest.raises(ModelError, match=rf"^prompts\.1: the model's chat template {line}") as told:
        prepare(["a text", chat], engine, None, 4)
    assert "\n" not in str(told.value)


def test_chats_that_alternate_go_on() -> None:
    tokenizer = tiny_tokenizer()
    tokenizer.chat_template = ALTERNATES
    engine: Any = SimpleNamespace(tokenizer=tokenizer, model_config=tiny_llama().config)
    assert prepare([[USER, ASSISTANT, USER]], engine, None, 4).texts == ["hihohi"]
