"""Log-probabilities of finished texts under a policy, a chunk of tokens at a time, with gradients: for reinforcement learning.

Nothing of the size (tokens, vocabulary) is ever held: scores are made of hidden states for a chunk of tokens, used, dropped, and made
again in the backward pass; where the temperatures are known without the scores (fixed, schedules, recorded ones) and the head is a
weight, not even those of a chunk are. `log_probs_from_hidden` is for any trainer, `policy_log_probs` for a model of transformers.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import Any, Literal, TypeAlias, overload

import torch
from torch import Tensor

from temp_processors.policies.base import PolicyLogitsWarper
from temp_processors.policies.checks import AT_LEAST_ONE, check_whole
from temp_processors.policies.distribution import working_dtype
from temp_processors.policies.inputs import check_tokens
from temp_processors.policies.positions import prefix_lengths
from temp_processors.trace.chunks import Batch, batch_of
from temp_processors.trace.heads import new_token_states
from temp_processors.trace.inputs import Head, check_hidden, check_shape, check_tensor, check_texts
from temp_processors.trace.one_pass import log_probs_at

TemperatureGradient: TypeAlias = Literal["through", "stop"]
Also: TypeAlias = Literal["temperature", "entropy", "entropy_after", "log_prob"]
ALSO: tuple[Also, ...] = ("temperature", "entropy", "entropy_after", "log_prob")


@dataclass(frozen=True)
class TokenLogProbs:
    """One entry per row and token, (batch, steps); what was not asked for is None.

    Args:
        log_prob_after: Natural-log probability of the token under the policy; -inf where the policy rules it out.
        temperature: Of the policy; nan where it has no single one.
        entropy: Of the distribution before the policy, in nats.
        entropy_after: The same after the policy.
        log_prob: Natural-log probability before the policy, at temperature 1.
    """

    log_prob_after: Tensor
    temperature: Tensor | None = None
    entropy: Tensor | None = None
    entropy_after: Tensor | None = None
    log_prob: Tensor | None = None


class TokenTemperatures(PolicyLogitsWarper):
    r"""
    [`PolicyLogitsWarper`] that divides by a temperature recorded for every token, whatever policy chose it.

    Args:
        values (`torch.Tensor` of shape `(batch, steps)`): For the tokens in columns `first`, `first` + 1, ...
        first (`int`): How many tokens stand before the first of them.
        prompt_length: Not used; every policy takes it.

    Example:

    ```python
    >>> import torch
    >>> from temp_processors.trace.log_probs import TokenTemperatures

    >>> recorded = TokenTemperatures(torch.tensor([[0.5, 2.0]]), first=1)
    >>> recorded(torch.tensor([[7, 8]]), torch.tensor([[1.0, 4.0]]))  # the token after two
    tensor([[0.5000, 2.0000]])

    ```
    """

    ignores_scores = True

    def __init__(self, values: Tensor, first: int, *, prompt_length: int | Tensor = 0) -> None:
        super().__init__(prompt_length=prompt_length)
        self.values, self.first = values, first

    def temperature(self, input_ids: Tensor, scores: Tensor) -> Tensor:
        lengths = prefix_lengths(input_ids, scores)
        found = self.values[:, (lengths - self.first).flatten().to(self.values.device)]
        return found.view(-1, *lengths.shape[1:]).to(scores.device, working_dtype(scores))


@overload
def policy_log_probs(
    model: Any,
    input_ids: Tensor,
    policy: PolicyLogitsWarper | Tensor,
    prompt_length: int | Tensor,
    attention_mask: Tensor | None = None,
    *,
    completion_mask: Tensor | None = None,
    temperature_gradient: TemperatureGradient = "through",
    chunk_size: int | None = None,
    model_inputs: Mapping[str, Any] | None = None,
) -> Tensor: ...


@overload
def policy_log_probs(
    model: Any,
    input_ids: Tensor,
    policy: PolicyLogitsWarper | Tensor,
    prompt_length: int | Tensor,
    attention_mask: Tensor | None = None,
    *,
    also: Collection[Also],
    completion_mask: Tensor | None = None,
    temperature_gradient: TemperatureGradient = "through",
    chunk_size: int | None = None,
    model_inputs: Mapping[str, Any] | None = None,
) -> TokenLogProbs: ...


def policy_log_probs(
    model: Any,
    input_ids: Tensor,
    policy: PolicyLogitsWarper | Tensor,
    prompt_length: int | Tensor,
    attention_mask: Tensor | None = None,
    *,
    also: Collection[Also] | None = None,
    completion_mask: Tensor | None = None,
    temperature_gradient: TemperatureGradient = "through",
    chunk_size: int | None = None,
    model_inputs: Mapping[str, Any] | None = None,
) -> Tensor | TokenLogProbs:
    """Log-probability of every new token under the policy: one forward pass, memory that does not grow with the length.

    What reinforcement learning needs of a text drawn at a temperature that is not constant. Differentiable with respect to the
    model. Its decoder runs once over whole sequences; its head runs on a chunk of tokens at a time, forward and again backward.
    The scores are those that `generate` would see, whatever the model does after its last hidden states (bias, soft cap, scaling,
    adapters on the head): that code is the model's own, and is checked against the model at one position of each call.

    Args:
        model: A language model of transformers, also inside DDP or PEFT; call `eval()` first if dropout should be off.
        input_ids: (batch, length), prompt and new tokens. Prompts may be padded on the left, texts on the right. For an
            encoder-decoder the tokens of the decoder, its start token first; the source goes into `model_inputs`.
        policy: A policy, whose own prompt length is replaced; or the temperature of every new token, (batch, length - prompt_length).
        prompt_length: Width of the prompt in tokens, padding included, at least 1; or one per row, (batch,), where texts that begin
            at different columns are padded on the right only.
        attention_mask: (batch, prompt_length) or (batch, length), 0 for padding; default: nothing is padding.
        also: What else to return, of `"temperature"`, `"entropy"`, `"entropy_after"`, `"log_prob"` (before the policy).
        completion_mask: (batch, length - prompt_length) or (batch, length), 1 for tokens that the policy drew. Each unbroken run of
            ones is a turn, with its own call of `generate`: policies that count steps count from its beginning, and see everything
            before it as the prompt; tags are looked for in the whole row. To leave out tokens that were drawn, mask the result.
        temperature_gradient: Whether the gradient flows through a temperature T(l) that depends on the scores l, where the
            log-probability of token y is l_y / T - ln sum_j exp(l_j / T), p = softmax(l / T):

            * `"through"`: d / d l_i = ([i = y] - p_i) / T - (l_y - sum_j p_j l_j) / T^2 * dT / d l_i, the gradient of the policy
              that draws;
            * `"stop"`: d / d l_i = ([i = y] - p_i) / T, as for a constant, which is what trainers compute that are handed T.

            The value is the same. A policy that bends the scores and has no temperature is differentiated as a whole by both.
        chunk_size: Tokens whose scores are held at once, over all rows, at least one step of each; default: 2^24 scores
            on the CPU, 2^25 elsewhere.
        model_inputs: Further arguments of the model's `forward`: `input_ids` and `attention_mask` of an encoder, `pixel_values`.

    Returns:
        (batch, length - prompt_length) natural logarithms, -inf with gradient 0 where the policy rules the token out; or
        [`TokenLogProbs`] if `also` is given. Tokens after the end of a text have values too: mask them. What was not drawn,
        by `completion_mask` or a prompt length of its row, is 0. With several prompt lengths the first column is the least of them.

    Raises:
        ValueError: if `prompt_length` leaves no new token, a mask has another shape, an encoder-decoder gets no source, or the model
            computes its logits from more than its last hidden states.

    Example:
        >>> from transformers import LlamaConfig, LlamaForCausalLM
        >>> from temp_processors import FixedTemperatureLogitsWarper
        >>> config = LlamaConfig(vocab_size=32, hidden_size=8, num_hidden_layers=1, num_attention_heads=1)
        >>> text = torch.tensor([[1, 5, 9, 3]])
        >>> policy_log_probs(LlamaForCausalLM(config), text, FixedTemperatureLogitsWarper(0.5), prompt_length=2).shape
        torch.Size([1, 2])
    """
    check_texts(input_ids, policy, prompt_length, attention_mask)
    found = new_token_states(model, input_ids, prompt_length, attention_mask, model_inputs)
    more: dict[str, Any] = {} if also is None else {"also": also}
    result: Tensor | TokenLogProbs = log_probs_from_hidden(
        found.states,
        found.head if found.weight is None else found.weight,
        input_ids,
        policy,
        prompt_length,
        attention_mask=attention_mask,
        completion_mask=completion_mask,
        temperature_gradient=temperature_gradient,
        chunk_size=chunk_size,
        **more,
    )
    return result


@overload
def log_probs_from_hidden(
    hidden: Tensor,
    head: Tensor | Head,
    input_ids: Tensor,
    policy: PolicyLogitsWarper | Tensor,
    prompt_length: int | Tensor | None = None,
    *,
    attention_mask: Tensor | None = None,
    completion_mask: Tensor | None = None,
    temperature_gradient: TemperatureGradient = "through",
    chunk_size: int | None = None,
) -> Tensor: ...


@overload
def log_probs_from_hidden(
    hidden: Tensor,
    head: Tensor | Head,
    input_ids: Tensor,
    policy: PolicyLogitsWarper | Tensor,
    prompt_length: int | Tensor | None = None,
    *,
    also: Collection[Also],
    attention_mask: Tensor | None = None,
    completion_mask: Tensor | None = None,
    temperature_gradient: TemperatureGradient = "through",
    chunk_size: int | None = None,
) -> TokenLogProbs: ...


def log_probs_from_hidden(
    hidden: Tensor,
    head: Tensor | Head,
    input_ids: Tensor,
    policy: PolicyLogitsWarper | Tensor,
    prompt_length: int | Tensor | None = None,
    *,
    also: Collection[Also] | None = None,
    attention_mask: Tensor | None = None,
    completion_mask: Tensor | None = None,
    temperature_gradient: TemperatureGradient = "through",
    chunk_size: int | None = None,
) -> Tensor | TokenLogProbs:
    """`policy_log_probs` from hidden states and an output head: for a trainer that runs, shards or scales the model itself.

    Args:
        hidden: (batch, steps, hidden), the last hidden states (after the final norm); `hidden[:, s]` predicts the token in column
            `length - steps + s`. Any floating dtype; the scores are computed in it and then taken to float32 (float64 stays).
        head: The weight of the head, (vocab, hidden), or a callable (batch, n, hidden) -> (batch, n, vocab), such as
            `torch.nn.Linear` or a function with the model's soft cap in it; `torch.nn.Identity()` where `hidden` are the logits.
            A sharded weight has to be gathered.
        input_ids: (batch, length), at least as wide as `steps`.
        policy: A policy, or the temperature of every token, (batch, steps).
        prompt_length: As for `policy_log_probs`; default: `length - steps`.
        also, attention_mask, completion_mask, temperature_gradient, chunk_size: As there; `completion_mask` is (batch, steps) or
            (batch, length).

    Returns:
        (batch, steps), as there.

    Raises:
        ValueError: shapes that do not fit.

    Example:
        >>> import torch
        >>> from temp_processors import DynamicTemperatureLogitsWarper, log_probs_from_hidden
        >>> head, hidden = torch.randn(50, 8, requires_grad=True), torch.randn(2, 4, 8, requires_grad=True)
        >>> text = torch.randint(50, (2, 7))  # three tokens of prompt, four that were drawn
        >>> log_prob = log_probs_from_hidden(hidden, head, text, DynamicTemperatureLogitsWarper(0.8, 0.5))
        >>> log_prob.sum().backward()
        >>> log_prob.shape, head.grad.shape
        (torch.Size([2, 4]), torch.Size([50, 8]))
    """
    batch = _checked_batch(hidden, head, input_ids, policy, prompt_length, attention_mask, completion_mask)
    _check_choices(also or (), temperature_gradient, chunk_size)
    stop = temperature_gradient == "stop"
    if also is None and isinstance(head, Tensor) and (known := batch.known_temperature()) is not None:
        flat = hidden.reshape(-1, hidden.shape[-1])
        return log_probs_at(flat, head, batch.tokens.reshape(-1), known.reshape(-1, 1)).view(batch.tokens.shape)
    parts = [batch.measured(begin, states, also or (), stop) for begin, states in batch.chunks(chunk_size)]
    result = TokenLogProbs(**{name: torch.cat([part[name] for part in parts], dim=1) for name in parts[0]})
    return result.log_prob_after if also is None else result


def _check_choices(also: Collection[str], temperature_gradient: str, chunk_size: int | None) -> None:
    for name in also:
        if name not in ALSO:
            raise ValueError(f"`also` may name {', '.join(ALSO)}, but has {name!r}")
    if temperature_gradient not in ("through", "stop"):
        raise ValueError(f"`temperature_gradient` has to be 'through' or 'stop', but is {temperature_gradient!r}")
    if chunk_size is not None:
        check_whole("chunk_size", chunk_size, AT_LEAST_ONE)


def _checked_batch(
    hidden: Tensor,
    head: Tensor | Head,
    input_ids: Tensor,
    policy: PolicyLogitsWarper | Tensor,
    prompt_length: int | Tensor | None,
    attention_mask: Tensor | None,
    completion_mask: Tensor | None,
) -> Batch:
    check_hidden(hidden, head)
    check_tokens(input_ids)
    (rows, length), steps = input_ids.shape, hidden.shape[1]
    check_shape("hidden", hidden[..., 0], [(rows, min(steps, length))])
    first = length - steps
    prompt_length = first if prompt_length is None else prompt_length
    check_texts(input_ids, policy, prompt_length, attention_mask)
    if completion_mask is not None:
        check_tensor("completion_mask", completion_mask)
        check_shape("completion_mask", completion_mask, [(rows, steps), (rows, length)])
    if isinstance(prompt_length, Tensor):
        check_shape("prompt_length", prompt_length, [(), (rows,)])
    if isinstance(policy, Tensor):
        check_shape("policy", policy, [(rows, steps)])
        policy = TokenTemperatures(policy, first)
    return batch_of(hidden, head, input_ids, policy, prompt_length, attention_mask, completion_mask)
