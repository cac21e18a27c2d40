"""Draw continuations: rows in, finished rows out, each row with its own policy and its own seed."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from itertools import groupby
from typing import Any, Literal, NamedTuple

import torch
from torch import Tensor

from temp_processors.audit import plain_sampling_kwargs
from temp_processors.base import PolicyLogitsWarper
from temp_processors.sampling import SeededSampling

WARPER_FIELDS = {"temperature", "top_h", "top_k", "top_p", "min_p", "typical_p", "epsilon_cutoff", "eta_cutoff"}
PolicyFactory = Callable[[int], PolicyLogitsWarper]


class DecodeRow(NamedTuple):
    """One continuation to draw: the prompt's token ids, the position of its policy, the seed of its draws."""

    prompt_ids: tuple[int, ...]
    policy: int
    seed: int


class Decoded(NamedTuple):
    """A finished row: new tokens without the end-of-sequence token, and their summed untempered log-probability."""

    row: int
    token_ids: list[int]
    finish_reason: Literal["stop", "length"]
    log_prob: float


def draw_kwargs() -> dict[str, Any]:
    """Arguments for `generate` under which the listed processors act alone and the last of them draws.

    `do_sample=False` skips the built-in warpers, so only the penalties of a checkpoint have to be switched off.
    """
    off = plain_sampling_kwargs()
    return {"do_sample": False, **{name: off[name] for name in off if name not in WARPER_FIELDS | {"do_sample"}}}


def decode(
    model: Any,
    rows: Sequence[DecodeRow],
    policies: Sequence[PolicyFactory],
    *,
    max_new_tokens: int,
    eos_token_ids: Sequence[int],
    pad_token_id: int,
) -> Iterator[Decoded]:
    """Continue every row with `model.generate`, one call per policy and prompt."""
    order = sorted(range(len(rows)), key=lambda index: (rows[index].prompt_ids, rows[index].policy))
    for (prompt_ids, policy), group in groupby(order, key=lambda index: rows[index][:2]):
        indices = list(group)
        processors = [
            policies[policy](len(prompt_ids)),
            SeededSampling([rows[i].seed for i in indices], prompt_length=len(prompt_ids)),
        ]
        with torch.inference_mode():
            output = model.generate(
                torch.tensor([prompt_ids] * len(indices), device=model.device),
                attention_mask=torch.ones(len(indices), len(prompt_ids), dtype=torch.long, device=model.device),
                logits_processor=processors,
                **draw_kwargs(),
                max_new_tokens=max_new_tokens,
                eos_token_id=list(eos_token_ids),
                pad_token_id=pad_token_id,
                return_dict_in_generate=True,
                output_logits=True,
            )
        new_tokens = output.sequences[:, len(prompt_ids) :]
        log_probs = _log_probs(output.logits, new_tokens)
        for index, tokens, values in zip(indices, new_tokens.tolist(), log_probs, strict=True):
            yield _finished(index, tokens, values, eos_token_ids)


def _log_probs(logits: Sequence[Tensor], tokens: Tensor) -> Tensor:
    """Log-probability of every drawn token under the untempered model, (rows, steps)."""
    columns = [torch.log_softmax(step.float(), dim=-1).gather(1, tokens[:, t : t + 1]) for t, step in enumerate(logits)]
    return torch.cat(columns, dim=1)


def _finished(row: int, tokens: list[int], log_probs: Tensor, eos_token_ids: Sequence[int]) -> Decoded:
    ends = [t for t, token in enumerate(tokens) if token in eos_token_ids]
    if not ends:
        return Decoded(row, tokens, "length", log_probs.double().sum().item())
    return Decoded(row, tokens[: ends[0]], "stop", log_probs[: ends[0] + 1].double().sum().item())
