"""The model at work for the page: the next token before anything is drawn, texts token by token, diversity as it grows.

Nothing is kept between calls. The model is only read, so that several users can be served at once.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import torch
from torch import Tensor
from transformers import LogitsProcessor

from temp_processors.config.experiment import ExperimentConfig
from temp_processors.distribution import entropy, log_probs
from temp_processors.engines.continuation import continuation_text
from temp_processors.engines.decoding.prefill import draw_kwargs
from temp_processors.engines.decoding.transformers_seam import forward
from temp_processors.engines.engine import DecodeRow, DrawOptions
from temp_processors.engines.local import LocalEngine
from temp_processors.experiment.plan import Plan
from temp_processors.experiment.prompts import prepare
from temp_processors.explore.screen import streamed_seeds
from temp_processors.policies.base import PolicyLogitsWarper
from temp_processors.policies.combined import RowsLogitsWarper
from temp_processors.policies.kinds import build_policy
from temp_processors.sampling import SeededSampling

TOP = 10
SAMPLES_AT_ONCE = 4


class NextToken(NamedTuple):
    """One step under one policy, before a token is drawn.

    Args:
        temperature: What the policy sets; NaN where it reshapes the scores without a single temperature.
        entropy: Of the untempered distribution, in nats.
        entropy_after: Of the distribution under the policy.
        token_ids: The likeliest tokens of the untempered model, in its order, which no slider changes.
        untempered: Their probabilities, and last the one of all others together.
        tempered: The same under the policy.
    """

    temperature: float
    entropy: float
    entropy_after: float
    token_ids: list[int]
    untempered: list[float]
    tempered: list[float]


class Token(NamedTuple):
    """A token that was drawn, with the numbers of a trace (`trace.columns.TraceRecord`) in their order."""

    token_id: int
    entropy: float
    entropy_after: float
    temperature: float
    log_prob: float
    log_prob_after: float


@dataclass
class Text:
    """A text that grows: `finish` is "" while it does, then `stop`, `length`, or `nan` (the model gave no numbers)."""

    tokens: list[Token] = field(default_factory=list)
    finish: str = ""
    prompt_ids: tuple[int, ...] = ()


def prompt_ids(engine: LocalEngine, config: ExperimentConfig) -> Tensor:
    """The prompt as the runner tokenizes it, (1, length).

    Raises:
        ModelError: It has no tokens, or does not fit into the context with the new ones.
    """
    (ids,) = prepare(Plan(config).prompts, engine, config.system_prompt, config.max_new_tokens).token_ids
    return torch.tensor([ids], device=engine.model.device)


def built_policies(engine: LocalEngine, config: ExperimentConfig, prompt_length: int) -> list[PolicyLogitsWarper]:
    """Every policy of the page. A tag that the tokenizer cannot resolve is a ValueError."""
    config.check_tokenizer(engine.tokenizer)
    return [
        build_policy(named.policy, prompt_length=prompt_length, tokenizer=engine.tokenizer) for named in config.policies
    ]


def next_scores(engine: LocalEngine, input_ids: Tensor) -> Tensor:
    """The model's untempered scores for the token after `input_ids` (1, length): (1, vocab)."""
    watch = _Watch(None)
    next(_draws(engine, input_ids, [watch, SeededSampling([0])]))
    return watch.scores


def next_token(policy: PolicyLogitsWarper, input_ids: Tensor, scores: Tensor) -> NextToken:
    """What `policy` makes of the scores (1, vocab) after `input_ids` (1, length)."""
    processed = policy(input_ids, scores)
    top = scores[0].topk(min(TOP, scores.shape[-1])).indices
    before, after = (log_probs(values.double())[0].exp() for values in (scores, processed))
    untempered, tempered = ([*p[top].tolist(), p.index_fill(0, top, 0.0).sum().item()] for p in (before, after))
    temperature = policy.temperature(input_ids, scores).expand(1, 1).item()
    return NextToken(temperature, entropy(scores).item(), entropy(processed).item(), top.tolist(), untempered, tempered)


