"""What a policy did at every step, recorded while `generate` runs."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor
from transformers import LogitsProcessor

from temp_processors.policies.base import PolicyLogitsWarper
from temp_processors.trace.recompute import Measured, as_trace, chosen, measure
from temp_processors.trace.table import TokenTrace


class TemperatureTrace(LogitsProcessor):
    """A policy that also remembers what it did; `generate` gives the same tokens with and without it.

    The chosen token is known only when the next call comes, so hand the finished sequences to `finish`. Assisted and
    prompt-lookup decoding call at repeated and backward lengths and beam search reorders rows: steps are kept by
    length, the last call for a length counts, and `finish` checks that every step belongs to the text it is given.

    Args:
        policy: Any policy of this package.
        top_k: How many of the most probable tokens to keep per step, with the weight of the rest; 0 keeps none.
        window: How many steps a draft may reach back, in assisted decoding (batches of one); one row of scores is held
            for each.

    Example:
        >>> from transformers import LlamaConfig, LlamaForCausalLM
        >>> from temp_processors import FixedTemperatureLogitsWarper
        >>> config = LlamaConfig(vocab_size=32, hidden_size=8, num_hidden_layers=1, num_attention_heads=1)
        >>> trace = TemperatureTrace(FixedTemperatureLogitsWarper(0.5))
        >>> prompt, _ = torch.tensor([[1, 5]]), torch.manual_seed(0)
        >>> text = LlamaForCausalLM(config).generate(prompt, max_new_tokens=3, do_sample=True, logits_processor=[trace])
        >>> trace.finish(text).temperature
        tensor([[0.5000, 0.5000, 0.5000]])
    """

    def __init__(self, policy: PolicyLogitsWarper, *, top_k: int = 0, window: int = 32) -> None:
        self.policy = policy
        self.top_k = top_k
        self.window = window
        self.supports_continuous_batching = False
        self._clear()

    def temperature(self, input_ids: Tensor, scores: Tensor) -> Tensor:
        """The policy's temperature."""
        return self.policy.temperature(input_ids, scores)

    def __call__(self, input_ids: Tensor, scores: Tensor) -> Tensor:
        """What the policy returns, and a note of it."""
        processed = self.policy(input_ids, scores)
        length = input_ids.shape[-1]
        if length - 1 in self._rows:
            self._choose(length - 1, input_ids[:, -1])
        self._seen[length] = measure(self.policy, input_ids, scores, processed, self.top_k)
        self._prints[length] = _prints(input_ids)[:, -1]
        self._rows[length] = scores, processed
        keep = self.window if len(scores) == 1 else 1
        for old in [key for key in self._rows if key <= length - keep]:
            del self._rows[old]
        return processed

    def finish(self, sequences: Tensor, eos_token_ids: Sequence[int] = ()) -> TokenTrace:
        """The trace of the sequences that `generate` returned, (batch, length); forgets everything afterwards.

        Raises:
            ValueError: if a step of these sequences was not seen, or was seen for other texts (beam search reorders
                rows: use `trace_tokens` on its result).
        """
        if not self._seen:
            raise ValueError("nothing was recorded: pass this object in logits_processor=[...] of generate()")
        lengths = range(min(self._seen), sequences.shape[-1])
        prints = _prints(sequences)
        for length in lengths:
            same = length in self._prints and torch.equal(self._prints[length], prints[:, length])
            if same and length in self._rows:
                self._choose(length, sequences[:, length])
            if not same or not torch.equal(self._chosen[length][0], sequences[:, length]):
                raise ValueError(
                    f"the step after {length} tokens was not recorded for these sequences; after beam search, or a "
                    f"draft longer than window={self.window}, use trace_tokens() on the sequences instead"
                )
        tokens = sequences[:, lengths.start :]
        seen = Measured(*map(_stack, zip(*[self._seen[length] for length in lengths], strict=True)))
        _, before, after = map(_stack, zip(*[self._chosen[length] for length in lengths], strict=True))
        self._clear()
        return as_trace(tokens, eos_token_ids, seen, before, after)

    def _choose(self, length: int, tokens: Tensor) -> None:
        scores, processed = self._rows[length]
        self._chosen[length] = tokens, chosen(scores, tokens), chosen(processed, tokens)

    def _clear(self) -> None:
        self._seen: dict[int, Measured] = {}
        self._prints: dict[int, Tensor] = {}
        self._chosen: dict[int, tuple[Tensor, Tensor, Tensor]] = {}
        self._rows: dict[int, tuple[Tensor, Tensor]] = {}


def _stack(values: Sequence[Any]) -> Any:
    return None if values[0] is None else torch.stack(list(values), dim=1)


def _prints(input_ids: Tensor) -> Tensor:
    """A number that stands for each prefix of 0, 1, ..., length tokens: (batch, length) -> int64 (batch, length + 1).

    A sum of products modulo 2^64 with one odd multiplier per position: other texts agree by chance only.
    """
    position = torch.arange(1, input_ids.shape[-1] + 1, device=input_ids.device)
    multiplier = (position * position * 0x1B873593 + position * 0x5851F42D4C957F2D) | 1
    total = ((input_ids + 1) * multiplier).cumsum(dim=-1)
    return torch.nn.functional.pad(total, (1, 0))
