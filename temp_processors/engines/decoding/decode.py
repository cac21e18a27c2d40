"""Draw continuations: rows in, finished rows out, each row with its own policy and its own seed.

Rows of all policies and prompts share one batch. A prompt is prefilled once however many rows continue it (on the CPU
its keys and values are also read once a step, see shared_prefix.py), each policy is called once per step on its slice,
one draw serves all rows, and rows that ended leave the batch.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator, Sequence
from itertools import groupby
from typing import Any, Literal

import torch
from accelerate.utils.memory import clear_device_cache, should_reduce_batch_size
from torch import Tensor

from temp_processors.engines.decoding.alone import CountsPaddingError, refuse_padding
from temp_processors.engines.decoding.by_generate import decode_with_generate
from temp_processors.engines.decoding.cache import keep_rows, share_out
from temp_processors.engines.decoding.prefill import NoBatchableCacheError, prefill
from temp_processors.engines.decoding.remarks import remark
from temp_processors.engines.decoding.shared_prefix import share_prefix, sharing_view
from temp_processors.engines.decoding.transformers_seam import forward
from temp_processors.engines.engine import Decoded, DecodeRow, Ends, PolicyFactory, ignore
from temp_processors.policies.positions import NO_TOKEN
from temp_processors.sampling import SeededSampling, choose

COMPACT_AT = 0.25
"""Compact the batch once finished rows have cost this share of the live rows' work."""

logger = logging.getLogger(__name__)


