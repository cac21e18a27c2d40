"""What an OpenAI-compatible server answers, as pydantic models: whatever is not as asked is named, and no text is made of it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, Any, TypeVar

import pydantic
from pydantic import BaseModel, ConfigDict, Field, FiniteFloat
from pydantic_core import from_json

from temp_processors.config.yaml_lines import shortened
from temp_processors.engines.engine import Decoded, DecodeRow
from temp_processors.engines.requests import as_row
from temp_processors.inert import one_line

ROUNDING = 1e-3
"""Nats by which a server's log-probability may exceed 0."""


class WrongAnswerError(ValueError):
    """An answer that is not what was asked for; the message says what is wrong with it."""


class Answer(BaseModel):
    """Part of an answer; fields beside those that are needed may be there."""

    model_config = ConfigDict(strict=True, frozen=True, extra="ignore")


class Served(Answer):
    """One model of a server."""

    id: Annotated[str, Field(min_length=1)]


class ServedModels(Answer):
    """The answer to `GET /models`."""

    data: list[Served]


class TokenLogProbs(Answer):
    """Natural-log probabilities of the tokens drawn, before the policy."""

    token_logprobs: list[FiniteFloat]


class Choice(Answer):
    """One text. `prompt_token_ids` is what the server says it continued, where it does."""

    token_ids: Annotated[list[Annotated[int, Field(ge=0)]], Field(min_length=1)]
    finish_reason: str
    logprobs: TokenLogProbs
    prompt_token_ids: list[int] | None = None


class Completion(Answer):
    """The answer to `POST /completions` for one prompt and one text."""

    choices: Annotated[list[Choice], Field(min_length=1, max_length=1)]


Kind = TypeVar("Kind", bound=Answer)


def read_answer(content: bytes, kind: type[Kind]) -> Kind:
    """The answer of a server.

    Args:
        content: Its bytes.
        kind: What it has to be.

    Raises:
        WrongAnswerError: It is something else: no JSON, an error, a field less or of another kind.
    """
    try:
        data = from_json(content)
    except ValueError as error:
        start = one_line(shortened(content[:200].decode("utf-8", "replace").strip(), 60))
        raise WrongAnswerError(f"the answer is no JSON ({error}): {start!r}") from error
    if isinstance(data, dict) and data.get("error"):
        raise WrongAnswerError(f"the answer is an error: {error_of(data)}")
    try:
        return kind.model_validate(data)
    except pydantic.ValidationError as error:
        first = error.errors(include_url=False)[0]
        place = ".".join(map(str, first["loc"])) or "the answer"
        given = "" if first["type"] == "missing" else f", but is {shortened(repr(first['input']), 60)}"
        said = first["msg"].replace("Input should", "has to").replace("Field required", "is missing")
        raise WrongAnswerError(f"{place}: {said}{given}") from error


def error_of(data: Any) -> str:
    """The message inside an OpenAI-style error, else the whole of it."""
    held = data.get("error", data) if isinstance(data, dict) else data
    return str(held.get("message", held) if isinstance(held, dict) else held)


@dataclass(frozen=True)
class Asked:
    """What a text has to keep to.

    Args:
        max_new_tokens: Most tokens.
        eos_token_ids: Ids that end a text.
        vocabulary: Ids are smaller than this; None where it is not known.
    """

    max_new_tokens: int
    eos_token_ids: frozenset[int]
    vocabulary: int | None

    def row_of(self, number: int, row: DecodeRow, answer: Completion) -> Decoded:
        """The answer as a finished row: without the token that ended it, whose probability counts.

        A text whose last allowed token is an end of text is finished, whatever the server calls it.

        Raises:
            WrongAnswerError: It is not what was asked for.
        """
        (choice,) = answer.choices
        if (problem := self._problem(row, choice)) is not None:
            raise WrongAnswerError(problem)
        reason = "stop" if choice.token_ids[-1] in self.eos_token_ids else "length"
        return as_row(number, choice.token_ids, reason, sum(choice.logprobs.token_logprobs))

    def _problem(self, row: DecodeRow, choice: Choice) -> str | None:
        tokens, log_probs = choice.token_ids, choice.logprobs.token_logprobs
        if choice.finish_reason not in ("stop", "length"):
            return f"finish_reason is {shortened(repr(choice.finish_reason))}, so the text is no draw of the model"
        if len(log_probs) != len(tokens):
            return f"{len(log_probs)} log-probabilities for {len(tokens)} tokens"
        if max(log_probs) > ROUNDING:
            return f"a log-probability is {max(log_probs)}, above 0"
        if len(tokens) > self.max_new_tokens:
            return f"{len(tokens)} tokens where at most {self.max_new_tokens} were asked for"
        if self.vocabulary is not None and max(tokens) >= self.vocabulary:
            return f"token id {max(tokens)} is not in the vocabulary of {self.vocabulary:,}"
        if not self.eos_token_ids.isdisjoint(tokens[:-1]):
            return "the text goes on behind its end"
        if tokens[-1] not in self.eos_token_ids and len(tokens) < self.max_new_tokens:
            return f"the text ends after {len(tokens)} of {self.max_new_tokens} tokens without an end of text ({choice.finish_reason})"
        if choice.prompt_token_ids is not None and choice.prompt_token_ids != list(row.prompt_ids):
            return "the text continues another prompt"
        return None
