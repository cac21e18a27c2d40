"""Every policy of this package on vLLM: one processor, loaded by name, that reads each request's own policy.

```
LLM(model=..., logits_processors=["temp_processors.vllm:TemperaturePolicyLogitsProcessor"])
SamplingParams(temperature=1.0, extra_args={"temperature_policy": {"kind": "dynamic", "temperature": 1, "range": 0.5}})
```

On a server, `--logits-processors` takes the same name and a request carries `vllm_xargs` with the policy as JSON text.
vLLM has two model runners with an interface for processors each, and chooses by itself. V1 keeps requests in rows and their
new tokens in lists; V2 (GPUs with Triton) keeps requests in slots and their tokens on the device. The class is a subclass of both
interfaces, so the loader of either accepts it, and it learns from the arguments of its constructor which one it serves.
"""

from __future__ import annotations

import pkgutil
from typing import Any

import torch
from torch import Tensor
from vllm import SamplingParams
from vllm.v1.sample.logits_processor import BatchUpdate, MoveDirectionality
from vllm.v1.sample.logits_processor import LogitsProcessor as LogitsProcessorV1
from vllm.v1.worker.gpu.sample.logits_processor import LogitsContext
from vllm.v1.worker.gpu.sample.logits_processor import LogitsProcessor as LogitsProcessorV2

from temp_processors.policies.base import PolicyLogitsWarper
from temp_processors.serving.rows import KEY, PolicyError, PolicyRows, Request, policy_of_request
from temp_processors.serving.slots import PolicySlots, SlotRows


class TemperaturePolicyLogitsProcessor(LogitsProcessorV1, LogitsProcessorV2):
    """
    vLLM's [`LogitsProcessor`], of Model Runner V1 and V2, that applies, to each row of the batch, the policy that its
    request carries.

    Runs after penalties and before top-k and top-p, as a processor of `generate` does; V1 has min-p before it, V2 after it, as
    `generate`. Requests with equal policies are evaluated together, requests without one are untouched to the bit, and so
    are greedy ones (`temperature=0`): no policy moves the most likely token.

    Args:
        vllm_config: vLLM's whole configuration.
        state: V1 passes `device, is_pin_memory`, which are not used; V2 its `LogitsProcRequestState`.
    """

    def __init__(self, vllm_config: Any, *state: Any) -> None:
        self.rows, self.slots = PolicyRows(), PolicySlots()
        self.state = state[0] if len(state) == 1 else None
        self.guesses = vllm_config.speculative_config is not None

    @classmethod
    def validate_params(cls, sampling_params: SamplingParams) -> None:
        """Refuse a bad policy before it reaches the engine; a server answers 400 with the text of the error.

        Raises:
            PolicyError: the policy is wrong, or the request has a temperature beside it.
        """
        policy_of_params(sampling_params)

    def is_argmax_invariant(self) -> bool:
        """V1 asks. True: vLLM then leaves greedy requests alone, and no request with a policy is one (a temperature beside it is refused).

        Where a policy rules out the most likely token (`keeps_best` is False), that changes only rows that sample.
        """
        return True

    def update_state(self, batch_update: BatchUpdate | None) -> None:
        """Follow the batch of V1: removed, then added, then moved, in the order that its interface prescribes."""
        if batch_update is None:
            return
        for row in batch_update.removed:
            self.rows.add(row, None)
        for row, params, prompt_ids, output_ids in batch_update.added:
            policy = policy_of_params(params)
            self.rows.add(row, None if policy is None else Request(policy, prompt_ids or (), output_ids))
        for source, target, direction in batch_update.moved:
            self.rows.move(source, target, swap=direction == MoveDirectionality.SWAP)

    def add_request(self, req_idx: int, sampling_params: SamplingParams) -> bool:
        """V2 puts a request into a slot. False for one without a policy: where no row has one, V2 calls nothing of this class."""
        return self.slots.put(req_idx, policy_of_params(sampling_params))

    def apply(self, logits: Tensor, ctx: LogitsContext | None = None) -> Tensor:
        """Logits (rows, vocab) at the temperatures of their policies; may change `logits` in place. V2 passes `ctx`."""
        if ctx is None:
            return self.rows.apply(logits)
        if not self.slots.any_in(ctx.idx_mapping_np.tolist()):
            return logits
        return self.slots.apply(logits, rows_of_step(ctx, self.state, len(logits), self.guesses))


class InstalledTemperaturePolicyLogitsProcessor(TemperaturePolicyLogitsProcessor):
    """
    What the entry point of `scripts/temp_processors_vllm` loads into every engine: [`TemperaturePolicyLogitsProcessor`], but
    nothing where the engine's own `logits_processors` has that class, which would apply every policy a second time.

    Args:
        vllm_config, state: As there.
    """

    def __init__(self, vllm_config: Any, *state: Any) -> None:
        super().__init__(vllm_config, *state)
        self.stands_aside = any(map(_is_ours, vllm_config.model_config.logits_processors or ()))

    def update_state(self, batch_update: BatchUpdate | None) -> None:
        """As there (V1)."""
        if not self.stands_aside:
            super().update_state(batch_update)

    def add_request(self, req_idx: int, sampling_params: SamplingParams) -> bool:
        """As there (V2)."""
        return not self.stands_aside and super().add_request(req_idx, sampling_params)


def _is_ours(named: str | type) -> bool:
    """Whether an item of `logits_processors`, a class or `module:class`, is this package's processor or made from it."""
    found = pkgutil.resolve_name(named) if isinstance(named, str) else named
    return isinstance(found, type) and issubclass(found, TemperaturePolicyLogitsProcessor)


def rows_of_step(ctx: LogitsContext, state: Any, rows: int, guesses: bool) -> SlotRows:
    """What `PolicySlots` asks of a step of Model Runner V2.

    Args:
        ctx: vLLM's layout of the step.
        state: Its `LogitsProcRequestState`.
        rows: Rows of scores.
        guesses: Whether the engine decodes speculatively. Then the host knows neither which rows a request has nor how many of
            its guesses were accepted, and the device is asked, once a step.
    """
    if guesses or rows != len(ctx.idx_mapping_np):
        parts = (ctx.expanded_idx_mapping, ctx.pos + 1, ctx.expanded_local_pos)
        slots, lengths, guessed = torch.stack([part.long() for part in parts]).tolist()
    else:
        slots, lengths = ctx.idx_mapping_np.tolist(), ctx.seq_lens_upper_bound_np[:rows].tolist()
        guessed = [0] * rows
    prompts = state.prompt_len.np[slots].tolist()
    return SlotRows(slots, lengths, prompts, guessed, ctx.input_ids, state.all_token_ids.gpu)


def policy_of_params(params: SamplingParams) -> PolicyLogitsWarper | None:
    """The policy in `extra_args`; None where there is none, or where `temperature=0` makes the request greedy."""
    value = (params.extra_args or {}).get(KEY)
    if value is None:
        return None
    if params.temperature not in (0, 1):
        raise PolicyError(
            f"{KEY}: `temperature` has to be 1 beside a policy (or 0, which is greedy), but is {params.temperature!r}: "
            "the two would multiply"
        )
    policy = policy_of_request(value)
    return None if params.temperature == 0 else policy
