"""Sequential Monte Carlo for p(text)^alpha: many particles a text, weighted, resampled while they grow (Power-SMC, arXiv 2602.10273).

With alpha_t the exponent after t tokens (ramped from 1 to alpha), a particle follows softmax(alpha_t l), l the model's
log-probabilities, and after its t-th token has the target p(y_1..t)^alpha_t. Its log-weight grows by

    (alpha_t - alpha_{t-1}) sum_{s<t} ln p(y_s) + lse(alpha_t l) - alpha_t lse(l)

of which a particle that has ended gets the first term, its whole text's, as long as the ramp lasts: the target of an ended text
is p^alpha_t as well. What is left of the ramp when a text's last particle ends is added then, so that the weights always
end at p(text)^alpha. Z is estimated without bias, and the text drawn by weight has a bias of order 1 / particles.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from temp_processors.engines.decoding.power.rows import Prompt
from temp_processors.engines.engine import Decoded, Ends, PowerStatistics
from temp_processors.policies.streams import substream, uniform
from temp_processors.sampling import choose

RESAMPLE, PICK = -2, -3
"""Numbers of the streams of a text beside those of its particles, which are 0, 1, 2, ..."""


@dataclass(frozen=True)
class Smc:
    """How texts are drawn.

    Args:
        alpha: Exponent of the texts' probability.
        particles: A text.
        ramp: Tokens after which the exponent has come from 1 to `alpha`; 1 begins there.
        max_new_tokens: Longest text, in tokens; a text cut there is a text.
        eos: Ids that end a text, (ids,).
        coupled: As for `SeededSampling`.
        ends: As in `DrawOptions`.
    """

    alpha: float
    particles: int
    ramp: int
    max_new_tokens: int
    eos: Tensor
    coupled: bool = False
    ends: Ends | None = None

    def exponent(self, tokens: int) -> float:
        """alpha_t for texts of `tokens` tokens: 1 for none, straight up (or down) to `alpha` at `ramp`."""
        return 1.0 + (self.alpha - 1.0) * min(1.0, tokens / self.ramp)


class Population:
    """The particles of some texts of one prompt, and everything that has one entry per particle: (texts, particles, ...)."""

    def __init__(self, prompt: Prompt, seeds: Sequence[int], how: Smc, device: torch.device) -> None:
        self.how = how
        self.seeds = torch.tensor(list(seeds), dtype=torch.long, device=device).view(-1, 1)
        numbers = torch.arange(how.particles, device=device)
        self.streams = substream(self.seeds, numbers)
        shape = tuple(self.streams.shape)
        self.tokens = torch.zeros((*shape, how.max_new_tokens), dtype=torch.long, device=device)
        self.length = torch.zeros(shape, dtype=torch.long, device=device)
        self.log_p, self.log_prob, self.log_weight = torch.zeros((3, *shape), dtype=torch.float64, device=device)
        self.ended = torch.zeros(shape, dtype=torch.bool, device=device)
        self.reason = torch.zeros(shape, dtype=torch.long, device=device)
        self.ancestor = numbers.expand(shape).clone()
        self.resamplings, self.computed = torch.zeros((2, shape[0]), dtype=torch.long, device=device)
        self.rows = prompt.begin(self.streams.numel())
        self.holder = torch.arange(self.streams.numel(), device=device)  # the particle of every row, counted through
        self.given = torch.zeros(shape[0], dtype=torch.bool, device=device)  # texts that were handed over

    def step(self, t: int) -> Iterator[Decoded]:
        """Draw the token after `t` of every particle that goes on; the texts that ended with it."""
        before, after = self.how.exponent(t), self.how.exponent(t + 1)
        self.log_weight += (after - before) * self.log_p
        failed = self._draw(t, after)
        for text in failed.nonzero().flatten().tolist():
            yield self._failed(text, t)
        source = self._resample(t)
        over = self.ended.all(dim=1) & ~self.given
        for text in over.nonzero().flatten().tolist():
            yield self._drawn(text, after)
        self.given |= over
        if not bool(self.given.all()):
            self._feed(t, source)

    def _draw(self, t: int, alpha: float) -> Tensor:
        """One token for every row; the texts where the model gave NaN, (texts,)."""
        scores, raw, who = self.rows.scores(), self.rows.raw(), self.holder
        log_probs = torch.log_softmax(scores, dim=-1)
        tempered = log_probs * alpha
        step = torch.tensor(t, device=who.device)
        token, total = choose(tempered, self.streams.view(-1, 1)[who], step, coupled=self.how.coupled)
        bad = ~(total > 0).squeeze(1) | raw.isnan().any(dim=-1)
        chance = log_probs.gather(1, token).squeeze(1).double()
        own = chance if scores is raw else (raw.gather(1, token).squeeze(1) - raw.logsumexp(dim=-1)).double()
        self.log_weight.view(-1)[who] += tempered.logsumexp(dim=-1).double()
        self.log_p.view(-1)[who] += chance
        self.log_prob.view(-1)[who] += own
        self.tokens.view(-1, self.how.max_new_tokens)[who, t] = token.squeeze(1)
        self.length.view(-1)[who] = t + 1
        self.computed += (~self.ended).sum(dim=1)
        self._end(t, who, token.squeeze(1))
        failed = torch.zeros_like(self.ended).view(-1).index_fill(0, who[bad], True).view_as(self.ended).any(dim=1)
        self.ended |= failed.unsqueeze(1)
        self.given |= failed
        return failed

    def _end(self, t: int, who: Tensor, token: Tensor) -> None:
        """Note which of the rows that just drew `token` end, and why: 1 end-of-sequence, 2 a stop text, 3 the length."""
        reason = torch.where(torch.isin(token, self.how.eos), 1, 3 if t + 1 == self.how.max_new_tokens else 0)
        if self.how.ends is not None:
            for place in (reason != 1).nonzero().flatten().tolist():
                text = self.tokens.view(-1, self.how.max_new_tokens)[who[place], : t + 1].tolist()
                reason[place] = 2 if self.how.ends(text) else reason[place]
        self.reason.view(-1)[who] = reason
        self.ended.view(-1)[who] = reason > 0

    def _resample(self, t: int) -> Tensor:
        """Copy heavy particles over light ones where the weights have come apart; the particle that each one is now."""
        weight = torch.softmax(self.log_weight, dim=1)
        low = 1.0 / weight.square().sum(dim=1) < self.how.particles / 2
        low &= ~self.ended.all(dim=1)
        same = torch.arange(self.how.particles, device=weight.device).expand_as(weight)
        if not bool(low.any()):
            return same
        u = uniform(substream(self.seeds, RESAMPLE), torch.tensor(t, device=weight.device))
        source = torch.where(low.unsqueeze(1), systematic(weight, u), same)
        for name in ("log_p", "log_prob", "length", "ended", "reason", "ancestor"):
            setattr(self, name, getattr(self, name).gather(1, source))
        self.tokens = self.tokens.gather(1, source.unsqueeze(2).expand_as(self.tokens))
        self.log_weight[low] = 0.0
        self.resamplings += low
        return source

    def _feed(self, t: int, source: Tensor) -> None:
        """The model's next prediction for the particles that go on, each from the row of its source.

        A particle keeps its row where it can; rows behind the last one that is needed move into those that came free.
        """
        count, device = self.ended.numel(), self.ended.device
        row_of = torch.full((count,), -1, device=device).index_put(
            (self.holder,), torch.arange(len(self.holder), device=device)
        )
        on = (~self.ended).view(-1).nonzero().flatten()
        first = torch.arange(0, count, self.how.particles, device=device).unsqueeze(1)
        comes_from = row_of[(source + first).view(-1)[on]]
        place = row_of[on]
        stays = (place >= 0) & (place < len(on))
        free = torch.ones(len(on), dtype=torch.bool, device=device).index_fill(0, place[stays], False)
        place = place.masked_scatter(~stays, free.nonzero().flatten())
        self.holder = torch.empty_like(on).index_put((place,), on)
        sources = torch.empty_like(on).index_put((place,), comes_from)
        self.rows.feed(self.tokens.view(count, -1)[self.holder, t], sources)

    def _drawn(self, text: int, alpha: float) -> Decoded:
        """The text whose particles have all ended, drawn by weight."""
        log_weight = self.log_weight[text] + (self.how.alpha - alpha) * self.log_p[text]
        weight = torch.softmax(log_weight, dim=0)
        u = uniform(substream(self.seeds[text], PICK), torch.zeros((), dtype=torch.long, device=weight.device))
        cumulated = weight.cumsum(dim=0)
        chosen = int((cumulated <= u * cumulated[-1]).sum().clamp(max=len(weight) - 1))
        statistics = PowerStatistics(
            computed_tokens=int(self.computed[text]),
            ess=1.0 / weight.square().sum().item(),
            resamplings=int(self.resamplings[text]),
            ancestors=len(set(self.ancestor[text].tolist())),
        )
        tokens = self.tokens[text, chosen, : self.length[text, chosen]].tolist()
        log_prob = self.log_prob[text, chosen].item()
        reason = int(self.reason[text, chosen])
        if reason == 1:
            return Decoded(text, tokens[:-1], "stop", log_prob, statistics)
        return Decoded(text, tokens, "stop_text" if reason == 2 else "length", log_prob, statistics)

    def _failed(self, text: int, t: int) -> Decoded:
        """A text for which the model gave NaN after `t` tokens."""
        statistics = PowerStatistics(computed_tokens=int(self.computed[text]))
        return Decoded(text, self.tokens[text, 0, :t].tolist(), "nan", float("nan"), statistics)


def systematic(weight: Tensor, u: Tensor) -> Tensor:
    """Systematic resampling: the particle that each of N becomes, (texts, N), with those that survive in their own place.

    A particle of weight w has floor(N w) or ceil(N w) descendants, N w in the mean.

    Args:
        weight: (texts, N), float64, each row summing to 1.
        u: (texts, 1), uniform in (0, 1).

    Example:
        >>> systematic(torch.tensor([[0.5, 0.0, 0.25, 0.25]], dtype=torch.float64), torch.tensor([[0.5]])).tolist()
        [[0, 0, 2, 3]]
    """
    count = weight.shape[1]
    points = (torch.arange(count, device=weight.device) + u) / count
    cumulated = weight.cumsum(dim=1)
    chosen = torch.searchsorted(cumulated / cumulated[:, -1:], points, right=True).clamp(max=count - 1)
    copies = torch.zeros_like(chosen).scatter_add(1, chosen, torch.ones_like(chosen))
    place = torch.arange(count, device=weight.device).expand_as(chosen)
    dead = copies == 0
    extra = (copies - 1).clamp(min=0).cumsum(dim=1)
    rank = dead.long().cumsum(dim=1) - 1
    filled = torch.searchsorted(extra, rank.clamp(min=0), right=True).clamp(max=count - 1)
    return torch.where(dead, filled, place)


@torch.inference_mode()
def _begin(prompt: Prompt, seeds: Sequence[int], how: Smc) -> Population:
    return Population(prompt, seeds, how, how.eos.device)


def draw_by_particles(prompt: Prompt, seeds: Sequence[int], how: Smc) -> Iterator[Decoded]:
    """One text for every seed, handed over as its last particle ends; `Decoded.row` counts the seeds."""
    population = _begin(prompt, seeds, how)
    for t in range(how.max_new_tokens):
        with torch.inference_mode():
            ended = list(population.step(t))
        yield from ended
        if bool(population.given.all()):
            return
