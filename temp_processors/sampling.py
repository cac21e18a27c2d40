"""Draw each row's next token from its own seed, whatever else is in the batch."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor
from transformers import LogitsProcessor

from temp_processors.policies.base import short_repr
from temp_processors.policies.blocks import as_torch
from temp_processors.policies.checks import check_prompt_length, longest_prompt
from temp_processors.policies.distribution import top_score, without_sync, working_dtype
from temp_processors.policies.inputs import are_scores, check_failed, check_scores
from temp_processors.policies.positions import few_steps_after, per_row, steps_after
from temp_processors.policies.streams import as_tensor, check_seeds, stream_of, uniform_number, uniform_words
from temp_processors.policies.streams import uniform as uniform

BLOCK = 512  # entries summed at once: about the square root of a large vocabulary
FEW = 16  # rows for which one number after the other costs less than arrays do

Rows: TypeAlias = npt.NDArray[Any]


class SeededSampling(LogitsProcessor):
    r"""
    [`LogitsProcessor`] that draws from softmax(scores), one seed per row, and returns 0 at its choice and -inf
    elsewhere. Put it last and call `generate(..., do_sample=False)`: greedy decoding then takes the choice, no other
    sampler is added, and the stack is exactly the list that was passed.

    A draw depends on the row's scores, its seed and its step, and on nothing else: not on the batch around it, the
    order of the rows, the global generator, or how often it is called. One uniform number with 53 bits
    comes from hashing (seed, step); inverse CDF picks the token, with sums in float64 over blocks of entries, so that
    tokens of probability 1e-12 come up as often as they should. Entries at -inf are never drawn. A row with
    NaN keeps a NaN at its choice, and a row of -inf only stays so.

    Args:
        seeds (`Sequence[int]` or `torch.LongTensor` of shape `(batch,)`): One whole number of 64 bits per row of the batch
            (`num_return_sequences` multiplies the rows).
        prompt_length (`int` or `torch.LongTensor` of shape `(batch,)`, *optional*, defaults to 0):
            Width of the prompt in tokens, padding included. Rows whose prompts are padded to another width in
            another batch draw the same there, if this says so.
        coupled (`bool`, *optional*, defaults to `False`):
            Lay the tokens out from the most to the least probable before the uniform number picks one (ties by token
            id). Each row follows softmax(scores) as before; but rows that share a seed and differ in temperature
            now take tokens of similar rank, so that a difference between two temperatures has less noise. It costs a
            sort of every row. On the model that ships (`scripts/measure_coupling.py`, 64 texts of 32 tokens, 200
            experiments each) the standard deviation of a difference falls to these shares (standard errors 0.05 to
            0.06): T=0.9 against 1.0 distinct-2 0.67, self-BLEU-4 0.74; T=0.7 against 1.0 distinct-2 0.81, self-BLEU-4
            0.89. Texts that have parted share little, so the closer the temperatures, the more it helps.

    Example:

    ```python
    >>> import torch
    >>> from temp_processors import SeededSampling

    >>> draw = SeededSampling(seeds=[1, 2, 1], prompt_length=1)
    >>> draw(torch.tensor([[5], [5], [5]]), torch.zeros(3, 1000)).argmax(dim=-1).tolist()
    [368, 392, 368]

    ```
    """

    supports_continuous_batching = False

    def __init__(
        self, seeds: Sequence[int] | Tensor, *, prompt_length: int | Tensor = 0, coupled: bool = False
    ) -> None:
        self.seeds = as_tensor(check_seeds("seeds", seeds))
        self.prompt_length = check_prompt_length(prompt_length)
        self._longest_prompt = longest_prompt(self.prompt_length)
        self.coupled = coupled
        self._streams = [stream_of(seed) for seed in self.seeds[: FEW + 1].tolist()]

    def __repr__(self) -> str:
        coupled = ", coupled=True" if self.coupled else ""
        return f"SeededSampling({short_repr(self.seeds)}, prompt_length={short_repr(self.prompt_length)}{coupled})"

    def __call__(self, input_ids: Tensor, scores: Tensor) -> Tensor:
        """0 at each row's choice, -inf elsewhere, in a new tensor of the shape and dtype of `scores`."""
        if not are_scores(scores):
            check_scores(scores)
        try:
            return self._choice(input_ids, scores)
        except (AttributeError, IndexError, TypeError, RuntimeError):
            check_failed(input_ids, scores)
            raise

    def _choice(self, input_ids: Tensor, scores: Tensor) -> Tensor:
        if not (scores.ndim > 2 or self.coupled or without_sync(scores)) and scores.numel():
            return _drawn(scores, self._uniform(input_ids, scores))
        step = steps_after(input_ids, scores, self.prompt_length, self._longest_prompt)
        choice, total = choose(scores, per_row(self.seeds, "seeds", scores), step, coupled=self.coupled)
        mark = (
            total.clamp(max=1.0).log().to(scores.dtype)
        )  # 0, as the maximum weighs 1; -inf where there is nothing to draw
        return torch.full_like(scores, -torch.inf).scatter_(-1, choice, mark)

    def _uniform(self, input_ids: Tensor, scores: Tensor) -> npt.NDArray[np.float64]:
        """The number that draws each row's token, (batch,), for two dimensions of scores."""
        step = few_steps_after(input_ids, scores, self.prompt_length, self._longest_prompt)
        if scores.shape[0] > FEW or len(self._streams) != scores.shape[0]:
            return uniform_words(per_row(self.seeds, "seeds", scores).numpy(), step)[:, 0]
        steps = step.flatten().tolist() * (len(self._streams) if len(step) == 1 else 1)
        return np.array([uniform_number(*row) for row in zip(self._streams, map(int, steps), strict=True)])


