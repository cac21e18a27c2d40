"""Draw continuations: rows in, finished rows out, each row with its own policy and its own seed.

Rows of all policies and prompts share one batch. A prompt is prefilled once however many rows continue it (on the CPU
its keys and values are also read once a step, see shared_prefix.py), each policy is called once per step on its slice,
one draw serves all rows, and rows that ended leave the batch.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator, Sequence
from itertools import groupby
from typing import Any
from weakref import WeakSet

import torch
from accelerate.utils.memory import clear_device_cache, should_reduce_batch_size
from torch import Tensor

from temp_processors.engines.decoding.batches import Decoded, DecodeRow
from temp_processors.engines.decoding.prefill import NoBatchableCacheError, draw_kwargs, keep_rows, prefill, share_out
from temp_processors.engines.decoding.shared_prefix import can_share, share_prefix, shared_attention
from temp_processors.policies.base import PolicyLogitsWarper
from temp_processors.sampling import SeededSampling, choose

__all__ = ["DecodeRow", "Decoded", "PolicyFactory", "decode", "decode_with_generate", "draw_kwargs"]

PolicyFactory = Callable[[int], PolicyLogitsWarper]
"""From the prompt's width in tokens (padding included) to the policy."""

WORTH_MOVING = 0.25
"""Rows computed in vain, as a share of the live ones, after which moving the live rows together costs less."""

logger = logging.getLogger(__name__)
_told: WeakSet[Any] = WeakSet()  # models of which the log says already that they are slow


