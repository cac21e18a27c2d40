"""The text of new tokens as it continues its prompt."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from temp_processors.engines.engine import Decoded

CONTEXT = 64
"""Tokens of the prompt that are decoded with the new ones: the last ones decide how a text goes on."""


def continuation_text(tokenizer: Any, prompt_ids: Sequence[int], token_ids: Sequence[int]) -> str:
    """The new tokens decoded behind their prompt, without the prompt's text and without special tokens.

    A sentencepiece tokenizer drops the space before the first token that it decodes: ` was` alone becomes `was`, behind `Hello` it stays
    ` was`. Where the prompt's own text changes with what follows (it ends inside a character), the new tokens are decoded alone.

    Args:
        tokenizer: Of transformers.
        prompt_ids: Empty for a model whose texts do not continue its prompt, such as an encoder-decoder.
        token_ids: The new ones.

    Example:
        >>> from transformers import AutoTokenizer
        >>> from temp_processors.fox import FOX_PATH
        >>> fox = AutoTokenizer.from_pretrained(FOX_PATH)
        >>> continuation_text(fox, fox("The quick brown")["input_ids"], fox(" fox")["input_ids"][-1:])
        ' fox'
    """
    last = list(prompt_ids[-CONTEXT:])
    prompt, whole = (tokenizer.decode(ids, skip_special_tokens=True) for ids in (last, [*last, *token_ids]))
    if prompt and whole.startswith(prompt):
        return str(whole[len(prompt) :])
    return str(tokenizer.decode(list(token_ids), skip_special_tokens=True))


def drawn_text(tokenizer: Any, prompt_ids: Sequence[int], done: Decoded) -> str:
    """The text of a row: as the engine gave it, else that of its tokens."""
    return continuation_text(tokenizer, prompt_ids, done.token_ids) if done.text is None else done.text


class StopTexts:
    """Texts that end a continuation where they first appear.

    Args:
        tokenizer: Of transformers.
        stops: The texts; none, and nothing ends.

    Example:
        >>> StopTexts(None, ["\\n", "Q:"]).cut("Paris. Q: What\\n")
        'Paris. '
    """

    def __init__(self, tokenizer: Any, stops: Sequence[str]) -> None:
        self.tokenizer, self.stops = tokenizer, tuple(stops)
        self.window = max((len(stop.encode()) for stop in stops), default=0) + 2

    def end(self, token_ids: Sequence[int]) -> bool:
        """Whether one of them is in the last tokens: a token is at least one byte, so they reach back far enough."""
        text = self.tokenizer.decode(list(token_ids[-self.window :]), skip_special_tokens=True)
        return any(stop in text for stop in self.stops)

    def cut(self, text: str) -> str:
        """`text` up to the first of them."""
        found = [place for stop in self.stops if (place := text.find(stop)) >= 0]
        return text[: min(found)] if found else text
