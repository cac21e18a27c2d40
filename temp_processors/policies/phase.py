"""Policies that follow the structure of the text: inside and outside a pair of tags, at the start of a code block."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

from temp_processors.policies.base import PolicyLogitsWarper
from temp_processors.policies.checks import TEMPERATURE, check_token_ids
from temp_processors.policies.distribution import working_dtype
from temp_processors.policies.positions import at_prefixes, ends_tag, is_one_of, last_place, prefix_lengths


class PhaseLogitsWarper(PolicyLogitsWarper):
    r"""
    [`PolicyLogitsWarper`] with one policy inside a pair of tags (`<think>` ... `</think>`) and another outside.

    A row is inside when the last opening tag in its `input_ids`, prompt included, stands after the last closing tag.
    A tag is a token id or a sequence of them; the token after the complete opening tag is the first inside, the closing
    tag itself is still drawn inside. Rows go in and out on their own, as often as they like.

    Args:
        open_ids (token ids): The opening tag, as the sequence of ids that it is made of.
        close_ids (token ids): The closing tag, other than the opening one.
        inside (`PolicyLogitsWarper`): The policy between the tags.
        outside (`PolicyLogitsWarper`): The policy elsewhere.
        prompt_length (*optional*): If given, handed on to both policies; the tags are found without it.

    Example:

    ```python
    >>> import torch
    >>> from temp_processors import FixedTemperatureLogitsWarper as Fixed
    >>> from temp_processors import PhaseLogitsWarper

    >>> phase = PhaseLogitsWarper(open_ids=[7], close_ids=[8], inside=Fixed(1.0), outside=Fixed(0.5))
    >>> phase.temperature(torch.tensor([[1, 7, 2], [7, 2, 8]]), torch.zeros(2, 9))
    tensor([[1.0000],
            [0.5000]])

    ```
    """

    def __init__(
        self,
        open_ids: Sequence[int] | int,
        close_ids: Sequence[int] | int,
        inside: PolicyLogitsWarper,
        outside: PolicyLogitsWarper,
        *,
        prompt_length: int | Tensor | None = None,
    ) -> None:
        super().__init__()
        self.open_ids = check_token_ids("open_ids", open_ids)
        self.close_ids = check_token_ids("close_ids", close_ids)
        if self.open_ids == self.close_ids:
            raise ValueError(f"`close_ids` has to differ from `open_ids`, but both are {list(self.open_ids)}")
        self.inside, self.outside = inside, outside
        self.only_scales = inside.only_scales and outside.only_scales
        if prompt_length is not None:
            self._hand_on(prompt_length)

    def with_prompt_length(self, prompt_length: int | Tensor) -> PhaseLogitsWarper:
        other = super().with_prompt_length(prompt_length)
        other._hand_on(prompt_length)
        return other

    def _hand_on(self, prompt_length: int | Tensor) -> None:
        self.inside = self.inside.with_prompt_length(prompt_length)
        self.outside = self.outside.with_prompt_length(prompt_length)

    def is_inside(self, input_ids: Tensor, scores: Tensor) -> Tensor:
        """Which rows are between the tags: a boolean (batch, 1), or (batch, steps, 1) for 3-D scores."""
        opened = last_place(ends_tag(input_ids, self.open_ids))
        closed = last_place(ends_tag(input_ids, self.close_ids))
        return at_prefixes(opened > closed, prefix_lengths(input_ids, scores))

    def temperature(self, input_ids: Tensor, scores: Tensor) -> Tensor:
        """That of the policy each row is under; nan where that has no single one."""
        inside, outside = (policy.temperature(input_ids, scores) for policy in (self.inside, self.outside))
        return torch.where(self.is_inside(input_ids, scores), inside, outside)

    def __call__(self, input_ids: Tensor, scores: Tensor) -> Tensor:
        if self.only_scales:
            return super().__call__(input_ids, scores)
        inside, outside = self.inside(input_ids, scores), self.outside(input_ids, scores)
        return torch.where(self.is_inside(input_ids, scores), inside, outside)


class BlockStartLogitsWarper(PolicyLogitsWarper):
    r"""
    [`PolicyLogitsWarper`] for code (AdapT): one temperature at the start of a code block, another elsewhere.

    A block starts where a newline token is followed by one or more indent tokens: the token after them is drawn at
    `start_temperature`, every other at `temperature`. The prompt counts, a prompt that ends in an indented line
    starts a block. As in the published code, the first token of a text that is neither counts as the end of a line, so
    that a text of one token and an indent starts a block.

    Args:
        newline_ids (token ids): Tokens that end a line.
        indent_ids (token ids): Tokens that indent one, such as a tab or four spaces.
        start_temperature (`float`, *optional*, defaults to 0.8): At the start of a block, >= 0.
        temperature (`float`, *optional*, defaults to 0.6): Elsewhere, >= 0.
        initial_temperature (`float`, *optional*, defaults to `temperature`): Where the text so far is nothing but
            indents, >= 0.
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

    def __init__(
        self,
        newline_ids: Sequence[int] | int,
        indent_ids: Sequence[int] | int,
        start_temperature: float = 0.8,
        temperature: float = 0.6,
        initial_temperature: float | None = None,
        *,
        prompt_length: int | Tensor = 0,
    ) -> None:
        super().__init__(prompt_length=prompt_length)
        self.newline_ids = check_token_ids("newline_ids", newline_ids)
        self.indent_ids = check_token_ids("indent_ids", indent_ids)
        self.at_start = TEMPERATURE.check("start_temperature", start_temperature)
        self.elsewhere = TEMPERATURE.check("temperature", temperature)
        given = temperature if initial_temperature is None else initial_temperature
        self.initial = TEMPERATURE.check("initial_temperature", given)

    def temperature(self, input_ids: Tensor, scores: Tensor) -> Tensor:
        newline = is_one_of(input_ids, self.newline_ids)
        indent = is_one_of(input_ids, self.indent_ids) & ~newline
        position = positions(newline, indent)
        after_indent = last_place(indent) > last_place(~indent)
        lengths = prefix_lengths(input_ids, scores)
        value = torch.full_like(position, self.elsewhere, dtype=working_dtype(scores))
        value = value.masked_fill(after_indent & (position == 1), self.at_start)
        return at_prefixes(value.masked_fill(after_indent & (position == 0), self.initial), lengths)


