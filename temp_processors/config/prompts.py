"""Where prompts come from: a list in the configuration, a file, or a dataset."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import islice
from pathlib import Path
from typing import Annotated, Any, NamedTuple

from pydantic import AfterValidator, AliasChoices, BaseModel, ConfigDict, Field, ValidationInfo, model_validator

from temp_processors.config.paths import PathText
from temp_processors.config.template import checked_template, filled_template
from temp_processors.config.yaml_lines import Problem
from temp_processors.datafiles import RowsError, is_there, read_dataset, read_rows, text_of
from temp_processors.inert import one_line

Messages = list[dict[str, str]]
Prompt = str | Messages
"""A text, or the messages of a chat, each with `role` and `content`."""


class PromptError(ValueError):
    """Prompts cannot be read, or do not go with the task; the message says which and why, `problem` also at which field."""

    def __init__(self, message: str, *below: str | int, field: str = "prompts") -> None:
        self.problem = Problem("the configuration", None, (field, *below), message)
        super().__init__(one_line(f"{'.'.join(map(str, self.problem.path))}: {message}"))


class PromptRows(NamedTuple):
    """Prompts with the rows that they were made of.

    Args:
        prompts: What the model continues.
        rows: One a prompt, with all columns; for a list in the configuration the prompt alone.
        source: What they were read from, for errors.
    """

    prompts: list[Prompt]
    rows: list[dict[str, Any]]
    source: str


def _beside_the_configuration(file: str, info: ValidationInfo) -> str:
    """A relative path that is no file here, but is one beside the configuration, as that file."""
    folder = (info.context or {}).get("folder")
    beside = None if folder is None or Path(file).is_absolute() else Path(folder) / file
    return str(beside.resolve()) if beside is not None and is_there(beside) and not is_there(Path(file)) else file


class PromptSource(BaseModel):
    """Prompts from a file or a dataset.

    Args:
        file: A text file (one prompt a line, blank lines skipped) or JSONL, CSV or Parquet.
            A relative path is looked for in the working folder, then beside the configuration.
        dataset: Any id or folder that `datasets.load_dataset` takes; instead of `file`.
        name: Configuration of the dataset, such as `main` for gsm8k; `subset` means the same.
        split: Part of the dataset.
        column: Column of the prompt: texts, or lists of messages for a chat template. `text` by default.
        template: Makes the prompt of a row's columns, such as `"Q: {question}\\nA:"`; instead of `column` (see `template.py`).
        limit: Read this many at most.
        streaming: Do not download the whole dataset first.
    """

    model_config = ConfigDict(strict=True, frozen=True, extra="forbid")

    file: Annotated[PathText, Field(min_length=1), AfterValidator(_beside_the_configuration)] | None = None
    dataset: Annotated[PathText, Field(min_length=1)] | None = None
    name: str | None = Field(default=None, validation_alias=AliasChoices("name", "subset"))
    split: str = "train"
    column: str = "text"
    template: Annotated[str, AfterValidator(checked_template)] | None = None
    limit: Annotated[int, Field(ge=1)] | None = None
    streaming: bool = False

    @model_validator(mode="after")
    def _one_source(self) -> PromptSource:
        if (self.file is None) == (self.dataset is None):
            raise ValueError("has to name a `file` or a `dataset`, one of them")
        for field in ("name", "split", "streaming"):
            if self.file is not None and getattr(self, field) != type(self).model_fields[field].default:
                raise ValueError(f"has a `{field}`, which is for a `dataset`: a `file` is read as a whole")
        return self

    def read(self) -> list[Prompt]:
        """Every prompt, in order.

        Raises:
            PromptError: No such file or column, no prompts, or an empty one.
        """
        return self.read_rows().prompts

    def read_rows(self) -> PromptRows:
        """Every prompt with its row, in order; errors as for `read`."""
        source = str(self.file or self.dataset)
        try:
            rows = list(islice(self._rows(), self.limit))
        except RowsError as error:
            raise PromptError(str(error)) from error
        if not rows:
            raise PromptError(f"{source} holds no prompt")
        return PromptRows([self._prompt(row, number, source) for number, row in enumerate(rows, start=1)], rows, source)

    def _prompt(self, row: dict[str, Any], number: int, source: str) -> Prompt:
        where = f"row {number} of {source}"
        if self.template is not None:
            try:
                return prompt_of(filled_template(self.template, row), where)
            except ValueError as error:
                if isinstance(error, PromptError):
                    raise
                raise PromptError(f"{where}: {error}", "template") from error
        if number == 1 and self.column not in row:
            raise PromptError(f"there is no column {self.column!r}; columns: {', '.join(row)}", "column")
        return prompt_of(row.get(self.column), where)

    def _rows(self) -> Iterator[dict[str, Any]]:
        if self.dataset is not None:
            yield from read_dataset(self.dataset, self.name, self.split, streaming=self.streaming)
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
