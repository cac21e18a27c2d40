"""Where prompts come from: a list in the configuration, a file, or a dataset."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import islice
from pathlib import Path
from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field, model_validator

from temp_processors.config.paths import PathText
from temp_processors.config.yaml_lines import Problem
from temp_processors.datafiles import RowsError, read_dataset, read_rows, text_of

Messages = list[dict[str, str]]
Prompt = str | Messages
"""A text, or the messages of a chat, each with `role` and `content`."""


class PromptError(ValueError):
    """Prompts cannot be read; the message says which and why, `problem` also at which field of the configuration."""

    def __init__(self, message: str, *below: str) -> None:
        self.problem = Problem("the configuration", None, ("prompts", *below), message)
        super().__init__(f"{'.'.join(map(str, self.problem.path))}: {message}")


class PromptSource(BaseModel):
    """Prompts from a file or a dataset.

    Args:
        file: A text file (one prompt a line, blank lines skipped) or JSONL, CSV or Parquet.
        dataset: Any id or folder that `datasets.load_dataset` takes; instead of `file`.
        subset: Configuration of the dataset.
        split: Part of the dataset.
        column: Column of the prompt: texts, or lists of messages for a chat template. `text` by default.
        limit: Read this many at most.
        streaming: Do not download the whole dataset first.
    """

    model_config = ConfigDict(strict=True, frozen=True, extra="forbid")

    file: Annotated[PathText, Field(min_length=1)] | None = None
    dataset: Annotated[PathText, Field(min_length=1)] | None = None
    subset: str | None = None
    split: str = "train"
    column: str = "text"
    limit: Annotated[int, Field(ge=1)] | None = None
    streaming: bool = False

    @model_validator(mode="after")
    def _one_source(self) -> PromptSource:
        if (self.file is None) == (self.dataset is None):
            raise ValueError("has to name a `file` or a `dataset`, one of them")
        return self

    def read(self) -> list[Prompt]:
        """Every prompt, in order.

        Raises:
            PromptError: No such file or column, no prompts, or an empty one.
        """
        try:
            rows = list(islice(self._rows(), self.limit))
        except RowsError as error:
            raise PromptError(str(error)) from error
        if not rows:
            raise PromptError(f"{self.file or self.dataset} holds no prompt")
        if self.column not in rows[0]:
            raise PromptError(f"there is no column {self.column!r}; columns: {', '.join(rows[0])}", "column")
        return [
            prompt_of(row.get(self.column), f"row {number} of {self.file or self.dataset}")
            for number, row in enumerate(rows, start=1)
        ]

    def _rows(self) -> Iterator[dict[str, Any]]:
        if self.dataset is not None:
            yield from read_dataset(self.dataset, self.subset, self.split, streaming=self.streaming)
        else:
            yield from read_rows(Path(str(self.file)), self.column)


def prompt_of(value: Any, where: str) -> Prompt:
    """A prompt from a file or dataset: a text, messages with roles and contents, or the content parts of either as their text.

    Raises:
        PromptError: It is none, or there is nothing in it.

    Example:
        >>> prompt_of([{"role": "user", "content": [{"type": "text", "text": "hi"}]}], "row 1")
        [{'role': 'user', 'content': 'hi'}]
    """
    text = text_of(value)
    if text is not None and text.strip():
        return text
    if isinstance(value, list) and value and text is None:
        return [_message(message, f"{where}, message {number}") for number, message in enumerate(value, start=1)]
    raise PromptError(f"{where} has to be a text, or messages with role and content, but is {_shown(value)}")


def _message(message: Any, where: str) -> dict[str, str]:
    if not isinstance(message, dict) or not {"role", "content"} <= set(message):
        raise PromptError(f"{where} has to be a text, or messages with role and content, but is {_shown(message)}")
    role, content = message["role"], text_of(message["content"])
    if not isinstance(role, str) or not role.strip():
        raise PromptError(f"{where}: role has to be a text such as 'user', but is {_shown(role)}")
    if content is None:
        raise PromptError(f"{where}: content has to be a text, but is {_shown(message['content'])}")
    return {**message, "content": content}


def _shown(value: Any) -> str:
    return repr(str(value)[:60])


def prompts_tag(value: Any) -> str:
    """Which of its two forms the field `prompts` has."""
    return "mapping" if isinstance(value, (dict, PromptSource)) else "list"
