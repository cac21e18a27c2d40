"""Exclude top choices (XTC), as the distribution that its coin stands for."""

from __future__ import annotations

import math

import numpy as np
import torch
from torch import Tensor

from temp_processors.policies.base import PolicyLogitsWarper, no_temperature
from temp_processors.policies.blocks import Rows, as_torch
from temp_processors.policies.checks import Unit, checked
from temp_processors.policies.distribution import may_overflow, without_sync, working_dtype


class XTCLogitsWarper(PolicyLogitsWarper):
    r"""
    [`PolicyLogitsWarper`] for XTC: with this probability, drop every token with p >= threshold but the least likely of them.

    Other samplers toss a coin for every token. The coin decides about this token and nothing else, so that the texts
    follow the mixture of the two distributions, (1 - probability) p + probability p', with p' the one after the cut.
    This class returns the mixture: the draw of the token is the only one, and what is seeded there stays reproducible,
    in any batch and in every engine; log-probabilities of a text under the policy are right.

    What comes after XTC in the order of samplers belongs into `then`: the mixture is made of `then` of both, which a
    temperature of the mixture is not. A chain refuses steps after it. Where fewer than two tokens reach the threshold
    the scores are those of `then`; elsewhere they are log-probabilities.

    Args:
        probability (`float`, *optional*, defaults to 0.5): In [0, 1].
        threshold (`float`, *optional*, defaults to 0.1): In [0, 1]. Above 0.5 nothing is ever dropped.
        then (`PolicyLogitsWarper`, *optional*): What follows, such as the temperature in llama.cpp.
        prompt_length (*optional*): If given, handed on to `then`.

    Source: p-e-w, https://github.com/oobabooga/text-generation-webui/pull/6335; llama.cpp's `xtc`. Of equally likely tokens the last
    stays, by id. No token is exempt, as in llama.cpp; text-generation-webui does without the cut where it would drop a
    newline or the end.

    Example:

    ```python
    >>> import torch
    >>> from temp_processors.policies.xtc import XTCLogitsWarper

    >>> scores = torch.tensor([[0.5, 0.3, 0.15, 0.05]]).log()  # the cut leaves 0.15 and 0.05
    >>> XTCLogitsWarper(probability=0.5, threshold=0.1)(torch.tensor([[1]]), scores).exp()
    tensor([[0.2500, 0.1500, 0.4500, 0.1500]])

    ```
    """

    supports_continuous_batching = True  # if `then` does
    only_scales = False
    keeps_best = False
    comes_last = True

    @checked
    def __init__(
        self,
        probability: Unit = 0.5,
        threshold: Unit = 0.1,
        then: PolicyLogitsWarper | None = None,
        *,
        prompt_length: int | Tensor | None = None,
    ) -> None:
        super().__init__()
        self.probability, self.threshold = probability, threshold
        self.then = then if then is None or prompt_length is None else then.with_prompt_length(prompt_length)
        self.supports_continuous_batching = then is None or then.supports_continuous_batching
        self.per_row = then is not None and then.per_row

    def with_prompt_length(self, prompt_length: int | Tensor) -> XTCLogitsWarper:
        other = super().with_prompt_length(prompt_length)
        other.then = None if self.then is None else self.then.with_prompt_length(prompt_length)
        return other

    def temperature(self, input_ids: Tensor, scores: Tensor) -> Tensor:
        """nan: no single temperature does this."""
        return no_temperature(scores)

    def dropped(self, scores: Tensor) -> Tensor:
        """The tokens that the cut takes, boolean; none in rows where fewer than two reach the threshold."""
        scores = scores.detach()
        top = (scores.to(working_dtype(scores)).softmax(dim=-1) >= self.threshold) & ~torch.isneginf(scores)
        place = torch.arange(scores.shape[-1], device=scores.device)
        least = scores.masked_fill(~top, torch.inf).amin(dim=-1, keepdim=True)
        spared = torch.where(top & (scores == least), place, -1).amax(dim=-1, keepdim=True)
        return top & (place != spared)

    def process(self, input_ids: Tensor, scores: Tensor) -> Tensor:
        if not without_sync(scores) and self._divides(scores.dtype):
            return self._by_sets(input_ids, scores)
        dropped = self.dropped(scores)
        plain = self._then(input_ids, scores)
        cut = self._then(input_ids, scores.masked_fill(dropped, -torch.inf))
        mixed = _mixture(plain, cut, self.probability).to(scores.dtype)
        return torch.where(dropped.any(dim=-1, keepdim=True), mixed, plain)

    def _divides(self, dtype: torch.dtype) -> bool:
        """Whether `then` does to the scores after the cut what it does to the same ones before it."""
        then = self.then
        return then is None or (then.only_scales and then.ignores_scores and then.coldest >= may_overflow(dtype))

    def _by_sets(self, input_ids: Tensor, scores: Tensor) -> Tensor:
        """The mixture where `then` divides: every token that goes has (1 - q) p, every one that stays p times one number."""
        plain = self._then(input_ids, scores)
        result = (plain.clone() if plain is scores else plain).contiguous()
        rows, into = scores.reshape(-1, scores.shape[-1]), result.view(-1, scores.shape[-1])
        likely: Rows = (rows.to(working_dtype(rows)).softmax(dim=-1)).numpy() >= self.threshold
        for row in np.flatnonzero(np.count_nonzero(likely, axis=-1) > 1):
            values = rows[row].to(working_dtype(rows)).numpy()
            top = np.flatnonzero(likely[row])
            top = top[values[top] > -np.inf]
            spared = top[values[top] == values[top].min()][-1:]
            gone = top[top != spared]
            if len(gone):
                with as_torch():
                    mixed = _of_sets(into[row].to(working_dtype(rows)).numpy(), gone, self.probability)
                into[row] = torch.from_numpy(mixed)
        return result

    def _then(self, input_ids: Tensor, scores: Tensor) -> Tensor:
        return scores if self.then is None else self.then(input_ids, scores)


def _of_sets(values: Rows, gone: Rows, share: float) -> Rows:
    """ln((1 - share) p + share p'), of one row of scores, with p' = p without the tokens `gone`."""
    gap = values - values.max()
    lost = gap[gone]
    gap[gone] = -np.inf
    top = gap.max()
    kept = math.log(np.exp(gap - top).sum(dtype=np.float64)) + float(top)
    whole = np.logaddexp(kept, np.log(np.exp(lost, dtype=np.float64).sum()))
    mixed: Rows = np.add(gap, values.dtype.type(np.logaddexp(_ln(1.0 - share) - whole, _ln(share) - kept)), out=gap)
    mixed[gone] = lost + values.dtype.type(_ln(1.0 - share) - whole)
    return mixed


def _mixture(one: Tensor, other: Tensor, share: float) -> Tensor:
    """ln((1 - share) softmax(one) + share softmax(other)), in the working dtype; -inf where both are."""
    alone = torch.isneginf(one.amax(dim=-1, keepdim=True))  # a row of -inf: what is made of it is not used
    left, right = (
        scores.to(working_dtype(scores)).masked_fill(alone, 0.0).log_softmax(dim=-1) + _ln(weight)
        for scores, weight in ((one, 1.0 - share), (other, share))
    )
    dead = torch.isneginf(left) & torch.isneginf(right) | alone
    return torch.logaddexp(left.masked_fill(dead, 0.0), right.masked_fill(dead, 0.0)).masked_fill(dead, -torch.inf)


def _ln(share: float) -> float:
    return math.log(share) if share > 0.0 else -math.inf
