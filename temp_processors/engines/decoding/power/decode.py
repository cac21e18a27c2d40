"""Draw the texts of one policy of `kind: power`: texts of a prompt together, each from its own seed."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator, Sequence
from itertools import groupby
from typing import Any, Literal

import torch
from accelerate.utils.memory import clear_device_cache, should_reduce_batch_size

from temp_processors.engines.decoding.power.mh import Mh, draw_by_moves
from temp_processors.engines.decoding.power.rows import Prompt, read_prompt
from temp_processors.engines.decoding.power.smc import Smc, draw_by_particles
from temp_processors.engines.engine import Decoded, DecodeRow, Ends, ignore
from temp_processors.policies.power import PowerPolicy

logger = logging.getLogger(__name__)


def decode_power(
    model: Any,
    rows: Sequence[DecodeRow],
    policy: PowerPolicy,
    *,
    max_new_tokens: int,
    eos_token_ids: Sequence[int],
    pad_token_id: int,
    coupled: bool = False,
    on_tokens: Callable[[int], None] = ignore,
    ends: Ends | None = None,
    batch_size: int = 256,
) -> Iterator[Decoded]:
    """Draw a text for every row from p(text)^alpha / Z, with p the model's probability of a text.

    A text ends at an end-of-sequence token, where `ends` says so, or at `max_new_tokens`: a text cut there counts as a text.
    It depends on its prompt, its seed and the policy, and not on the rows beside it, up to rounding in the forward
    pass. No token is ruled out. Where memory runs out, fewer texts are drawn together.

    Args:
        model: Any model that `generate` runs, in evaluation mode.
        rows: What to draw; `DecodeRow.policy` is not looked at.
        policy: The exponent and the method.
        max_new_tokens, eos_token_ids, pad_token_id, coupled, ends: As for `decode`.
        on_tokens: Called with the tokens of every text, as it is finished.
        batch_size: Rows of the model that are computed together; all particles of a text always are.

    Raises:
        ModelError: An encoder-decoder whose cache cannot be copied.
    """
    eos = torch.tensor(list(eos_token_ids), dtype=torch.long, device=model.device)

    def setting(name: Literal["particles", "ramp", "steps", "block"]) -> int:
        return policy.setting(name, max_new_tokens=max_new_tokens)

    def draw(prompt: Prompt, seeds: Sequence[int]) -> Iterator[Decoded]:
        if policy.method == "smc":
            particles = Smc(policy.alpha, setting("particles"), setting("ramp"), max_new_tokens, eos, coupled, ends)
            return draw_by_particles(prompt, seeds, particles)
        moves = Mh(policy.alpha, setting("steps"), setting("block"), max_new_tokens, eos, coupled, ends)
        return draw_by_moves(prompt, seeds, moves)

    each = setting("particles") if policy.method == "smc" else 1
    together = max(1, batch_size // each)
    order = sorted(range(len(rows)), key=lambda row: rows[row].prompt_ids)
    for prompt_ids, group in groupby(order, key=lambda row: rows[row].prompt_ids):
        waiting = list(group)
        while waiting:
            some, waiting = waiting[:together], waiting[together:]
            try:
                prompt = read_prompt(
                    model, prompt_ids, len(some) * each, max_new_tokens=max_new_tokens, pad_token_id=pad_token_id
                )
                found = list(draw(prompt, [rows[row].seed for row in some]))
            except RuntimeError as error:
                if len(some) < 2 or not should_reduce_batch_size(error):
                    raise
                together, waiting = (len(some) + 1) // 2, some + waiting
                logger.warning("out of memory with %d texts of %d rows: going on with half", len(some), each)
                clear_device_cache(garbage_collection=True)
                continue
            for done in found:
                on_tokens(done.steps)
                yield done._replace(row=some[done.row])
