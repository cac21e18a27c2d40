"""Temperatures for code: one at the start of an indented block, another elsewhere."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from temp_processors.policies.base import PolicyLogitsWarper
from temp_processors.policies.checks import AnyTokenIds, Temperature, TokenIds, as_ids, checked
from temp_processors.policies.distribution import working_dtype
from temp_processors.policies.positions import at_prefixes, at_the_end, is_one_of, last_place, prefix_lengths


class BlockStartLogitsWarper(PolicyLogitsWarper):
    r"""
    [`PolicyLogitsWarper`] for code (AdapT): one temperature at the start of a code block, another elsewhere.

    A block starts where a newline token is followed by one or more indent tokens: the token after them is drawn at
    `start_temperature`, every other at `temperature`. The prompt counts, a prompt that ends in an indented line
    starts a block. As in the published code, the first token of a text that is neither counts as the end of a line, so
    that a text of one token and an indent starts a block. Padding on the left is no part of a text: ids below 0, as engines
    lay out their batches, and a run of `pad_ids` at the beginning.

    Args:
        newline_ids (token ids): Tokens that end a line.
        indent_ids (token ids): Tokens that indent one, such as a tab or four spaces.
        start_temperature (`float`, *optional*, defaults to 0.8): At the start of a block, >= 0.
        temperature (`float`, *optional*, defaults to 0.6): Elsewhere, >= 0.
        initial_temperature (`float`, *optional*, defaults to `temperature`): Where the text so far is nothing but
            indents, >= 0.
        pad_ids (token ids, *optional*): Tokens that `generate` is given as padding on the left of shorter prompts; `build_policy`
            takes that of its tokenizer, unless texts begin with it.
        prompt_length: Not used; every policy takes it.

    Source: Zhu et al. 2024, arXiv 2309.02772, and its code, whose rule is: after a newline the position is 1, after any
    other token but an indent one more; an indent at position 1 starts a block.

    Example:

    ```python
    >>> import torch
    >>> from temp_processors import BlockStartLogitsWarper

    >>> adapt = BlockStartLogitsWarper(newline_ids=198, indent_ids=[197, 50268])
    >>> adapt.temperature(torch.tensor([[25, 198, 50268], [198, 50268, 611]]), torch.zeros(2, 9))
    tensor([[0.8000],
            [0.6000]])

    ```
    """

    supports_continuous_batching = False
    ignores_scores = True

    @checked
    def __init__(
        self,
        newline_ids: TokenIds,
        indent_ids: TokenIds,
        start_temperature: Temperature = 0.8,
        temperature: Temperature = 0.6,
        initial_temperature: Temperature | None = None,
        pad_ids: AnyTokenIds = (),
        *,
        prompt_length: int | Tensor = 0,
    ) -> None:
        super().__init__(prompt_length=prompt_length)
        self.newline_ids, self.indent_ids = as_ids(newline_ids), as_ids(indent_ids)
        self.pad_ids = as_ids(pad_ids)
        self.at_start, self.elsewhere = start_temperature, temperature
        self.initial = temperature if initial_temperature is None else initial_temperature
        self.coldest = min(self.at_start, self.elsewhere, self.initial)

    def temperature(self, input_ids: Tensor, scores: Tensor) -> Tensor:
        tokens = at_the_end(input_ids, scores)
        if not isinstance(tokens, Tensor):
            return torch.from_numpy(self._at_the_end(tokens)).to(working_dtype(scores))
        padding = (input_ids < 0) | is_one_of(input_ids, self.pad_ids)
        padding = padding.cumprod(dim=-1).bool()  # at the beginning alone
        newline = is_one_of(input_ids, self.newline_ids) & ~padding
        indent = is_one_of(input_ids, self.indent_ids) & ~newline & ~padding
        position = line_positions(newline, indent | padding)
        after_indent = last_place(indent) > last_place(~indent)
        lengths = prefix_lengths(input_ids, scores)
        value = torch.full_like(position, self.elsewhere, dtype=working_dtype(scores))
        value = value.masked_fill(after_indent & (position == 1), self.at_start)
        return at_prefixes(value.masked_fill(after_indent & (position == 0), self.initial), lengths)

    def _at_the_end(self, tokens: npt.NDArray[np.int64]) -> npt.NDArray[np.float64]:
        """The temperature after all tokens, (batch, length) -> (batch, 1): only rows that end in an indent are looked at."""
        value = np.full((len(tokens), 1), self.elsewhere)
        if not tokens.size:
            return value
        open_rows = is_one_of(tokens[:, -1], self.indent_ids).nonzero()[0]
        if not open_rows.size:
            return value
        tokens = tokens[open_rows]
        newline = is_one_of(tokens, self.newline_ids)
        indent = is_one_of(tokens, self.indent_ids) & ~newline
        padding = (
            ((tokens < 0) | is_one_of(tokens, self.pad_ids)).cumprod(axis=-1).astype(bool)
        )  # at the beginning alone
        newline &= ~padding
        lines = newline.cumsum(axis=-1)
        word = ~newline & ~indent & ~padding
        position = (word & (lines == lines[:, -1:])).sum(axis=-1) + newline.any(axis=-1)
        after_indent = indent[:, -1] & ~padding[:, -1]
        value[open_rows[after_indent & (position == 1)]] = self.at_start
        value[open_rows[after_indent & (position == 0)]] = self.initial
        return value


def line_positions(newline: Tensor, indent: Tensor) -> Tensor:
    """Position in the line after each prefix, indents not counted: 0 before anything, 1 after a newline.

    Two boolean tensors (batch, length) -> (batch, length + 1). What is neither is a word; padding is to be given as indent.
    """
    none = torch.zeros(newline.shape[0], 1, dtype=torch.long, device=newline.device)
    words = torch.cat([none, (~newline & ~indent).cumsum(dim=-1)], dim=-1)
    seen = last_place(newline)
    return words - words.gather(-1, seen) + (seen > 0)
