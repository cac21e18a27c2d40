"""The hidden states of a model in one pass, and its own output head on any few of them.

What stands between the last hidden states and the scores differs from model to model: a bias, a soft cap, a factor, the
width of T5, an adapter on the head. All of it is in the model's own `forward`. So the head is that `forward` itself, of a
shallow copy of the model whose decoder returns the hidden states that it is given; parameters are shared, the model is not touched.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping
from types import MethodType
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn
from transformers import PreTrainedModel
from transformers.modeling_outputs import BaseModelOutput
from transformers.utils import ModelOutput

from temp_processors.trace.inputs import Head, prompt_ends


class HiddenStates(NamedTuple):
    """The last hidden states, (batch, positions, hidden), and what makes scores of them: (..., n, hidden) -> (..., n, vocab).

    `weight`, (vocab, hidden), is that of the head, where the scores are the product with it and nothing else; else None.
    """

    states: Tensor
    head: Head
    weight: Tensor | None


def owner_of(model: Any) -> PreTrainedModel:
    """The model of transformers inside DDP, a PEFT model and other wrappers.

    Raises:
        ValueError: there is none, or it has no decoder below its head.
    """
    modules = model.modules() if isinstance(model, nn.Module) else ()
    owner = next((module for module in modules if isinstance(module, PreTrainedModel)), None)
    if owner is None or _decoder_of(owner) is owner:
        raise ValueError(
            f"`model` has to be a language model of transformers, but is {type(model).__name__}: "
            "for others, hand hidden states and head to log_probs_from_hidden()"
        )
    return owner


def hidden_states(model: Any, owner: PreTrainedModel, inputs: Mapping[str, Any]) -> HiddenStates:
    """One forward pass of `model`, in which its head sees one position only.

    Args:
        model: What is called, wrappers included.
        owner: Its model of transformers, from [`owner_of`].
        inputs: The arguments of the call.

    Raises:
        ValueError: the head alone does not give the scores that the model gives at the last position.
    """
    decoder, seen = _decoder_of(owner), []

    def keep_the_last(_module: nn.Module, _arguments: Any, output: Any) -> Any:
        seen.append(output)
        return _with_states(output, _states(output)[:, -1:])

    handle = decoder.register_forward_hook(keep_the_last)
    try:
        output = model(**inputs, use_cache=False)
    finally:
        handle.remove()
    if len(seen) != 1:
        raise ValueError(
            f"the decoder of {type(owner).__name__} was seen {len(seen)} times in one pass: "
            "for a compiled model, pass the one that was compiled"
        )
    fixed: dict[str, Any] = {}
    if owner.config.is_encoder_decoder:
        fixed["encoder_outputs"] = BaseModelOutput(last_hidden_state=output.encoder_last_hidden_state)
    head = _head(owner, decoder, seen[0], fixed)
    states = _states(seen[0])
    _check(owner, output.logits[:, -1:].detach(), head, states[:, -1:].detach())
    return HiddenStates(states, head, _weight_alone(owner, head, states[:, -1:].detach()))


def _decoder_of(owner: PreTrainedModel) -> nn.Module:
    decoder: nn.Module = owner.get_decoder()
    if decoder is owner.get_output_embeddings():  # a head by that name
        decoder = owner.base_model
    return decoder


def _states(output: Any) -> Tensor:
    states: Tensor = output[0]
    return states


def _with_states(output: Any, states: Tensor) -> Any:
    """The output of a decoder with other hidden states."""
    if isinstance(output, ModelOutput):
        return type(output)(**{**output, "last_hidden_state": states})
    return (states, *output[1:])


def _head(owner: PreTrainedModel, decoder: nn.Module, output: Any, fixed: Mapping[str, Any]) -> Head:
    """The forward of `owner` from the hidden states on."""
    empty = type(output)() if isinstance(output, ModelOutput) else ()

    def scores(states: Tensor) -> Tensor:
        ids = torch.zeros(states.shape[:2], dtype=torch.long, device=states.device)
        named = {"decoder_input_ids" if fixed else "input_ids": ids, **fixed}
        twin = _with_decoder(owner, decoder, lambda *_arguments, **_more: _with_states(empty, states))
        logits: Tensor = twin(**named, use_cache=False).logits
        return logits

    return scores


def _with_decoder(owner: PreTrainedModel, decoder: nn.Module, forward: Callable[..., Any]) -> PreTrainedModel:
    """A copy of `owner` that shares every module, but for another forward of its decoder."""
    twin = node = _shallow(owner)
    path = next(name for name, module in owner.named_modules() if module is decoder)
    for part in path.split("."):
        node._modules[part] = node = _shallow(node._modules[part])
    node.__dict__["forward"] = forward
    return twin


def _shallow(module: Any) -> Any:
    """A copy with the same parameters and submodules, and a list of submodules of its own.

    A `forward` that a library has put on the object (mixed precision) goes along, bound to the copy.
    """
    copy = object.__new__(type(module))
    copy.__dict__.update(module.__dict__, _modules=dict(module._modules))
    own = copy.__dict__.pop("forward", None)
    if isinstance(own, MethodType):
        copy.__dict__["forward"] = MethodType(own.__func__, copy)
    return copy


def _check(owner: PreTrainedModel, logits: Tensor, head: Head, states: Tensor) -> None:
    with torch.no_grad():
        again = head(states).to(logits)
    near = 1e-3 if logits.dtype in (torch.float32, torch.float64) else 5e-2
    size = logits.masked_fill(~torch.isfinite(logits), 0.0).abs().amax().item()
    if again.shape != logits.shape or not torch.allclose(again, logits, rtol=near, atol=near * size, equal_nan=True):
        raise ValueError(
            f"the logits of {type(owner).__name__} are not made of its last hidden states alone: hand its logits to "
            "log_probs_from_hidden(), with torch.nn.Identity() as the head"
        )


def _weight_alone(owner: PreTrainedModel, head: Head, states: Tensor) -> Tensor | None:
    """The weight of the head, if the scores are the product with it to the bit; None where more happens, or it is sharded or adapted."""
    layer = owner.get_output_embeddings()
    if type(layer) is not nn.Linear or type(layer.weight) is not nn.Parameter or layer.bias is not None:
        return None
    if layer.weight.shape[-1] != states.shape[-1]:
        return None
    with torch.no_grad():
        product, scores = layer(states), head(states)
    return layer.weight if bool(scores.any()) and torch.equal(product, scores) else None


def new_token_states(
    model: Any,
    input_ids: Tensor,
    prompt_length: int | Tensor,
    attention_mask: Tensor | None = None,
    model_inputs: Mapping[str, Any] | None = None,
) -> HiddenStates:
    """The hidden states that predict the tokens after the (shortest) prompt, positions counted as `generate` counts them.

    Args:
        model, input_ids, prompt_length, attention_mask, model_inputs: As for `policy_log_probs`.

    Raises:
        ValueError: `prompt_length` leaves no new token, the source of an encoder-decoder is missing, or a token is none of the model's.
    """
    length = input_ids.shape[-1]
    least, most = prompt_ends(prompt_length)
    if least < 1 or most >= length:
        raise ValueError(f"`prompt_length` has to be in [1, {length - 1}] but is {most if most >= length else least}")
    owner, more = owner_of(model), dict(model_inputs or {})
    decoder_only = not owner.config.is_encoder_decoder
    if not decoder_only and not more:
        raise ValueError(
            "an encoder-decoder model needs the source text too, as model_inputs={'input_ids': ..., 'attention_mask': ...}: "
            "`input_ids` are the tokens of its decoder"
        )
    prefix = "" if decoder_only else "decoder_"
    more[f"{prefix}input_ids"] = input_ids[:, :-1]
    if attention_mask is not None:
        mask = nn.functional.pad(attention_mask, (0, length - attention_mask.shape[-1]), value=1)[:, :-1]
        more[f"{prefix}attention_mask"] = mask
        if decoder_only and "position_ids" in inspect.signature(owner.forward).parameters:
            more.setdefault("position_ids", (mask.long().cumsum(dim=-1) - 1).clamp(min=0))
    try:
        found = hidden_states(model, owner, more)
    except IndexError:
        _refuse_unknown_tokens(owner, input_ids)
        raise
    return found._replace(states=found.states[:, least - length :])


def _refuse_unknown_tokens(owner: PreTrainedModel, input_ids: Tensor) -> None:
    """Raise ValueError where a token has no embedding, which on a CPU is an IndexError of the model."""
    known = int(owner.get_input_embeddings().weight.shape[0])
    least, most = int(input_ids.amin()), int(input_ids.amax())
    if least < 0 or most >= known:
        raise ValueError(
            f"`input_ids` has to hold tokens of the model, 0 to {known - 1}, but has {least if least < 0 else most}"
        )