def decode(
    model: Any,
    rows: Sequence[DecodeRow],
    policies: Sequence[PolicyFactory],
    *,
    max_new_tokens: int,
    eos_token_ids: Sequence[int],
    pad_token_id: int,
    coupled: bool = False,
    on_step: Callable[[int], None] | None = None,
) -> Iterator[Decoded]:
    """Continue every row of one batch, and yield rows as they finish.

    Each row gets the tokens that `generate(do_sample=False, logits_processor=[policy, SeededSampling([seed])])` gives
    it alone, up to float rounding in the forward pass, which depends on the batch. When memory runs out, the
    rows that are left are decoded again in halves. A model whose cache cannot be batched goes through `generate`
    itself, and a log line says so.

    Args:
        model: Any model that `generate` runs, in evaluation mode.
        rows: What to draw; at most as many as are to be computed together (see `plan_batches`).
        policies: The factories that `DecodeRow.policy` counts.
        max_new_tokens: Longest continuation, in tokens.
        eos_token_ids: Tokens that end a row; may be empty.
        pad_token_id: Fills up shorter prompts.
        coupled: Draw as `SeededSampling(coupled=True)` does.
        on_step: Called with the number of rows after every step that draws one token for each.
    """
    options: dict[str, Any] = {
        "max_new_tokens": max_new_tokens,
        "eos_token_ids": eos_token_ids,
        "pad_token_id": pad_token_id,
        "coupled": coupled,
    }
    waiting = [list(range(len(rows)))] if rows else []
    while waiting:
        left = waiting.pop()
        try:
            for done in _decode_together(model, rows, left, policies, on_step, **options):
                left.remove(done.row)
                yield done
        except NoBatchableCacheError as error:
            if model not in _told:
                logger.warning("%s: rows go through plain generate(), which is slower", error)
                _told.add(model)
            for done in decode_with_generate(model, [rows[row] for row in left], policies, **options):
                yield done._replace(row=left[done.row])
            left = []
        except RuntimeError as error:
            if len(left) < 2 or not should_reduce_batch_size(error):
                raise
        if left:
            clear_device_cache(garbage_collection=True)
            logger.warning("out of memory with %d rows: going on with half", len(left))
            waiting += [left[len(left) // 2 :], left[: len(left) // 2]]


def _decode_together(
    model: Any,
    rows: Sequence[DecodeRow],
    chosen: Sequence[int],
    policies: Sequence[PolicyFactory],
    on_step: Callable[[int], None] | None,
    *,
    max_new_tokens: int,
    eos_token_ids: Sequence[int],
    pad_token_id: int,
    coupled: bool,
) -> Iterator[Decoded]:
    order = sorted(chosen, key=lambda row: rows[row].policy)  # a policy's rows are one slice
    batch = _Batch(model, [rows[row] for row in order], policies, max_new_tokens, eos_token_ids, pad_token_id, coupled)
    with shared_attention(model, batch.shares):
        while batch.size:
            alive, finished = batch.alive, batch.step()
            if on_step is not None:
                on_step(alive)
            for done in finished:
                yield done._replace(row=order[done.row])


class _Batch:
    """The rows that are being decoded, and everything that has one entry per row."""

    @torch.inference_mode()
    def __init__(
        self,
        model: Any,
        rows: Sequence[DecodeRow],
        policies: Sequence[PolicyFactory],
        max_new_tokens: int,
        eos_token_ids: Sequence[int],
        pad_token_id: int,
        coupled: bool,
    ) -> None:
        prompts = list(dict.fromkeys(row.prompt_ids for row in rows))
        place = {prompt: position for position, prompt in enumerate(prompts)}
        start = prefill(model, prompts, max_new_tokens=max_new_tokens, pad_token_id=pad_token_id)
        device = start.input_ids.device
        index = torch.tensor([place[row.prompt_ids] for row in rows], device=device)
        self.model, self.max_new_tokens, self.processors = model, max_new_tokens, start.processors
        self.width = self.length = start.input_ids.shape[1]
        self.ids = start.input_ids.new_full((len(rows), self.width + max_new_tokens), pad_token_id)
        self.ids[:, : self.width] = start.input_ids[index]
        self.shares = can_share(model, start, index)
        self.kwargs = (share_prefix if self.shares else share_out)(start, index, self.width + max_new_tokens)
        self.logits = start.logits[index.to(start.logits.device)]
        self.eos = torch.tensor(list(eos_token_ids), dtype=torch.long, device=device)
        self.seeds = SeededSampling([row.seed for row in rows]).seeds.to(device).view(-1, 1)
        self.log_prob = torch.zeros(len(rows), dtype=torch.float64, device=device)
        self.policies = {row.policy: policies[row.policy](self.width) for row in rows}
        self.policy_of = [row.policy for row in rows]
        self.names = list(range(len(rows)))  # position in `rows` of every row that is still here
        self.ended = torch.zeros(len(rows), dtype=torch.bool, device=device)
        self.wasted, self.alive = 0, len(rows)
        self.coupled = coupled

    @property
    def size(self) -> int:
        """Rows in the batch, ended ones that have not been moved out included; 0 when all have ended."""
        return len(self.names)

    @torch.inference_mode()
    def step(self) -> list[Decoded]:
        """Draw one token for every row, give back the rows that ended with it, and compute the next logits."""
        raw = self.logits.to(device=self.ids.device, dtype=torch.float32)
        token, bad = self._draw(raw)
        chance = raw.gather(1, token) - raw.logsumexp(dim=-1, keepdim=True)
        self.log_prob += torch.where(self.ended, 0.0, chance.squeeze(1).double())
        self.ids[:, self.length] = token.squeeze(1)
        self.length += 1
        stopped = torch.isin(token.squeeze(1), self.eos)
        last = self.length - self.width == self.max_new_tokens
        now = (stopped | bad | last) & ~self.ended
        finished = self._finished(now, stopped, bad)
        self.ended |= now
        self._forward_or_end()
        return finished

    def _draw(self, raw: Tensor) -> tuple[Tensor, Tensor]:
        """The token of every row, (rows, 1), and whether there was none to draw because of NaN, (rows,)."""
        ids = self.ids[:, : self.length]
        scores = self.processors(ids, raw.clone()) if self.processors else raw
        tempered = torch.empty_like(scores)
        begin = 0
        for policy, group in groupby(self.policy_of):
            rows = slice(begin, begin + len(list(group)))
            tempered[rows] = self.policies[policy](ids[rows], scores[rows])
            begin = rows.stop
        step = torch.tensor(self.length - self.width, device=ids.device)
        token, total = choose(tempered, self.seeds, step, coupled=self.coupled)
        return token, ~(total > 0).squeeze(1) | raw.isnan().any(dim=-1)

    def _finished(self, now: Tensor, stopped: Tensor, bad: Tensor) -> list[Decoded]:
        ended: list[Decoded] = []
        for row in now.nonzero().flatten().tolist():
            tokens = self.ids[row, self.width : self.length].tolist()
            if bad[row]:
                ended.append(Decoded(self.names[row], tokens[:-1], "nan", float("nan")))
            elif stopped[row]:
                ended.append(Decoded(self.names[row], tokens[:-1], "stop", self.log_prob[row].item()))
            else:
                ended.append(Decoded(self.names[row], tokens, "length", self.log_prob[row].item()))
        return ended

    def _forward_or_end(self) -> None:
        ended = int(self.ended.sum())
        self.alive = alive = self.size - ended
        self.wasted += ended
        if not alive:
            self.names = []
            return
        if self.wasted > WORTH_MOVING * alive:
            self._drop(torch.nonzero(~self.ended).flatten())
        inputs = self.model.prepare_inputs_for_generation(
            self.ids[:, : self.length], next_sequence_length=1, **self.kwargs
        )
        outputs = self.model(**inputs, return_dict=True)
        encoder_decoder = self.model.config.is_encoder_decoder
        update = self.model._update_model_kwargs_for_generation
        self.kwargs = update(outputs, self.kwargs, is_encoder_decoder=encoder_decoder)
        self.logits = outputs.logits[:, -1]

    def _drop(self, keep: Tensor) -> None:
        """Go on with the rows at `keep` alone."""
        self.kwargs = keep_rows(self.kwargs, keep, self.size)
        self.ids, self.seeds, self.log_prob = self.ids[keep], self.seeds[keep], self.log_prob[keep]
        self.ended, self.wasted = self.ended[keep], 0
        rows = keep.tolist()
        self.names = [self.names[row] for row in rows]
        self.policy_of = [self.policy_of[row] for row in rows]


def decode_with_generate(
    model: Any,
    rows: Sequence[DecodeRow],
    policies: Sequence[PolicyFactory],
    *,
    max_new_tokens: int,
    eos_token_ids: Sequence[int],
    pad_token_id: int,
    coupled: bool = False,
) -> Iterator[Decoded]:
    """`decode` by `model.generate`, one call per policy and prompt: for models without a batchable cache."""
    order = sorted(range(len(rows)), key=lambda row: (rows[row].prompt_ids, rows[row].policy))
    for (prompt_ids, policy), group in groupby(order, key=lambda row: rows[row][:2]):
        chosen = list(group)
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
            yield _cut(row, drawn, values, eos_token_ids)


def _log_probs(logits: Sequence[Tensor], tokens: Tensor) -> Tensor:
    """Log-probability of every drawn token under the untempered model, (rows, steps)."""
    steps = [torch.log_softmax(step.float(), dim=-1).gather(1, tokens[:, t : t + 1]) for t, step in enumerate(logits)]
    return torch.cat(steps, dim=1).double()


def _cut(row: int, tokens: list[int], chances: Tensor, eos_token_ids: Sequence[int]) -> Decoded:
    ends = [step for step, token in enumerate(tokens) if token in eos_token_ids]
    scored = ends[0] + 1 if ends else len(tokens)
    lost = chances[:scored].isnan().nonzero().flatten().tolist()
    if lost:
        return Decoded(row, tokens[: lost[0]], "nan", float("nan"))
    log_prob = chances[:scored].sum().item()
    return Decoded(row, tokens[: ends[0]], "stop", log_prob) if ends else Decoded(row, tokens, "length", log_prob)
