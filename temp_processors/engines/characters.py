"""What stands in for a tokenizer where the tokens are inside a server: prompts travel as texts, or as chats."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any

TEXT = 0
"""The first id of a prompt that is a text; one that is a chat has none in front, as texts with a chat template have none."""


class Characters:
    """Every character is a token; a chat is written as its messages in JSON, and not by a template of a model.

    Example:
        >>> held = Characters()
        >>> held.prompt(held("Hi")["input_ids"])
        'Hi'
        >>> chat = held.apply_chat_template([{"role": "user", "content": "Hi"}])
        >>> held.prompt(held(chat, add_special_tokens=False)["input_ids"])
        [{'role': 'user', 'content': 'Hi'}]
    """

    chat_template = "messages as JSON"
    eos_token_id = None
    all_special_ids = (TEXT,)

    def __call__(self, text: str, *, add_special_tokens: bool = True) -> dict[str, list[int]]:
        return {"input_ids": [*([TEXT] if add_special_tokens else []), *map(ord, text)]}

    def decode(self, ids: Sequence[int], *, skip_special_tokens: bool = True) -> str:
        """The characters."""
        return "".join(map(chr, ids))

    def get_vocab(self) -> dict[str, int]:
        """None is known."""
        return {}

    def apply_chat_template(self, messages: Sequence[Mapping[str, Any]], **_: Any) -> str:
        """The messages as JSON."""
        return json.dumps(messages, ensure_ascii=False)

    def prompt(self, ids: Sequence[int]) -> str | list[dict[str, Any]]:
        """The prompt of these ids: a text, or the messages of a chat."""
        if ids[0] == TEXT:
            return self.decode(ids[1:])
        messages: list[dict[str, Any]] = json.loads(self.decode(ids))
        return messages