def positions(newline: Tensor, indent: Tensor) -> Tensor:
    """Position in the line after each prefix, indents not counted: 0 before anything, 1 after a newline.

    Two boolean tensors (batch, length) -> (batch, length + 1).
    """
    none = torch.zeros(newline.shape[0], 1, dtype=torch.long, device=newline.device)
    words = torch.cat([none, (~newline & ~indent).cumsum(dim=-1)], dim=-1)
    seen = last_place(newline)
    return words - words.gather(-1, seen) + (seen > 0)


def resolve_tag(tokenizer: Any, name: str, text: str) -> tuple[int, ...]:
    """Token ids of a tag given as text, or ValueError when the tag is not tokenised the same inside a text."""
    if tokenizer is None:
        raise ValueError(f"`{name}` is given as text ({text!r}), which needs a tokenizer; or give `{name}_ids`")
    ids = list(tokenizer.encode(text, add_special_tokens=False))
    for around in ("{}", "a{}b", "a {} b", "a.\n{}\nb"):
        whole = list(tokenizer.encode(around.format(text), add_special_tokens=False))
        if not ids or not any(whole[start : start + len(ids)] == ids for start in range(len(whole))):
            raise ValueError(
                f"`{name}` ({text!r}) is not tokenised the same inside a text: {ids} alone, but "
                f"{around.format(text)!r} is {whole}; give `{name}_ids`, or make the tag one special token"
            )
    return tuple(ids)
