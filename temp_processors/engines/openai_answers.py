"""What any OpenAI-compatible server answers, and what Ollama does: texts, whose tokens it may count and may not tell."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated, Literal, NamedTuple, cast

from pydantic import Field, FiniteFloat

from temp_processors.config.yaml_lines import shortened
from temp_processors.engines.answers import ROUNDING, Answer, WrongAnswerError, read_answer

Reason = Literal["stop", "stop_text", "length"]
SLACK = 1
"""Tokens by which counts of a server may differ: some count the end of a text, and some do not."""


class Alternative(Answer):
    """A token that could have been drawn."""

    logprob: float


class TokenOfText(Answer):
    """A token that was drawn, in the form of chats."""

    logprob: float
    top_logprobs: list[Alternative] = Field(default_factory=list)


class LogProbs(Answer):
    """Natural-log probabilities of the tokens of a text, in the form of chats (`content`) or of completions (the rest)."""

    content: list[TokenOfText] | None = None
    token_logprobs: list[FiniteFloat | None] | None = None
    top_logprobs: list[dict[str, float] | None] | None = None

    @property
    def each(self) -> list[float | None]:
        """Of every token."""
        return (
            [token.logprob for token in self.content] if self.content is not None else list(self.token_logprobs or [])
        )

    @property
    def best(self) -> float | None:
        """The largest of the first token and its alternatives; None where there are no alternatives."""
        if self.content:
            held = [alternative.logprob for alternative in self.content[0].top_logprobs]
        else:
            held = list(((self.top_logprobs or [None])[0] or {}).values())
        return max(held) if len(held) > 1 else None


class Message(Answer):
    """What the model says in a chat."""

    content: str


class Choice(Answer):
    """One text: `text` of a completion, `message` of a chat. `stop_reason` is the text that ended it, where the server says so."""

    finish_reason: str
    text: str | None = None
    message: Message | None = None
    index: int = 0
    logprobs: LogProbs | None = None
    stop_reason: int | str | None = None


class Usage(Answer):
    """How many tokens all texts of an answer have."""

    completion_tokens: int | None = None


class Choices(Answer):
    """The answer to `POST /completions` and `POST /chat/completions`."""

    choices: Annotated[list[Choice], Field(min_length=1)]
    usage: Usage | None = None


class OfOllama(Answer):
    """The answer to `POST /api/generate` (`response`) and `POST /api/chat` (`message`) of Ollama."""

    done_reason: str
    response: str | None = None
    message: Message | None = None
    eval_count: int | None = None


class Text(NamedTuple):
    """One text as a server gave it.

    Args:
        text: Whole, as far as the server drew it.
        finish_reason: `stop`, `stop_text` where the server says that a text of `stop` ended it, or `length`.
        tokens: How many it has by the server's count; None where it does not say.
        log_probs: What it says of the probabilities of the tokens.
    """

    text: str
    finish_reason: Reason
    tokens: int | None
    log_probs: LogProbs | None

    @property
    def log_prob(self) -> float | None:
        """Summed over the tokens; None where any is not known."""
        each = [] if self.log_probs is None else self.log_probs.each
        known = [value for value in each if value is not None]
        return sum(known) if each and len(known) == len(each) else None


def texts_of(content: bytes, max_new_tokens: int, n: int) -> list[Text]:
    """The texts of an answer, in the order of the server: one at least, `n` at most.

    Raises:
        WrongAnswerError: It is not what was asked for.
    """
    answer = read_answer(content, Choices)
    if len(answer.choices) > n:
        raise WrongAnswerError(f"{len(answer.choices)} texts where {n} were asked for")
    counted = None if answer.usage is None or len(answer.choices) > 1 else answer.usage.completion_tokens
    found = []
    for choice in sorted(answer.choices, key=lambda choice: choice.index):
        text = choice.text if choice.message is None else choice.message.content
        reason = "stop_text" if isinstance(choice.stop_reason, str) else choice.finish_reason
        found.append(_checked(text, reason, counted, choice.logprobs, max_new_tokens))
    return found


def texts_of_ollama(content: bytes, max_new_tokens: int, n: int) -> list[Text]:
    """The text of an answer of Ollama, as `texts_of`."""
    answer = read_answer(content, OfOllama)
    text = answer.response if answer.message is None else answer.message.content
    return [_checked(text, answer.done_reason, answer.eval_count, None, max_new_tokens)]


def _checked(text: str | None, reason: str, counted: int | None, log_probs: LogProbs | None, most: int) -> Text:
    if text is None:
        raise WrongAnswerError("the answer has no text")
    if reason not in ("stop", "stop_text", "length"):
        raise WrongAnswerError(f"finish_reason is {shortened(repr(reason))}, so the text is no draw of the model")
    each = [] if log_probs is None else log_probs.each
    if (problem := _problem_of_counts(reason, counted, each, most)) is not None:
        raise WrongAnswerError(problem)
    return Text(text, cast(Reason, reason), len(each) or counted, log_probs)


def _problem_of_counts(reason: str, counted: int | None, each: Sequence[float | None], most: int) -> str | None:
    if counted is not None and each and abs(len(each) - counted) > SLACK:
        return f"{len(each)} log-probabilities for {counted} tokens"
    tokens = counted if counted is not None else len(each) or None
    if tokens is not None and not 0 <= tokens <= most + SLACK:
        return f"{tokens} tokens where at most {most} were asked for"
    if tokens is not None and reason == "length" and tokens < most - SLACK:
        return f"the text ends after {tokens} of {most} tokens without an end of text (length)"
    top = max((value for value in each if value is not None), default=0.0)
    return f"a log-probability is {top}, above 0" if top > ROUNDING else None
