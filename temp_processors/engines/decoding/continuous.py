"""Continuous batching: rows that end are replaced at once by rows that wait, so that a step is always as wide as it should be.

Rows are taken up by the length of their prompt and then in the order in which they come, whatever their policies are. What
a row draws depends on its prompt, its policy and its seed: neighbours move no bit of it where every product has the same bits in
a batch of any size (linear layers in float32 on a CPU that torch's oneDNN knows), and the last bits of its logits elsewhere.
"""

from __future__ import annotations

import logging
import time
from array import array
from collections import Counter, deque
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from itertools import accumulate, pairwise
from typing import Any, Literal

import psutil
import torch
from accelerate.utils.memory import clear_device_cache, should_reduce_batch_size
from torch import Tensor

from temp_processors.engines.decoding.packed import Prefill, prefill_rows
from temp_processors.engines.decoding.shared_prefix import FEWEST_ROWS, WORTH_SHARING
from temp_processors.engines.decoding.slots import Past, Stem
from temp_processors.engines.decoding.texts import Texts
from temp_processors.engines.engine import Decoded, DecodeRow, Ends, PolicyFactory
from temp_processors.policies.base import PolicyLogitsWarper
from temp_processors.sampling import SeededSampling, choose

logger = logging.getLogger(__name__)

PREFILL_TOKENS = 512
"""Tokens of prompts that go through the model at once."""
PREFIX = 16
"""Tokens that all prompts have to begin with to be prefilled once for all of them."""
NARROW, WIDEST = 32, 1024
"""Rows of a step that `auto` begins with at least, and ends with at most."""
WORK = 1e10
"""Parameters times rows that a step should have to begin with: below it, reading weights and calls cost more than what they compute."""
TRIED = 3
"""Steps of one width that are measured."""
CACHED, FEWEST = 1 << 17, 8
"""Scores that are worked on at once, so that what is made of them stays in the cache; and rows, which are some calls each."""
GAIN = 1.05
"""Tokens/s of twice the width over those of the width, from which on it stays doubled."""


class Width:
    """How many rows a step should have: a number that was given, or found by trying.

    It begins with a width that suits the size of the model, and is doubled as long as that makes more tokens a second and
    memory allows. Only time is looked at, and no row is drawn otherwise for it.

    Args:
        given: Rows, or None to try.
        parameters: Of the model.
        row_bytes: Memory that a row takes at its longest.
    """

    def __init__(self, given: int | None, parameters: int, row_bytes: int) -> None:
        self._trying = given is None
        if given is None:
            self._most = max(2, min(WIDEST, int(psutil.virtual_memory().available / 2 / row_bytes)))
            start = 1 << max(0, int(WORK / max(parameters, 1))).bit_length()
            given = min(self._most, max(NARROW, min(start, 256)))
        self.rows = given
        self._seconds: list[float] = []
        self._best = (0.0, 0)  # tokens/s, rows

    def measured(self, rows: int, seconds: float) -> None:
        """A step of so many rows took so long."""
        if not self._trying or rows != self.rows:
            return
        self._seconds.append(seconds)
        if len(self._seconds) < TRIED:
            return
        rate, self._seconds = rows / min(self._seconds), []
        if rate < GAIN * self._best[0]:
            self.rows, self._trying = self._best[1], False
            return
        self._best = rate, rows
        self.rows = min(2 * rows, self._most)
        self._trying = self.rows > rows


@dataclass
class _Prompt:
    """A prompt whose rows are being taken up."""

    ids: tuple[int, ...]
    own: Tensor
    stem: Stem | None
    logits: Tensor


@dataclass
class _Row:
    """A row in flight: its position, its policy, and the tokens drawn so far."""

    number: int
    policy: int
    tokens: list[int] = field(default_factory=list)


