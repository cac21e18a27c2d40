"""`kind: power` in the recipe: whole texts from p(text)^alpha / Z, which `generate` itself has no way to draw."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import Tensor

from temp_processors.custom_generate.seeding import row_seeds
from temp_processors.engines.decoding.power.decode import decode_power
from temp_processors.engines.engine import Decoded, DecodeRow
from temp_processors.policies.power import PowerPolicy

TAKEN = ("attention_mask", "generation_config", "tokenizer", "do_sample", "use_cache", "trust_remote_code")
VALUES = ("max_new_tokens", "num_return_sequences", "eos_token_id", "pad_token_id")


def generate_power(
    model: Any, policy: Mapping[str, Any], *, seeds: int | Sequence[int] | None = None, **kwargs: Any
) -> Tensor:
    """Draw a text for every prompt from p(text)^alpha / Z, with p the model's own probability, untempered and uncut.

    Args:
        policy: `{"kind": "power", "alpha": ..., ...}`; see `temp_processors.policies.power.PowerPolicy`.
        seeds: As for `generate_with_policy`. Each row depends on its own alone.
        kwargs: `inputs` or `input_ids`, `attention_mask`, `max_new_tokens`, `num_return_sequences`, `eos_token_id`,
            `pad_token_id`, and a `generation_config` that may hold the last four; the model's own is asked last.

    Returns:
        Token ids (rows, length) as of `generate`: prompts (or the decoder's start token) and new tokens, padded on the right.
        A text that ended has the first of `eos_token_id` behind it.

    Raises:
        ValueError: No `max_new_tokens`, an argument that this way of decoding does not take, or a policy that is wrong.
    """
    given = {name: value for name, value in kwargs.items() if value is not None and value is not False}
    ids = given.pop("inputs", None)
    ids = given.pop("input_ids", None) if ids is None else ids
    if unknown := [name for name in given if name not in (*TAKEN, *VALUES)]:
        raise ValueError(f"`kind: power` draws whole texts by itself and takes no `{unknown[0]}`")
    if ids is None:
        raise ValueError("`kind: power` needs `input_ids`")
    values = _values(model, given)
    mask, repeats = given.get("attention_mask"), values["num_return_sequences"] or 1
    prompts = _prompts(ids, mask, repeats)
    if isinstance(seeds, int):
        each: Sequence[int] = row_seeds(seeds, ids, mask, repeats=repeats)
    else:
        each = _seeds(seeds, len(prompts))
    eos, pad = values["eos_token_id"], values["pad_token_id"]
    ends = [] if eos is None else list(eos) if isinstance(eos, (list, tuple)) else [eos]
    pad = (ends or [0])[0] if pad is None else pad
    rows = [DecodeRow(prompt, 0, seed) for prompt, seed in zip(prompts, each, strict=True)]
    drawn = sorted(
        decode_power(
            model,
            rows,
            PowerPolicy.model_validate(dict(policy)),
            max_new_tokens=values["max_new_tokens"],
            eos_token_ids=ends,
            pad_token_id=pad,
        )
    )
    start = model.generation_config.decoder_start_token_id if model.config.is_encoder_decoder else None
    before = (
        ids.repeat_interleave(len(rows) // len(ids), dim=0) if start is None else ids.new_full((len(rows), 1), start)
    )
    return torch.cat([before, _padded(drawn, ends, pad).to(before.device)], dim=1)


def _values(model: Any, given: Mapping[str, Any]) -> dict[str, Any]:
    """Each of `VALUES` from the call, else the configuration passed in it, else the model's."""
    configs = [given.get("generation_config"), model.generation_config]
    values = {}
    for name in VALUES:
        known = [given.get(name), *(getattr(config, name, None) for config in configs)]
        values[name] = next((value for value in known if value is not None), None)
    if values["max_new_tokens"] is None:
        raise ValueError("`kind: power` needs `max_new_tokens`: a text that is cut there counts as a text")
    return values


def _prompts(ids: Tensor, mask: Tensor | None, repeats: int) -> list[tuple[int, ...]]:
    """The prompts without their padding, each as often as it has texts."""
    kept = torch.ones_like(ids) if mask is None else mask
    prompts = [tuple(row[keep.bool()].tolist()) for row, keep in zip(ids, kept, strict=True)]
    return [prompt for prompt in prompts for _ in range(repeats)]


def _seeds(seeds: Sequence[int] | None, rows: int) -> Sequence[int]:
    """One seed a row; without any, from torch's global generator."""
    if seeds is None:
        drawn: list[int] = torch.randint(2**53, (rows,)).tolist()
        return drawn
    if len(seeds) != rows:
        raise ValueError(f"`seeds` has to hold one whole number per row, {rows}, but holds {len(seeds)}")
    return seeds


def _padded(drawn: Sequence[Decoded], ends: Sequence[int], pad: int) -> Tensor:
    """The new tokens as a rectangle, the end token behind texts that ended."""
    texts = [[*done.token_ids, *ends[:1]] if done.finish_reason == "stop" else done.token_ids for done in drawn]
    width = max(map(len, texts))
    return torch.tensor([[*text, *[pad] * (width - len(text))] for text in texts], dtype=torch.long)
