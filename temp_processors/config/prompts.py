"""Where prompts come from: a list in the configuration, a file, or a dataset."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import islice
from pathlib import Path
from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field, model_validator

from temp_processors.config.paths import PathText
from temp_processors.config.yaml_lines import Problem
from temp_processors.datafiles import RowsError, read_dataset, read_rows

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
        for number, row in enumerate(rows):
            check_prompt(row.get(self.column), f"row {number} of {self.file or self.dataset}")
        return [row[self.column] for row in rows]

    def _rows(self) -> Iterator[dict[str, Any]]:
        if self.dataset is not None:
            yield from read_dataset(self.dataset, self.subset, self.split, streaming=self.streaming)
        else:
            yield from read_rows(Path(str(self.file)), self.column)


def check_prompt(prompt: Any, where: str) -> None:
    """Raise `PromptError` unless `prompt` is a text with something in it, or messages with roles and contents."""
    if isinstance(prompt, str) and prompt.strip():
        return
    if isinstance(prompt, list) and prompt and all({"role", "content"} <= set(message) for message in prompt):
        return
    raise PromptError(f"{where} has to be a text, or messages with role and content, but is {str(prompt)[:60]!r}")


def prompts_tag(value: Any) -> str:
    """Which of its two forms the field `prompts` has."""
    return "mapping" if isinstance(value, (dict, PromptSource)) else "list"