class ContinuousBatch:
    """The rows in flight, those that wait, and everything that has one entry per row.

    Args:
        view: Of the model, from `lean_view`.
        rows: What to draw.
        chosen: Positions of the rows that are to be drawn.
        policies: The factories that `DecodeRow.policy` counts.
        width: Rows of a step.
        max_new_tokens, eos_token_ids, coupled, ends: As for `decode`.
    """

    @torch.inference_mode()
    def __init__(
        self,
        view: Any,
        rows: Sequence[DecodeRow],
        chosen: Sequence[int],
        policies: Sequence[PolicyFactory],
        width: Width,
        *,
        max_new_tokens: int,
        eos_token_ids: Sequence[int],
        coupled: bool,
        ends: Ends | None,
    ) -> None:
        self.view, self.rows, self.width = view, rows, width
        self.max_new_tokens, self.eos, self.coupled, self.ends = max_new_tokens, set(eos_token_ids), coupled, ends
        prompts: dict[tuple[int, ...], int] = {}
        of_row = {row: prompts.setdefault(rows[row].prompt_ids, len(prompts)) for row in chosen}
        lengths = [len(prompt) for prompt in prompts]
        self.waiting = deque(sorted(chosen, key=lambda row: (lengths[of_row[row]], of_row[row])))
        self.samples = Counter(of_row.values())
        self.place_of = of_row
        self.prompts = list(prompts)
        self.to_prefill = deque(sorted(range(len(prompts)), key=lambda prompt: (lengths[prompt], prompt)))
        self.ready: dict[int, _Prompt] = {}
        self.prefix = self._prefilled_prefix()
        self.policies = {policy: policies[policy](0) for policy in sorted({rows[row].policy for row in chosen})}
        self.flying: list[_Row] = []
        self.texts = Texts()
        self.past: Past | None = None
        self.steps = torch.zeros(0, dtype=torch.long)
        self.seeds, self.current = torch.zeros(0, 1, dtype=torch.long), torch.zeros(0, dtype=torch.long)
        self.log_prob = torch.zeros(0, dtype=torch.float64)
        self.of_policy: dict[int, Tensor] | None = None

    # --- prompts

    def _prefilled_prefix(self) -> Stem | None:
        """The tokens that all prompts begin with, once through the model, where there are enough of them."""
        first, last = min(self.prompts), max(self.prompts)
        same = next(
            (n for n, (a, b) in enumerate(zip(first, last, strict=False)) if a != b), min(len(first), len(last))
        )
        same = min(same, min(map(len, self.prompts)) - 1)
        if len(self.prompts) < 2 or same < PREFIX:
            return None
        (start,) = prefill_rows(self.view, [first[:same]], None)
        return Stem(start.past)

    def _prefill(self) -> None:
        """Run the next prompts through the model: those that fit into `PREFILL_TOKENS`, and one at least."""
        begun = 0 if self.prefix is None else self.prefix.length
        chosen, tokens = list[int](), 0
        while self.to_prefill:
            tokens += len(self.prompts[self.to_prefill[0]]) - begun
            if chosen and tokens > PREFILL_TOKENS:
                break
            chosen.append(self.to_prefill.popleft())
        past = None if self.prefix is None else self.prefix.past
        starts = prefill_rows(self.view, [self.prompts[prompt][begun:] for prompt in chosen], past)
        for prompt, start in zip(chosen, starts, strict=True):
            self.ready[prompt] = self._prompt(prompt, start)

    def _prompt(self, prompt: int, start: Prefill) -> _Prompt:
        """What its rows go on from: a stem of their own, the prefix as a stem, or a copy of all in every row."""
        ids, samples, prefix = self.prompts[prompt], self.samples[prompt], self.prefix
        whole = start.past if prefix is None else torch.cat([prefix.past, start.past], dim=3)
        if samples >= FEWEST_ROWS and (samples - 1) * len(ids) >= WORTH_SHARING:
            return _Prompt(ids, whole[:, :, :, :0], Stem(whole), start.logits)
        if prefix is not None and (min(len(self.rows), self.width.rows) - 1) * prefix.length >= WORTH_SHARING:
            return _Prompt(ids, start.past, prefix, start.logits)
        return _Prompt(ids, whole, None, start.logits)

    # --- the step

    @torch.inference_mode()
    def step(self) -> tuple[int, list[Decoded]]:
        """Take up rows that wait, draw a token for every row: how many tokens, and the rows that ended with theirs."""
        begin, full = time.perf_counter(), len(self.flying)
        drawn, ended = 0, list[Decoded]()
        free: list[int] = []
        if self.flying and self.past is not None:
            logits = self.past.step(self.view, self.current[: len(self.flying)])
            drawn += len(self.flying)
            ended, free = self._draw(logits, range(len(self.flying)))
            self.width.measured(full, time.perf_counter() - begin)
        while self.waiting and (free or len(self.flying) < self.width.rows):
            if len(self.flying) - len(free) >= self.width.rows:
                break
            places, logits = self._take_up(free)
            drawn += len(places)
            more, gone = self._draw(logits, places)
            ended += more
            free += gone
        for place in sorted(free, reverse=True):
            self._drop(place)
        return drawn, ended

    def _take_up(self, free: list[int]) -> tuple[list[int], Tensor]:
        """Rows that wait, at free places and behind the last: their places, and the prediction after their prompts."""
        places, logits = list[int](), list[Tensor]()
        room = self.width.rows - (len(self.flying) - len(free))
        while self.waiting and room > 0 and len(places) < 64:
            number = self.waiting[0]
            prompt = self.place_of[number]
            if prompt not in self.ready:
                self._prefill()
            self.waiting.popleft()
            place = free.pop() if free else len(self.flying)
            start = self.ready[prompt]
            self._put(place, number, start)
            self.samples[prompt] -= 1
            places.append(place)
            logits.append(start.logits)
            room -= 1
            if not self.samples[prompt]:
                del self.ready[prompt]
        return places, torch.stack(logits)

    def _put(self, place: int, number: int, start: _Prompt) -> None:
        row = self.rows[number]
        if self.past is None:
            like = start.own if start.stem is None else start.stem.past
            places, longest = min(self.width.rows, len(self.waiting) + 1), max(map(len, self.prompts))
            self.past = Past(like, places=places, tokens=longest + min(self.max_new_tokens, 128))
        if place == len(self.flying):
            self.flying.append(_Row(number, row.policy))
            self._widen()
        self.flying[place] = _Row(number, row.policy)
        self.past.put(place, start.own, start.stem, self.place_of[number])
        self.steps[place] = 0
        self.seeds[place] = SeededSampling([row.seed]).seeds
        self.log_prob[place] = 0.0
        self.texts.put(place, start.ids)
        self.of_policy = None

    def _widen(self) -> None:
        if len(self.flying) <= len(self.steps):
            return
        more = len(self.flying)
        self.steps = torch.cat([self.steps, self.steps.new_zeros(more)])
        self.current = torch.cat([self.current, self.current.new_zeros(more)])
        self.seeds = torch.cat([self.seeds, self.seeds.new_zeros(more, 1)])
        self.log_prob = torch.cat([self.log_prob, self.log_prob.new_zeros(more)])

    def _drop(self, place: int) -> None:
        """Take a row out; the last one moves to its place."""
        last = len(self.flying) - 1
        self.flying[place] = self.flying[last]
        self.flying.pop()
        if self.past is not None:
            self.past.drop(place)
        for values in (self.steps, self.current, self.seeds, self.log_prob):
            values[place] = values[last]
        self.texts.move(last, place)
        self.of_policy = None

    # --- drawing

    def _draw(self, logits: Tensor, places: Sequence[int]) -> tuple[list[Decoded], list[int]]:
        """A token for the rows at `places`, which `logits` (places, vocab) predict: those that ended with it, and where they were."""
        everywhere = isinstance(places, range)
        at = slice(0, len(places)) if isinstance(places, range) else torch.tensor(places)
        if everywhere:
            self.texts.advance(len(places))
        steps = self.steps[at]
        ids = self.texts.before(at, steps)
        token, chance, bad = self._choose(ids, logits, steps, self.seeds[at], self._groups(places))
        self.log_prob[at] += chance.squeeze(1).double()
        self.texts.write(at, token.squeeze(1))
        self.steps[at] += 1
        self.current[at] = token.squeeze(1)
        ended, free = [], []
        for place, drawn, lost in zip(places, token.squeeze(1).tolist(), bad.squeeze(1).tolist(), strict=True):
            row = self.flying[place]
            row.tokens.append(drawn)
            if (reason := self._reason(row, drawn, lost)) is not None:
                tokens = row.tokens[:-1] if reason in ("nan", "stop") else row.tokens
                log_prob = float("nan") if lost else self.log_prob[place].item()
                ended.append(Decoded(row.number, tokens, reason, log_prob))
                free.append(place)
        return ended, free

    def _reason(self, row: _Row, drawn: int, lost: bool) -> Literal["stop", "stop_text", "length", "nan"] | None:
        """Why a row ends with the token that it drew; None where it goes on."""
        if lost:
            return "nan"
        if drawn in self.eos:
            return "stop"
        if self.ends is not None and self.ends(row.tokens):
            return "stop_text"
        return "length" if len(row.tokens) == self.max_new_tokens else None

    def _choose(
        self, ids: Tensor, logits: Tensor, steps: Tensor, seeds: Tensor, groups: dict[int, Tensor]
    ) -> tuple[Tensor, Tensor, Tensor]:
        """The token of every row, its log-probability in the model, and whether there was none to draw, all (rows, 1).

        Rows are worked on some at a time, so that what is made of their scores stays in the cache; the bits are those of all at once.
        """
        begun = ids.shape[1] - steps  # where each text's prompt ends: rows have come in at different steps
        token, bad = torch.empty_like(seeds), torch.empty_like(seeds, dtype=torch.bool)
        chance = logits.new_empty(seeds.shape, dtype=torch.float32)
        for some, parts in _some_at_a_time(groups, max(FEWEST, CACHED // logits.shape[1])):
            raw, text, end, seed = logits[some].float(), ids[some], begun[some], seeds[some]
            found = [self._policy(policy, end[own], seed[own])(text[own], raw[own]) for policy, own in parts]
            tempered = found[0] if len(found) == 1 else torch.cat(found)
            drawn, total = choose(tempered, seed, steps[some].unsqueeze(1), coupled=self.coupled)
            normaliser = raw.logsumexp(dim=-1, keepdim=True)
            token[some], chance[some] = drawn, raw.gather(1, drawn) - normaliser
            bad[some] = ~(total > 0) | normaliser.isnan()
        return token, chance, bad

    def _policy(self, place: int, begun: Tensor, seeds: Tensor) -> PolicyLogitsWarper:
        """A policy for rows whose prompts end at `begun`, (rows,), with the seeds of their texts where it draws from them."""
        policy = self.policies[place]
        policy = policy.with_seeds(seeds.squeeze(1)) if policy.needs_seeds else policy
        return policy.with_prompt_length(begun)

    def _groups(self, places: Sequence[int]) -> dict[int, Tensor]:
        """The rows of every policy, by their positions in `places`; kept while nobody comes or goes."""
        if isinstance(places, range) and self.of_policy is not None:
            return self.of_policy
        found: dict[int, list[int]] = {}
        for position, place in enumerate(places):
            found.setdefault(self.flying[place].policy, []).append(position)
        groups = {policy: torch.tensor(own) for policy, own in found.items()}
        if isinstance(places, range):
            self.of_policy = groups
        return groups


def _some_at_a_time(groups: dict[int, Tensor], height: int) -> Iterator[tuple[slice | Tensor, list[tuple[int, slice]]]]:
    """The rows of all policies, about `height` at a time: which they are, and of every policy among them its part of these.

    Rows of one policy stand as they are; those of several one policy after the other.
    """
    rows = sum(map(len, groups.values()))
    count = -(-rows // height)
    order = torch.cat(list(groups.values())) if len(groups) > 1 else None
    ends = list(accumulate(map(len, groups.values()), initial=0))
    for begin, end in pairwise(rows * part // count for part in range(count + 1)):
        parts = [
            (policy, slice(max(first, begin) - begin, min(last, end) - begin))
            for policy, (first, last) in zip(groups, pairwise(ends), strict=True)
            if first < end and last > begin
        ]
        yield slice(begin, end) if order is None else order[begin:end], parts


def draw_continuously(
    view: Any,
    rows: Sequence[DecodeRow],
    policies: Sequence[PolicyFactory],
    *,
    batch_size: int | None,
    on_tokens: Callable[[int], None],
    **options: Any,
) -> Iterator[Decoded]:
    """Continue every row, and yield rows as they end.

    When memory runs out, the rows that are left are drawn again with half of the width; a text that was begun begins anew and
    is the same.

    Args:
        view: Of the model, from `lean_view`.
        rows: All that are to be drawn; any number.
        policies: The factories that `DecodeRow.policy` counts.
        batch_size: Most rows of a step; None to find the fastest.
        on_tokens: Called with the number of tokens drawn, after every step.
        options: As for `ContinuousBatch`.
    """
    left = dict.fromkeys(range(len(rows)))
    width: Width | None = None
    while left:
        chosen = array("q", left)
        width = width or Width(batch_size, view.num_parameters(), _row_bytes(view, rows, options["max_new_tokens"]))
        batch = ContinuousBatch(view, rows, chosen, policies, width, **options)
        try:
            while batch.waiting or batch.flying:
                drawn, ended = batch.step()
                on_tokens(drawn)
                for done in ended:
                    del left[done.row]
                    yield done
        except RuntimeError as error:
            if width.rows < 2 or not should_reduce_batch_size(error):
                raise
            logger.warning("out of memory with %d rows: going on with half", width.rows)
            width = Width(width.rows // 2, 0, 0)
            del batch
            clear_device_cache(garbage_collection=True)


def _row_bytes(view: Any, rows: Sequence[DecodeRow], max_new_tokens: int) -> int:
    """Memory that a row takes: its past at its longest, and what is made of its scores in a step."""
    config = view.config.get_text_config(decoder=True)
    heads = getattr(config, "num_key_value_heads", None) or config.num_attention_heads
    size = getattr(config, "head_dim", None) or config.hidden_size // config.num_attention_heads
    longest = max(len(row.prompt_ids) for row in rows) + max_new_tokens
    past = 2 * config.num_hidden_layers * heads * size * longest * view.dtype.itemsize
    return int(past + 8 * 4 * config.vocab_size)
