"""Every policy of this package on vLLM: one processor, loaded by name, that reads each request's own policy.

```
LLM(model=..., logits_processors=["temp_processors.vllm:TemperaturePolicyLogitsProcessor"])
SamplingParams(temperature=1.0, extra_args={"temperature_policy": {"kind": "dynamic", "temperature": 1, "range": 0.5}})
```

On a server, `--logits-processors` takes the same name and a request carries `vllm_xargs` with the policy as JSON text.
vLLM 0.32 has two interfaces for processors. This is the V1 one, which keeps requests in rows; an engine that
would choose the other (a GPU with Triton) is told `VLLM_USE_V2_MODEL_RUNNER=0`. There is no entry point: vLLM loads
every one it finds, and the other interface stops at a V1 class. Refused by vLLM with speculative decoding.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor
from vllm import SamplingParams
from vllm.v1.sample.logits_processor import BatchUpdate, LogitsProcessor, MoveDirectionality

from temp_processors.policies.base import PolicyLogitsWarper
from temp_processors.serving.rows import KEY, PolicyError, PolicyRows, Request, policy_of_request


class TemperaturePolicyLogitsProcessor(LogitsProcessor):
    """
    vLLM's [`LogitsProcessor`] (V1) that applies, to each row of the batch, the policy that its request carries.

    Runs after penalties and before top-k and top-p, as a processor of `generate` does; min-p comes before it, where
    `generate` has it after. Requests with equal policies are evaluated together, requests without one are untouched to the
    bit, and so are greedy ones (`temperature=0`): no policy moves the most likely token.

    Args:
        vllm_config, device, is_pin_memory: What vLLM passes; not used.
    """

    def __init__(self, vllm_config: Any, device: torch.device, is_pin_memory: bool) -> None:
        self.rows = PolicyRows()

    @classmethod
    def validate_params(cls, sampling_params: SamplingParams) -> None:
        """Refuse a bad policy before it reaches the engine; a server answers 400 with the text of the error.

        Raises:
            PolicyError: the policy is wrong, or the request has a temperature beside it.
        """
        policy_of_params(sampling_params)

    def is_argmax_invariant(self) -> bool:
        """True: vLLM then leaves greedy requests alone, and no request with a policy is one (a temperature beside it is refused).

        Where a policy rules out the most likely token (`keeps_best` is False), that changes only rows that sample.
        """
        return True

    def update_state(self, batch_update: BatchUpdate | None) -> None:
        """Follow vLLM's batch: removed, then added, then moved, in the order that its interface prescribes."""
        if batch_update is None:
            return
        for row in batch_update.removed:
            self.rows.add(row, None)
        for row, params, prompt_ids, output_ids in batch_update.added:
            policy = policy_of_params(params)
            self.rows.add(row, None if policy is None else Request(policy, prompt_ids or (), output_ids))
        for source, target, direction in batch_update.moved:
            self.rows.move(source, target, swap=direction == MoveDirectionality.SWAP)

    def apply(self, logits: Tensor) -> Tensor:
        """Logits (batch, vocab) at the temperatures of their policies; may change `logits` in place."""
        return self.rows.apply(logits)


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