def decode(
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
    """Continue every row of one batch, and yield rows as they finish.

    Each row gets the tokens that `generate(do_sample=False, logits_processor=[policy, SeededSampling([seed])])` gives
    it alone, up to float rounding in the forward pass, which depends on the batch. When memory runs out, the
    rows that are left are decoded again in halves. A model whose cache cannot be batched goes through `generate`
    itself, one that counts padding gets prompts of one length at a time, and a log line says so.

    The model is only read: any number of these run at once on one model, in threads or taken turns with.

    Args:
        model: Any model that `generate` runs, in evaluation mode.
        rows: What to draw; at most as many as are to be computed together (see `plan_batches`).
        policies: The factories that `DecodeRow.policy` counts.
        max_new_tokens: Longest continuation, in tokens.
        eos_token_ids: Tokens that end a row; may be empty.
        pad_token_id: Fills up shorter prompts.
        coupled: Draw as `SeededSampling(coupled=True)` does.
        on_tokens: Called with the number of tokens drawn, after every step.
        ends: As in `DrawOptions`.
    """
    options: dict[str, Any] = {
        "ends": ends,
        "max_new_tokens": max_new_tokens,
        "eos_token_ids": eos_token_ids,
        "pad_token_id": pad_token_id,
        "coupled": coupled,
    }
    waiting = [list(range(len(rows)))] if rows else []
    while waiting:
        left = waiting.pop()
        try:
            for done in _decode_together(model, rows, left, policies, on_tokens, **options):
                left.remove(done.row)
                yield done
        except NoBatchableCacheError as error:
            remark(model, "batches", f"rows go through plain generate(), which is slower ({error})")
            for done in decode_with_generate(
                model, [rows[row] for row in left], policies, on_tokens=on_tokens, **options
            ):
                yield done._replace(row=left[done.row])
            left = []
        except CountsPaddingError:
            waiting += _by_length(rows, left)
            left = []
        except RuntimeError as error:
            if len(left) < 2 or not should_reduce_batch_size(error):
                raise
        if left:
            clear_device_cache(garbage_collection=True)
            logger.warning("out of memory with %d rows: going on with half", len(left))
            waiting += [left[len(left) // 2 :], left[: len(left) // 2]]


def _by_length(rows: Sequence[DecodeRow], chosen: Sequence[int]) -> list[list[int]]:
    """`chosen` in parts whose prompts have one length each, the shortest last, which is the first to be decoded."""
    order = sorted(chosen, key=lambda row: -len(rows[row].prompt_ids))
    return [list(part) for _, part in groupby(order, key=lambda row: len(rows[row].prompt_ids))]


def _decode_together(
    model: Any,
    rows: Sequence[DecodeRow],
    chosen: Sequence[int],
    policies: Sequence[PolicyFactory],
    on_tokens: Callable[[int], None],
    *,
    max_new_tokens: int,
    eos_token_ids: Sequence[int],
    pad_token_id: int,
    coupled: bool,
    ends: Ends | None,
) -> Iterator[Decoded]:
    order = sorted(chosen, key=lambda row: rows[row].policy)  # a policy's rows are one slice
    some = [rows[row] for row in order]
    batch = _Batch(model, some, policies, max_new_tokens, eos_token_ids, pad_token_id, coupled, ends)
    while batch.size:
        alive, ended = batch.alive, batch.step()
        on_tokens(alive)
        for done in ended:
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
        ends: Ends | None,
    ) -> None:
        prompts = list(dict.fromkeys(row.prompt_ids for row in rows))
        place = {prompt: position for position, prompt in enumerate(prompts)}
        start = prefill(model, prompts, max_new_tokens=max_new_tokens, pad_token_id=pad_token_id)
        refuse_padding(model, start, prompts, pad_token_id)
        device = start.input_ids.device
        index = torch.tensor([place[row.prompt_ids] for row in rows], device=device)
        self.max_new_tokens, self.processors = max_new_tokens, start.processors
        self.width = self.length = start.input_ids.shape[1]
        self.ids = start.input_ids.new_full((len(rows), self.width + max_new_tokens), pad_token_id)
        self.ids[:, : self.width] = start.input_ids[index]
        self.text = self.ids.clone()  # what policies see: padding is no part of a text
        mask = start.model_kwargs.get("attention_mask")
        if mask is not None and not model.config.is_encoder_decoder:
            self.text[:, : self.width].masked_fill_(mask[index, : self.width] == 0, NO_TOKEN)
        view = sharing_view(model, start, index)
        self.model = model if view is None else view
        self.kwargs = (share_out if view is None else share_prefix)(start, index, self.width + max_new_tokens)
        self.logits = start.logits[index.to(start.logits.device)]
        self.eos = torch.tensor(list(eos_token_ids), dtype=torch.long, device=device)
        self.seeds = SeededSampling([row.seed for row in rows]).seeds.to(device).view(-1, 1)
        self.log_prob = torch.zeros(len(rows), dtype=torch.float64, device=device)
        self.policies = {row.policy: policies[row.policy](self.width) for row in rows}
        self.policy_of = [row.policy for row in rows]
        self.names = list(range(len(rows)))  # position in `rows` of every row that is still here
        self.ended = torch.zeros(len(rows), dtype=torch.bool, device=device)
        self.wasted, self.alive = 0, len(rows)
        self.coupled, self.ends = coupled, ends

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
        self.ids[:, self.length] = self.text[:, self.length] = token.squeeze(1)
        self.length += 1
        stopped = torch.isin(token.squeeze(1), self.eos)
        last = self.length - self.width == self.max_new_tokens
        told = self._told_to_end(~(stopped | bad | self.ended))
        now = (stopped | bad | told | last) & ~self.ended
        ended = self._rows_ended(now, stopped, bad, told)
        self.ended |= now
        self._forward_or_end()
        return ended

    def _draw(self, raw: Tensor) -> tuple[Tensor, Tensor]:
        """The token of every row, (rows, 1), and whether there was none to draw because of NaN, (rows,)."""
        scores = self.processors(self.ids[:, : self.length], raw.clone()) if self.processors else raw
        ids = self.text[:, : self.length]
        tempered = torch.empty_like(scores)
        begin = 0
        for policy, group in groupby(self.policy_of):
            rows = slice(begin, begin + len(list(group)))
            tempered[rows] = self.policies[policy](ids[rows], scores[rows])
            begin = rows.stop
        step = torch.tensor(self.length - self.width, device=ids.device)
        token, total = choose(tempered, self.seeds, step, coupled=self.coupled)
        return token, ~(total > 0).squeeze(1) | raw.isnan().any(dim=-1)

    def _told_to_end(self, asked: Tensor) -> Tensor:
        """Of the rows where `asked` holds those of which `ends` says that their last token ends them, (rows,)."""
        told = torch.zeros_like(asked)
        if self.ends is not None:
            for row in asked.nonzero().flatten().tolist():
                told[row] = self.ends(self.ids[row, self.width : self.length].tolist())
        return told

    def _rows_ended(self, now: Tensor, stopped: Tensor, bad: Tensor, told: Tensor) -> list[Decoded]:
        """The rows where `now` holds, ended by end-of-sequence, by NaN, by `ends`, or by the limit of length."""
        ended: list[Decoded] = []
        for row in now.nonzero().flatten().tolist():
            tokens = self.ids[row, self.width : self.length].tolist()
            if bad[row]:
                ended.append(Decoded(self.names[row], tokens[:-1], "nan", float("nan")))
            elif stopped[row]:
                ended.append(Decoded(self.names[row], tokens[:-1], "stop", self.log_prob[row].item()))
            else:
                reason: Literal["stop_text", "length"] = "stop_text" if told[row] else "length"
                ended.append(Decoded(self.names[row], tokens, reason, self.log_prob[row].item()))
        return ended

    def _forward_or_end(self) -> None:
        """Compute the next logits; with no live row, empty the batch instead."""
        ended = int(self.ended.sum())
        self.alive = alive = self.size - ended
        self.wasted += ended
        if not alive:
            self.names = []
            return
        if self.wasted > COMPACT_AT * alive:
            self._compact(torch.nonzero(~self.ended).flatten())
        self.logits, self.kwargs = forward(self.model, self.ids[:, : self.length], self.kwargs)

    def _compact(self, keep: Tensor) -> None:
        """Go on with the rows at `keep` alone, moved together."""
        self.kwargs = keep_rows(self.kwargs, keep, self.size)
        self.ids, self.text = self.ids[keep], self.text[keep]
        self.seeds, self.log_prob = self.seeds[keep], self.log_prob[keep]
        self.ended, self.wasted = self.ended[keep], 0
        rows = keep.tolist()
        self.names = [self.names[row] for row in rows]
        self.policy_of = [self.policy_of[row] for row in rows]
