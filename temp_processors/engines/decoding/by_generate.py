"""Draw continuations by plain `generate`: slower than `decode`, and all that some models allow."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from itertools import groupby
from typing import Any

import torch
from torch import Tensor

from temp_processors.engines.decoding.alone import rows_together
from temp_processors.engines.decoding.prefill import draw_kwargs
from temp_processors.engines.engine import Decoded, DecodeRow, Ends, PolicyFactory, ignore
from temp_processors.sampling import SeededSampling


def decode_with_generate(
    model: Any,
    rows: Sequence[DecodeRow],
    policies: Sequence[PolicyFactory],
    *,
    max_new_tokens: int,
    eos_token_ids: Sequence[int],
    pad_token_id: int,
    coupled: bool = False,
    on_tokens: Callable[[int], None] = ignore,
    ends: Ends | None = None,
) -> Iterator[Decoded]:
    """`decode` by `model.generate`, one call per policy and prompt: for models without a batchable cache.

    Arguments as for `decode`; `on_tokens` is called once a row, and what a row drew after `ends` told it to end is thrown away.
    """
    for chosen in _calls(model, rows, pad_token_id):
        prompt_ids, policy = rows[chosen[0]][:2]
        width = 1 if model.config.is_encoder_decoder else len(prompt_ids)
        draws = SeededSampling([rows[row].seed for row in chosen], prompt_length=width, coupled=coupled)
        prompt = torch.tensor([prompt_ids] * len(chosen), device=model.device)
        with torch.inference_mode():
            output = model.generate(
                prompt,
                attention_mask=torch.ones_like(prompt),
                logits_processor=[policies[policy](width), draws],
                **draw_kwargs(),
                max_new_tokens=max_new_tokens,
                eos_token_id=list(eos_token_ids) or [-1],
                pad_token_id=pad_token_id,
                return_dict_in_generate=True,
                output_logits=True,
            )
        tokens = output.sequences[:, width:]
        chances = _log_probs(output.logits, tokens)
        for row, drawn, values in zip(chosen, tokens.tolist(), chances, strict=True):
            done = _told_to_end(_row_of(row, drawn, values, eos_token_ids), values, ends)
            on_tokens(done.steps)
            yield done


def _told_to_end(done: Decoded, chances: Tensor, ends: Ends | None) -> Decoded:
    """The row as far as the first token of which `ends` says that it ends it."""
    for step in range(1, len(done.token_ids) + 1) if ends is not None else ():
        if ends is not None and ends(done.token_ids[:step]):
            return Decoded(done.row, done.token_ids[:step], "stop_text", chances[:step].sum().item())
    return done


def _calls(model: Any, rows: Sequence[DecodeRow], pad_token_id: int) -> Iterator[list[int]]:
    """The rows of each call: those of one prompt and policy, or one row where the model does not keep its rows apart."""
    order = sorted(range(len(rows)), key=lambda row: (rows[row].prompt_ids, rows[row].policy))
    for (prompt_ids, _), group in groupby(order, key=lambda row: rows[row][:2]):
        chosen = list(group)
        if len(chosen) > 1 and not rows_together(model, torch.tensor(prompt_ids, device=model.device), pad_token_id):
            yield from ([row] for row in chosen)
        else:
            yield chosen


def _log_probs(logits: Sequence[Tensor], tokens: Tensor) -> Tensor:
    """Log-probability of every drawn token under the untempered model, (rows, steps)."""
    steps = [torch.log_softmax(step.float(), dim=-1).gather(1, tokens[:, t : t + 1]) for t, step in enumerate(logits)]
    return torch.cat(steps, dim=1).double()


def _row_of(row: int, tokens: list[int], chances: Tensor, eos_token_ids: Sequence[int]) -> Decoded:
    """Drawn tokens and their log-probabilities as a finished row: what `generate` padded it with is cut off."""
    ends = [step for step, token in enumerate(tokens) if token in eos_token_ids]
    scored = ends[0] + 1 if ends else len(tokens)
    lost = chances[:scored].isnan().nonzero().flatten().tolist()
    if lost:
        return Decoded(row, tokens[: lost[0]], "nan", float("nan"))
    log_prob = chances[:scored].sum().item()
    return Decoded(row, tokens[: ends[0]], "stop", log_prob) if ends else Decoded(row, tokens, "length", log_prob)