def choose(scores: Tensor, seeds: Tensor, step: Tensor, *, coupled: bool = False) -> tuple[Tensor, Tensor]:
    """The draw of every row, (..., 1), and its partition function; `coupled` as `SeededSampling` says."""
    u = uniform(seeds, step)
    if not coupled:
        return draw(scores, u)
    order = scores.argsort(dim=-1, descending=True, stable=True)
    rank, total = draw(scores.gather(-1, order), u)
    return order.gather(-1, rank), total


def draw(scores: Tensor, u: Tensor) -> tuple[Tensor, Tensor]:
    """Inverse CDF of softmax(scores) at `u` (float64, (..., 1)): the index, and the partition function.

    Two levels: sums over blocks choose the block, the entries of that block choose the token. Only (..., BLOCK)
    numbers are ever cumulated in float64, and no running sum over the vocabulary loses a small probability.
    """
    if not without_sync(scores) and scores.numel():
        rows, shape = scores.detach().reshape(-1, scores.shape[-1]), (*scores.shape[:-1], 1)
        found = _draw_eagerly(rows.to(working_dtype(scores)).numpy(), u.expand(shape).flatten().numpy())
        choice, total = (torch.from_numpy(values).reshape(shape) for values in found)
        return choice, total
    weight = (scores.to(working_dtype(scores)) - top_score(scores)).exp_()
    sums = _block_sums(weight).double()
    block, within, total = _pick(sums, u)
    places = block * BLOCK + torch.arange(min(BLOCK, scores.shape[-1]), device=scores.device)
    inside = weight.gather(-1, places.clamp(max=scores.shape[-1] - 1)).double()
    inside = inside.masked_fill(places >= scores.shape[-1], 0.0)
    place, _, _ = _pick(inside, within)
    return (block * BLOCK + place).clamp(max=scores.shape[-1] - 1), total


def _drawn(scores: Tensor, u: npt.NDArray[np.float64]) -> Tensor:
    """What [`SeededSampling`] returns for scores of two dimensions, by numpy: few rows cost as many operations as many."""
    values = scores.detach().to(working_dtype(scores)).numpy()
    result = np.full(values.shape, -np.inf, dtype=values.dtype)
    choice, total = _draw_eagerly(values, u)
    mark = [
        0.0 if one >= 1.0 else -math.inf if one == 0.0 else math.nan for one in total.tolist()
    ]  # a maximum weighs 1
    result[np.arange(len(choice)), choice] = mark
    drawn = torch.from_numpy(result)
    return drawn if drawn.dtype == scores.dtype else drawn.to(scores.dtype)


def _draw_eagerly(values: Rows, u: Rows) -> tuple[Rows, Rows]:
    """[`draw`] on the CPU: (rows, vocab) and (rows,) -> the indices and the partition functions, (rows,)."""
    count, vocabulary = values.shape
    weight = np.zeros((count, -(-vocabulary // BLOCK) * BLOCK), dtype=values.dtype)
    entries, parts, rows = weight[:, :vocabulary], weight.reshape(count, -1, BLOCK), np.arange(count)
    with as_torch():
        top = np.maximum(values.max(axis=-1, keepdims=True), np.finfo(values.dtype).min)  # not -inf
        np.exp(np.subtract(values, top, out=entries), out=entries)
        sums = parts.sum(axis=-1)
        block, target, cumulated = _place(sums, u)
        size = sums[rows, block].astype(np.float64)
        within = (target - (cumulated[rows, block] - size)) / size
        within = np.minimum(np.maximum(within, 0.0), 1.0 - 2.0**-53)
        place, _, _ = _place(parts[rows, block], within)
    return np.minimum(block * BLOCK + place, vocabulary - 1), cumulated[:, -1]


def _place(weight: Rows, u: Rows) -> tuple[Rows, Rows, Rows]:
    """Where `u`, (rows,), falls in the cumulated weights, (rows, entries): the entry, the sum looked for, and the cumulated weights."""
    cumulated = weight.cumsum(axis=-1, dtype=np.float64)
    total = cumulated[:, -1]
    target = np.minimum(u * total, total * (1.0 - 2.0**-52))  # below the total, which is therefore found
    return (cumulated > target[:, None]).argmax(axis=-1), target, cumulated


def _block_sums(weight: Tensor) -> Tensor:
    """(..., vocab) -> (..., blocks); the last block may be short."""
    whole = weight.shape[-1] // BLOCK * BLOCK
    sums = weight[..., :whole].reshape(*weight.shape[:-1], -1, BLOCK).sum(dim=-1) if whole else weight[..., :0]
    rest = weight[..., whole:].sum(dim=-1, keepdim=True)
    return torch.cat([sums, rest], dim=-1)


def _pick(weight: Tensor, u: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """The entry at `u` of the cumulated weights, where in it `u` lies (in [0, 1)), and the sum of the weights."""
    cumulated = weight.cumsum(dim=-1)
    total = cumulated[..., -1:]
    target = torch.minimum(u * total, total * (1.0 - 2.0**-52))
    index = (cumulated <= target).sum(dim=-1, keepdim=True).clamp(max=weight.shape[-1] - 1)
    size = weight.gather(-1, index)
    before = cumulated.gather(-1, index) - size
    return index, ((target - before) / size).clamp(0.0, 1.0 - 2.0**-53), total
