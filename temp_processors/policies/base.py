"""The one contract of every policy: divide the scores by a temperature that a subclass chooses."""

from __future__ import annotations

import copy
import inspect
import reprlib
from collections.abc import Mapping, Sequence
from typing import Any, ClassVar, TypeVar

import torch
from torch import Tensor
from transformers import LogitsProcessor

from temp_processors.policies.checks import check_prompt_length, longest_prompt
from temp_processors.policies.distribution import at_temperature, working_dtype
from temp_processors.policies.few import Few
from temp_processors.policies.inputs import are_scores, check_failed, check_scores
from temp_processors.policies.positions import few_steps_after, steps_after

Warper = TypeVar("Warper", bound="PolicyLogitsWarper")


class PolicyLogitsWarper(LogitsProcessor):
    r"""
    [`LogitsProcessor`] that divides the scores by a temperature chosen anew for every row and step. A subclass writes
    [`temperature`] and nothing else.

    A policy is a pure function of `(input_ids, scores)`: no counters, nothing in place. The step is counted from the
    width of `input_ids`, so that assisted decoding (repeated and backward lengths), beam search (reordered rows) and
    finished rows get the same answer per row as that row alone. Temperature 0, and a temperature so small that the
    division would overflow, is greedy: the first maximum keeps its score and the rest goes to -inf. Entries at -inf
    stay there and count as probability 0. NaN scores are passed on: finding them would synchronise the device.

    Args:
        prompt_length (`int` or `torch.LongTensor` of shape `(batch,)`, *optional*, defaults to 0):
            Width of the prompt in tokens, padding included: `input_ids.shape[-1]` before the first new token (0 with
            `inputs_embeds`, 1 for the decoder of an encoder-decoder model). Policies that ignore the step ignore it.

    Example:

    ```python
    >>> import torch
    >>> from temp_processors.policies.base import PolicyLogitsWarper

    >>> class CoolingLogitsWarper(PolicyLogitsWarper):
    ...     def temperature(self, input_ids, scores):
    ...         return 1.0 / (1.0 + self.steps(input_ids, scores))

    >>> cooling = CoolingLogitsWarper(prompt_length=2)
    >>> cooling(torch.tensor([[5, 6, 7]]), torch.tensor([[1.0, 2.0]]))
    tensor([[2., 4.]])

    ```
    """

    # What the form of a new policy begins with, for parameters that have no default or that need one another.
    example: ClassVar[Mapping[str, Any]] = {}
    # Whether the last token of each row is enough: continuous batching shows no more.
    supports_continuous_batching = False
    # Whether the position of a row in the batch decides about its temperature.
    per_row = False
    # Whether `temperature()` looks at the shape and dtype of the scores alone, so that no score has to be known for it.
    ignores_scores = False
    # False where a policy does more to the scores than divide them by `temperature()`.
    only_scales = True
    # True where it puts tokens at -inf and leaves the scores of the others: a truncation.
    only_cuts = False
    # False where the most likely token may be ruled out.
    keeps_best = True
    # True where the scores that it returns are those of a mixture, so that nothing may temper or cut them afterwards.
    comes_last = False
    # True where something is drawn from the seed of a text.
    draws_from_seed = False
    # A bound that temperature() never falls below. Above 0 it spares the search for rows that have to be greedy.
    coldest = 0.0

    def __init__(self, *, prompt_length: int | Tensor = 0) -> None:
        self.prompt_length = check_prompt_length(prompt_length)
        self._longest_prompt = longest_prompt(self.prompt_length)

    def __repr__(self) -> str:
        """The class and its parameters as they were given, without those that are the defaults; the prompt length where there is one.

        Example:
            >>> from temp_processors import DynamicTemperatureLogitsWarper
            >>> DynamicTemperatureLogitsWarper(1, range=0.5, prompt_length=8)
            DynamicTemperatureLogitsWarper(temperature=1, range=0.5, prompt_length=8)
        """
        default = {name: item.default for name, item in inspect.signature(type(self)).parameters.items()}
        given = {
            name: value
            for name, value in vars(self).get("_given", {}).items()
            if name != "prompt_length"
            and (isinstance(value, Tensor) or value != default.get(name, inspect.Parameter.empty))
        }
        if isinstance(self.prompt_length, Tensor) or self.prompt_length:
            given["prompt_length"] = self.prompt_length
        return f"{type(self).__name__}({', '.join(f'{name}={short_repr(value)}' for name, value in given.items())})"

    def temperature(self, input_ids: Tensor, scores: Tensor) -> Tensor:
        """Temperature for every row: broadcastable to (batch, 1), or to (batch, steps, 1) for 3-D scores.

        Args:
            input_ids (`torch.LongTensor` of shape `(batch, length)`): the tokens so far, prompt first.
            scores (`torch.Tensor` of shape `(batch, vocab)` or `(batch, steps, vocab)`): the incoming scores. In 3-D,
                `scores[:, s]` predicts the token after the prefix `input_ids[:, : length - steps + 1 + s]`.
        """
        raise NotImplementedError(f"{type(self).__name__} has to say its temperature")

    def __call__(self, input_ids: Tensor, scores: Tensor) -> Tensor:
        """What [`process`] returns, for arguments that can be computed with.

        Raises:
            TypeError: The scores, or the tokens that a policy looks at, are no tensor, or of another kind of numbers.
            ValueError: They are of another shape, on two devices, or have no token to choose from.
        """
        if not are_scores(scores):
            check_scores(scores)
        try:
            return self.process(input_ids, scores)
        except (AttributeError, IndexError, TypeError, RuntimeError):
            check_failed(input_ids, scores)
            raise

    def process(self, input_ids: Tensor, scores: Tensor) -> Tensor:
        """Scores at the chosen temperature: a new tensor of the shape and dtype of `scores`. Overridden where more is done to them."""
        return at_temperature(scores, self.temperature(input_ids, scores), self.coldest)

    def with_prompt_length(self: Warper, prompt_length: int | Tensor) -> Warper:
        """The same policy for prompts of another length; the original keeps its own."""
        other = copy.copy(self)
        other.prompt_length = check_prompt_length(prompt_length)
        other._longest_prompt = longest_prompt(other.prompt_length)
        return other

    @property
    def needs_seeds(self) -> bool:
        """Whether `with_seeds` has to come before a call, for this policy or for one inside it."""
        return any(policy.needs_seeds for value in vars(self).values() for policy in _policies_in(value))

    def with_seeds(self: Warper, seeds: Sequence[int] | Tensor) -> Warper:
        """The same policy for the texts of these seeds, one per row; the original, where nothing in it is drawn from a seed."""
        if not self.needs_seeds:
            return self
        other = copy.copy(self)
        for name, value in vars(self).items():
            if isinstance(value, PolicyLogitsWarper):
                setattr(other, name, value.with_seeds(seeds))
            elif _policies_in(value):
                setattr(other, name, tuple(policy.with_seeds(seeds) for policy in value))
        return other

    def steps(self, input_ids: Tensor, scores: Tensor) -> Tensor:
        """Number of new tokens before each prediction, 0 for the first; shape as `prefix_lengths` with prompts."""
        return steps_after(input_ids, scores, self.prompt_length, self._longest_prompt)

    def few_steps(self, input_ids: Tensor, scores: Tensor) -> Few:
        """[`steps`] as floating-point numbers, in an array where that is quicker: see few.py."""
        return few_steps_after(input_ids, scores, self.prompt_length, self._longest_prompt)


SHORT = reprlib.Repr()
SHORT.maxlevel, SHORT.maxlist, SHORT.maxtuple, SHORT.maxstring, SHORT.maxother = 8, 6, 6, 80, 2000


def short_repr(value: Any) -> str:
    """`repr`, of long lists the first six entries, of tensors those as a list.

    Example:
        >>> short_repr(torch.arange(9)), short_repr((1, 0.5))
        ('[0, 1, 2, 3, 4, 5, ...]', '(1, 0.5)')
    """
    return SHORT.repr(value.tolist() if isinstance(value, Tensor) else value)


def _policies_in(value: Any) -> list[PolicyLogitsWarper]:
    """The policy that an attribute is, or the policies of a tuple."""
    items = value if isinstance(value, tuple) else (value,)
    return [item for item in items if isinstance(item, PolicyLogitsWarper)]


def no_temperature(scores: Tensor) -> Tensor:
    """nan for every row, the temperature of a policy that does not divide: (batch, 1), or (batch, steps, 1)."""
    return torch.full_like(scores[..., :1], torch.nan, dtype=working_dtype(scores))