def stream(engine: LocalEngine, config: ExperimentConfig) -> Iterator[list[Text]]:
    """Continue the prompt under every policy at once; all texts so far after every token, the same objects each time.

    Each text is sample 0 of that policy in the experiment of `config`, up to rounding in the forward pass.

    Raises:
        ModelError, ValueError: The prompt or a policy does not fit the model.
    """
    prompt = prompt_ids(engine, config)
    policies = built_policies(engine, config, prompt.shape[-1])
    watch = _Watch(RowsLogitsWarper(policies))
    draws = SeededSampling(list(streamed_seeds(config).values()), prompt_length=prompt.shape[-1])
    texts = [Text(prompt_ids=tuple(prompt[0].tolist())) for _ in policies]
    drawn = _draws(engine, prompt.expand(len(policies), -1), [watch, draws])
    for step, tokens in zip(range(1, config.max_new_tokens + 1), drawn, strict=False):
        for text, token in zip(texts, watch.seen(tokens), strict=True):
            _append(text, token, engine.eos_token_ids, last=step == config.max_new_tokens)
        yield texts
        if all(text.finish for text in texts):
            return


def _append(text: Text, token: Token, ends: Sequence[int], *, last: bool) -> None:
    if text.finish:
        return
    if token.log_prob != token.log_prob:
        text.finish = "nan"
        return
    text.tokens.append(token)
    text.finish = "stop" if token.token_id in ends else "length" if last else ""


class _Watch(LogitsProcessor):
    """A policy that keeps the scores before and after its last call."""

    def __init__(self, policy: PolicyLogitsWarper | None) -> None:
        self.policy = policy
        self.scores = self.processed = self.temperature = torch.empty(0)

    def __call__(self, input_ids: Tensor, scores: Tensor) -> Tensor:
        self.scores = self.processed = scores
        if self.policy is not None:
            self.processed = self.policy(input_ids, scores)
            self.temperature = self.policy.temperature(input_ids, scores).expand(len(scores), 1)
        return self.processed

    def seen(self, tokens: Tensor) -> list[Token]:
        """The tokens (rows, 1) that were then drawn, with what is known of that step."""
        before, after = (log_probs(scores).gather(1, tokens) for scores in (self.scores, self.processed))
        columns = [entropy(self.scores), entropy(self.processed), self.temperature, before, after]
        rows = torch.cat([column.double() for column in columns], dim=1).tolist()
        return [Token(token, *row) for token, row in zip(tokens.flatten().tolist(), rows, strict=True)]


def _draws(engine: LocalEngine, input_ids: Tensor, processors: list[LogitsProcessor]) -> Iterator[Tensor]:
    """Endless iterator of drawn tokens, (rows, 1) for every step, by `generate`'s own extension point."""
    tokens: Iterator[Tensor] = engine.model.generate(
        input_ids,
        attention_mask=torch.ones_like(input_ids),
        logits_processor=processors,
        **draw_kwargs(),
        pad_token_id=engine.pad_token_id,
        max_new_tokens=1,
        use_cache=True,
        custom_generate=_decoding,
    )
    return tokens


def _decoding(
    model: Any, input_ids: Tensor, logits_processor: Any, stopping_criteria: Any, generation_config: Any, **kwargs: Any
) -> Iterator[Tensor]:
    """A decoding method for `generate` that never ends: rows go on after end-of-sequence, and the caller leaves those tokens out."""
    first = True
    while True:
        with torch.inference_mode():
            logits, kwargs = forward(model, input_ids, kwargs, first=first)
            scores = logits.to(copy=True, dtype=torch.float32, device=input_ids.device)
            tokens = logits_processor(input_ids, scores).argmax(dim=-1, keepdim=True)
            input_ids, first = torch.cat([input_ids, tokens], dim=1), False
        yield tokens


def draw_samples(engine: LocalEngine, config: ExperimentConfig) -> Iterator[dict[str, list[str]]]:
    """All samples of the experiment, some at a time: after each part the texts so far, equally many of every policy."""
    names = [policy.name for policy in config.policies]
    ids = tuple(prompt_ids(engine, config)[0].tolist())
    factories = engine.prepare(config)
    texts: dict[str, list[str]] = {name: [] for name in names}
    jobs = sorted(Plan(config).jobs(), key=lambda job: job.sample_id)
    for start in range(0, len(jobs), SAMPLES_AT_ONCE * len(names)):
        part = jobs[start : start + SAMPLES_AT_ONCE * len(names)]
        rows = [DecodeRow(ids, job.policy, job.seed) for job in part]
        for done in sorted(engine.draw(rows, factories, DrawOptions(config.max_new_tokens))):
            texts[names[part[done.row].policy]].append(continuation_text(engine.tokenizer, ids, done.token_ids))
        yield texts
