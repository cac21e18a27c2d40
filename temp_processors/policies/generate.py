"""The sampling of `generate` as a policy: the names of `GenerationConfig`, the processors and the order of `generate`."""

from __future__ import annotations

from typing import Any, ClassVar

import torch
from torch import Tensor
from transformers import (
    LogitsProcessor,
    NoRepeatNGramLogitsProcessor,
    RepetitionPenaltyLogitsProcessor,
    SuppressTokensLogitsProcessor,
)

from temp_processors.policies import cuts
from temp_processors.policies.base import PolicyLogitsWarper, no_temperature
from temp_processors.policies.chain import ChainLogitsWarper
from temp_processors.policies.checks import AnyTokenIds, Count, Positive, Share, Unit, as_ids, checked
from temp_processors.policies.fixed import FixedTemperatureLogitsWarper
from temp_processors.policies.positions import NO_TOKEN, is_one_of, prefix_lengths


class GenerateLogitsWarper(ChainLogitsWarper):
    r"""
    [`PolicyLogitsWarper`] that means what `generate(do_sample=True, **these)` means: the same processors, to the bit.

    Penalties come first, then temperature, top-h, top-k, top-p, min-p, typical p, epsilon and eta, each on what the one before it
    left. What is not given has the default of the library, which for `top_k` is 50 and not off. Nothing is taken from a
    checkpoint. Fields of `GenerationConfig` that need more than a row's tokens and scores (an end token, an encoder,
    the model) are no parameters here, and under beams `generate` keeps one token more of each cut.

    The temperature is `temperature`, and nan with a penalty: that bends the scores.

    Args:
        temperature (`float`, *optional*, defaults to 1): > 0, as for `generate`.
        top_h (`float`, *optional*): In (0, 1]; off unless given.
        top_k (`int`, *optional*, defaults to 50): 0 is off.
        top_p (`float`, *optional*, defaults to 1): In [0, 1]; 1 is off.
        min_p (`float`, *optional*, defaults to 0): In [0, 1]; 0 is off.
        typical_p (`float`, *optional*, defaults to 1): In (0, 1]; 1 is off.
        epsilon_cutoff (`float`, *optional*, defaults to 0): In [0, 1]; 0 and 1 are off.
        eta_cutoff (`float`, *optional*, defaults to 0): In [0, 1]; 0 and 1 are off.
        repetition_penalty (`float`, *optional*, defaults to 1): > 0, for tokens of the prompt and of the text; 1 is off.
        no_repeat_ngram_size (`int`, *optional*, defaults to 0): 0 is off. A row may lose every token by it, as in `generate`.
        suppress_tokens (token ids, *optional*): Are never drawn.
        pad_ids (token ids, *optional*): Padding on the left of a row, which is no token of the text; `build_policy` takes it from
            its tokenizer.
        prompt_length: Not used; every policy takes it.

    Source: `GenerationMixin._get_logits_processor` of transformers 5.

    Example:

    ```python
    >>> import torch
    >>> from temp_processors import GenerateLogitsWarper

    >>> card = GenerateLogitsWarper(temperature=0.5, top_p=0.9, repetition_penalty=2.0)
    >>> card(torch.tensor([[1]]), torch.tensor([[3.0, 4.0, 2.0, 0.0]]))  # token 1 stands in the text
    tensor([[6., 4., 4., -inf]])

    ```
    """

    example: ClassVar = {"temperature": 0.6, "top_k": 20, "top_p": 0.95}
    supports_continuous_batching = True  # without penalties

    @checked
    def __init__(
        self,
        temperature: Positive = 1.0,
        *,
        top_h: Share | None = None,
        top_k: Count = 50,
        top_p: Unit = 1.0,
        min_p: Unit = 0.0,
        typical_p: Share = 1.0,
        epsilon_cutoff: Unit = 0.0,
        eta_cutoff: Unit = 0.0,
        repetition_penalty: Positive = 1.0,
        no_repeat_ngram_size: Count = 0,
        suppress_tokens: AnyTokenIds = (),
        pad_ids: AnyTokenIds = (),
        prompt_length: int | Tensor | None = None,
    ) -> None:
        pads = as_ids(pad_ids)
        steps: list[PolicyLogitsWarper] = []
        if repetition_penalty != 1.0:
            steps.append(
                PenaltyLogitsWarper(RepetitionPenaltyLogitsProcessor(repetition_penalty), repetition_penalty, pads)
            )
        if no_repeat_ngram_size:
            steps.append(
                PenaltyLogitsWarper(NoRepeatNGramLogitsProcessor(no_repeat_ngram_size), no_repeat_ngram_size, pads)
            )
        if never := as_ids(suppress_tokens):
            steps.append(PenaltyLogitsWarper(SuppressTokensLogitsProcessor(never), never, pads))
        steps.append(FixedTemperatureLogitsWarper(temperature))
        if top_h is not None:
            steps.append(cuts.TopHCutLogitsWarper(top_h))
        if top_k:
            steps.append(cuts.TopKCutLogitsWarper(top_k))
        if top_p < 1.0:
            steps.append(cuts.TopPCutLogitsWarper(top_p or TINY))
        if min_p:
            steps.append(cuts.MinPCutLogitsWarper(min_p))
        if typical_p < 1.0:
            steps.append(cuts.TypicalPCutLogitsWarper(typical_p))
        if 0.0 < epsilon_cutoff < 1.0:
            steps.append(cuts.EpsilonCutLogitsWarper(epsilon_cutoff))
        if 0.0 < eta_cutoff < 1.0:
            steps.append(cuts.EtaCutLogitsWarper(eta_cutoff))
        super().__init__(steps, prompt_length=prompt_length)


TINY = 1e-30
"""A top-p that keeps one token, as 0 does in `generate`: 1 - TINY is 1."""


class PenaltyLogitsWarper(PolicyLogitsWarper):
    """
    [`PolicyLogitsWarper`] for a processor of transformers that looks at the tokens of a row.

    Padding on the left is shown to it as a token outside of the vocabulary, which changes nothing.

    Args:
        processor (`LogitsProcessor`): Of transformers; it takes (batch, length) and (batch, vocab).
        value: What it was made with, for `audit` to show.
        pad_ids (`tuple[int, ...]`): Padding, beside `NO_TOKEN`.
        prompt_length: Not used; every policy takes it.
    """

    supports_continuous_batching = False
    only_scales = False
    keeps_best = False

    @checked
    def __init__(
        self, processor: LogitsProcessor, value: Any, pad_ids: tuple[int, ...], *, prompt_length: int | Tensor = 0
    ) -> None:
        super().__init__(prompt_length=prompt_length)
        self.processor, self.value, self.pad_ids = processor, value, pad_ids

    def temperature(self, input_ids: Tensor, scores: Tensor) -> Tensor:
        """nan: no single temperature does this."""
        return no_temperature(scores)

    def process(self, input_ids: Tensor, scores: Tensor) -> Tensor:
        padding = is_one_of(input_ids, (NO_TOKEN, *self.pad_ids)).long().cumprod(dim=-1).bool()
        ids = input_ids.masked_fill(padding, scores.shape[-1])
        if scores.ndim == 2:
            processed: Tensor = self.processor(ids, scores)
            return processed
        widths = prefix_lengths(input_ids, scores).flatten().tolist()
        steps = [self.processor(ids[:, :width], scores[:, place]) for place, width in enumerate(widths)]
        return torch.stack(steps, dim=1)
