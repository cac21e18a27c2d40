"""Policies inside an engine that shows its own request objects at every step, one mapping of parameters for each row of scores.

Knows no engine. Nothing is kept between steps, so there is nothing to follow when requests come, go and move.

```python
>>> import torch
>>> from types import SimpleNamespace
>>> from temp_processors.serving import apply_live
>>> request = SimpleNamespace(origin_input_ids=[5, 6], output_ids=[7], decode_batch_idx=1, sampling_params=SimpleNamespace(temperature=1.0))
>>> row = {"temperature_policy": '{"kind": "fixed", "temperature": 0.5}', "__req__": request}
>>> apply_live(torch.tensor([[1.0, 2.0], [1.0, 2.0]]), [row, None], refuse=print)
tensor([[2., 4.],
        [1., 2.]])

```
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from torch import Tensor

from temp_processors.serving.rows import KEY, PolicyError, PolicyRows, Request, policy_of_request

REQUEST = "__req__"  # the name under which a row's parameters hold its request


def apply_live(logits: Tensor, rows: Sequence[Mapping[str, Any] | None], refuse: Callable[[Any, str], None]) -> Tensor:
    """Every policy on its own rows of `logits` (rows, vocab), which may be changed in place; rows without one are left alone.

    Args:
        logits: The scores.
        rows: For every row its parameters: the policy under `temperature_policy` and the request under `__req__`. Adjacent rows of
            one request are those of tokens that the engine guesses, which it does not show.
        refuse: Called with a request whose policy cannot be applied and the reason in one line; its rows are left alone.
    """
    found = PolicyRows()
    for row, params in enumerate(rows):
        if params and params.get(KEY) is not None:
            guessed = any(params is rows[other] for other in (row - 1, row + 1) if 0 <= other < len(rows))
            try:
                found.add(row, live_request(params, guessed))
            except PolicyError as error:
                refuse(params[REQUEST], " ".join(str(error).split()))
    return found.apply(logits)


def live_request(params: Mapping[str, Any], guessed: bool) -> Request:
    """One row as `PolicyRows` takes it.

    Raises:
        PolicyError: A bad policy; a temperature beside it; or a policy that follows the text, where the engine guesses tokens or is
            one token behind, as it is while it launches a step before it has read the result of the last.
    """
    request, policy = params[REQUEST], policy_of_request(params[KEY])
    temperature = request.sampling_params.temperature
    if temperature != 1:
        raise PolicyError(
            f"{KEY}: `temperature` has to be 1 beside a policy, but is {temperature!r}: the two would multiply"
        )
    if not policy.supports_continuous_batching:
        if guessed:
            raise PolicyError(
                f"{KEY}: follows the text, which speculative decoding does not show: start the server without it"
            )
        if request.decode_batch_idx > len(request.output_ids):
            raise PolicyError(
                f"{KEY}: follows the text, of which the server shows the last token too late: start it with "
                "--disable-overlap-schedule"
            )
    return Request(policy, request.origin_input_ids, request.output_ids)
