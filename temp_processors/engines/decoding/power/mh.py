"""A Markov chain of texts whose law tends to p(text)^alpha / Z: cut, redraw the rest, accept or not (arXiv 2510.14901).

A move cuts the text y, of L tokens (the end token is one), before a token chosen uniformly, redraws the rest from
softmax(alpha l), l the model's log-probabilities, and takes the new text y', of L' tokens, with probability min(1, r):

    ln r = alpha (ln p(y') - ln p(y)) + ln q(y) - ln q(y') + ln L - ln L'

with p and q of whole texts. The last two terms belong to the cut, whose place has probability 1 / L from y and 1 / L' back from y'; with
them detailed balance holds between texts of any lengths, for every place of the cut by itself. A text of the largest length is
a text like one that ended.

Texts grow by blocks: after each the chain moves `steps` times among the texts of so many tokens, which begin with what the
block before left.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, fields

import torch
from torch import Tensor

from temp_processors.engines.decoding.power.rows import Prompt
from temp_processors.engines.engine import Decoded, Ends, PowerStatistics
from temp_processors.policies.streams import substream, uniform
from temp_processors.sampling import choose

MOVES, CUT, ACCEPT = -4, -5, -6
"""Numbers of the streams of a text: the seeds of its redraws, the places of its cuts, whether they are accepted."""
FAILED = 9


@dataclass(frozen=True)
class Mh:
    """How texts are drawn.

    Args:
        alpha: Exponent of the texts' probability.
        steps: Moves after every block.
        block: Tokens of a block.
        max_new_tokens: Longest text, in tokens.
        eos: Ids that end a text, (ids,).
        coupled: As for `SeededSampling`.
        ends: As in `DrawOptions`.
    """

    alpha: float
    steps: int
    block: int
    max_new_tokens: int
    eos: Tensor
    coupled: bool = False
    ends: Ends | None = None


@dataclass
class Texts:
    """Some texts: entries of `tokens` and of the log-probabilities are 0 from `length` on.

    Args:
        tokens: (texts, longest), the end token included.
        log_p, log_prob, log_q: Of every token, float64: under what `generate` draws from at T = 1, the model, the proposal.
        length: (texts,), in tokens.
        reason: (texts,): 0 goes on, 1 end-of-sequence, 2 a stop text, 3 the length, 9 the model gave NaN.
    """

    tokens: Tensor
    log_p: Tensor
    log_prob: Tensor
    log_q: Tensor
    length: Tensor
    reason: Tensor

    @classmethod
    def empty(cls, count: int, longest: int, device: torch.device) -> Texts:
        """Texts without a token."""
        tokens = torch.zeros((count, longest), dtype=torch.long, device=device)
        log_p, log_prob, log_q = torch.zeros((3, count, longest), dtype=torch.float64, device=device)
        length, reason = torch.zeros((2, count), dtype=torch.long, device=device)
        return cls(tokens, log_p, log_prob, log_q, length, reason)

    def cut(self, which: Tensor, length: Tensor) -> Texts:
        """The first `length` tokens of the texts at `which`, as new tensors."""
        keep = torch.arange(self.tokens.shape[1], device=which.device) < length.unsqueeze(1)
        tokens, log_p, log_prob, log_q = (
            part[which] * keep for part in (self.tokens, self.log_p, self.log_prob, self.log_q)
        )
        return Texts(tokens, log_p, log_prob, log_q, length.clone(), torch.zeros_like(length))

    def put(self, which: Tensor, others: Texts, chosen: Tensor) -> None:
        """Replace the texts at `which` where `chosen` holds."""
        for field in fields(self):
            getattr(self, field.name)[which[chosen]] = getattr(others, field.name)[chosen]


class Chains:
    """One chain for every seed, all continuing one prompt."""

    def __init__(self, prompt: Prompt, seeds: Sequence[int], how: Mh) -> None:
        self.prompt, self.how, device = prompt, how, how.eos.device
        self.seeds = torch.tensor(list(seeds), dtype=torch.long, device=device).view(-1, 1)
        self.texts = Texts.empty(len(self.seeds), how.max_new_tokens, device)
        self.accepted, self.computed = torch.zeros((2, len(self.seeds)), dtype=torch.long, device=device)
        self.moves = self.redraws = 0

    def run(self) -> None:
        """Grow all texts block by block, with the moves after each."""
        longest, block = self.how.max_new_tokens, self.how.block
        for limit in [*range(block, longest, block), longest]:
            self._grow(limit)
            for _ in range(self.how.steps):
                self._move(limit)

    def _grow(self, limit: int) -> None:
        """Draw texts that go on up to `limit` tokens."""
        which = (self.texts.reason == 0).nonzero().flatten()
        grown = self._redraw(which, self.texts.length[which], limit)
        self.texts.put(which, grown, torch.ones_like(which, dtype=torch.bool))

    def _move(self, limit: int) -> None:
        """One move of every chain among texts of at most `limit` tokens."""
        which = (self.texts.reason != FAILED).nonzero().flatten()
        seeds, length = self.seeds[which], self.texts.length[which]
        number = torch.tensor(self.moves, device=which.device)
        place = uniform(substream(seeds, CUT), number).squeeze(1) * length
        new = self._redraw(which, place.long().clamp(max=length - 1), limit)
        log_r = self._log_target(new) - self._log_target(self.texts)[which]
        accept = uniform(substream(seeds, ACCEPT), number).squeeze(1).log() < log_r
        accept |= new.reason == FAILED
        self.texts.put(which, new, accept)
        self.accepted[which] += accept
        self.moves += 1

    def _log_target(self, texts: Texts) -> Tensor:
        """alpha ln p - ln q - ln L of every text: what a ratio of acceptance is made of."""
        by_chance = self.how.alpha * texts.log_p.sum(dim=1) - texts.log_q.sum(dim=1)
        return by_chance - texts.length.double().log()

    def _redraw(self, which: Tensor, keep: Tensor, limit: int) -> Texts:
        """The texts at `which` with everything behind their first `keep` tokens drawn anew, up to `limit` tokens.

        All begin at the prompt: what is kept goes through the model again, and counts as computed.
        """
        new = self.texts.cut(which, keep)
        streams = substream(substream(self.seeds[which], MOVES), self.redraws)
        self.redraws += 1
        on = torch.arange(len(which), device=which.device)
        rows = self.prompt.begin(len(on)) if len(on) else None
        for t in range(limit if rows is not None else 0):
            assert rows is not None
            old = t < keep[on]
            self._draw_one(new, on, old, t, rows.scores(), rows.raw(), streams[on])
            self.computed[which[on]] += 1
            going = (new.reason[on] == 0).nonzero().flatten()
            if t + 1 == limit or not len(going):
                break
            sources = None if len(going) == len(on) else going
            on = on[going]
            rows.feed(new.tokens[on, t], sources)
        return new

    def _draw_one(
        self, new: Texts, on: Tensor, old: Tensor, t: int, scores: Tensor, raw: Tensor, streams: Tensor
    ) -> None:
        """Token `t` of the texts at `on`, but for those where it is an `old` one."""
        log_probs = torch.log_softmax(scores, dim=-1)
        tempered = log_probs * self.how.alpha
        token, total = choose(tempered, streams, torch.tensor(t, device=on.device), coupled=self.how.coupled)
        chance = log_probs.gather(1, token)
        own = chance if scores is raw else raw.gather(1, token) - raw.logsumexp(dim=-1, keepdim=True)
        log_q = tempered.gather(1, token) - tempered.logsumexp(dim=-1, keepdim=True)
        drawn, fresh = on[~old], ~old
        for name, value in (("tokens", token), ("log_p", chance), ("log_prob", own), ("log_q", log_q)):
            into = getattr(new, name)
            into[drawn, t] = value[fresh].squeeze(1).to(into.dtype)
        new.length[drawn] = t + 1
        reason = torch.where(torch.isin(token, self.how.eos), 1, 3 if t + 1 == self.how.max_new_tokens else 0).squeeze(
            1
        )
        bad = ~(total > 0).squeeze(1) | raw.isnan().any(dim=-1)
        new.reason[drawn] = reason.masked_fill(bad, FAILED)[fresh]
        if self.how.ends is not None:
            for text in drawn[(new.reason[drawn] % 3) == 0].tolist():
                if self.how.ends(new.tokens[text, : t + 1].tolist()):
                    new.reason[text] = 2

    def drawn(self, text: int) -> Decoded:
        """Where the chain of one seed stands."""
        texts, reason = self.texts, int(self.texts.reason[text])
        tokens = texts.tokens[text, : texts.length[text]].tolist()
        statistics = PowerStatistics(
            computed_tokens=int(self.computed[text]), acceptance=int(self.accepted[text]) / max(1, self.moves)
        )
        if reason == FAILED:
            return Decoded(text, tokens[:-1], "nan", float("nan"), statistics)
        log_prob = texts.log_prob[text].sum().item()
        if reason == 1:
            return Decoded(text, tokens[:-1], "stop", log_prob, statistics)
        return Decoded(text, tokens, "stop_text" if reason == 2 else "length", log_prob, statistics)


@torch.inference_mode()
def _run(prompt: Prompt, seeds: Sequence[int], how: Mh) -> Chains:
    chains = Chains(prompt, seeds, how)
    chains.run()
    return chains


def draw_by_moves(prompt: Prompt, seeds: Sequence[int], how: Mh) -> Iterator[Decoded]:
    """One text for every seed; `Decoded.row` counts the seeds."""
    chains = _run(prompt, seeds, how)
    yield from map(chains.drawn, range(len(seeds)))
