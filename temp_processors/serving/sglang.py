"""Every policy of this package on SGLang: one processor, sent by name with each request, that reads the request's own policy.

```
python -m sglang.launch_server --model MODEL --enable-custom-logit-processor --disable-overlap-schedule
client.completions.create(..., temperature=1, extra_body=fields_of({"kind": "dynamic", "temperature": 1, "range": 0.5}))
```

The server needs this package, since a request carries the name of the class and not its code. Policies that look at the scores alone do not
need `--disable-overlap-schedule`; with the overlap a processor is called before it is told the last token.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from http import HTTPStatus
from typing import Any

from sglang.srt.sampling.custom_logit_processor import CustomLogitProcessor
from torch import Tensor

from temp_processors.serving.live import apply_live
from temp_processors.serving.rows import KEY, policy_of_request


class TemperaturePolicyLogitProcessor(CustomLogitProcessor):
    """
    SGLang's [`CustomLogitProcessor`] that applies, to each row of the batch, the policy that its request carries.

    Runs before the built-in temperature (which has to be 1), top-k, top-p and min-p, as a processor of `generate` does. A request whose
    policy cannot be applied is ended with SGLang's own abort, status 400 and the reason; the others in its batch go on.
    """

    def __call__(self, logits: Tensor, custom_param_list: list[dict[str, Any]] | None = None) -> Tensor:
        """Logits (rows, vocab) at the temperatures of their policies; may change `logits` in place."""
        return apply_live(logits, custom_param_list or (), refuse)


def refuse(request: Any, reason: str) -> None:
    """End a request of the server with `reason`, when the step that is under way is done."""
    from sglang.srt.managers.schedule_batch import FINISH_ABORT

    request.to_finish = FINISH_ABORT(reason, HTTPStatus.BAD_REQUEST, "BadRequestError")


def fields_of(policy: Mapping[str, Any]) -> dict[str, Any]:
    """What a request carries to be drawn under `policy`: `custom_logit_processor` and `custom_params`.

    For the OpenAI client it is `extra_body`. `Engine.generate` and `/generate` take the first beside the text and the second inside
    `sampling_params`.

    Raises:
        PolicyError: As `policy_of_request`, before anything is sent.
    """
    policy_of_request(policy)
    return {
        "custom_logit_processor": TemperaturePolicyLogitProcessor.to_str(),
        "custom_params": {KEY: json.dumps(policy)},  # SGLang passes on no mapping inside a mapping
    }
