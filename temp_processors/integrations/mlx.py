"""Policies in mlx-lm: a logits processor for one text after another, in the library's own arrays.

```py
from mlx_lm import generate, load
from temp_processors.integrations.mlx import sampling

model, tokenizer = load("mlx-community/...")
generate(model, tokenizer, "The quick brown fox", **sampling({"kind": "dynamic", "temperature": 1.0, "range": 0.5}))
```
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import torch

from temp_processors.integrations.one_text import OneText


def processor(
    policy: Mapping[str, Any], *, prompt_length: int | None = None, seed: int | None = None
) -> Callable[[Any, Any], Any]:
    """A function for `logits_processors`, beside `sampler=make_sampler(temp=1.0)`, as `sampling` gives both.

    Scores in float32 and float16 are read where mlx holds them, without a copy (bfloat16, which numpy has not, in float32); what is
    returned is a new array of mlx. Reading them waits for the model: mlx computes a step ahead otherwise.

    Args:
        policy: `{"kind": ..., parameters}`; tags as token ids.
        prompt_length: Of every text, in tokens. By default a text begins where the tokens are not those of the call before and one
            more: take a processor for each text, or give the length, where a prompt may go on by one token where the last text ended,
            and with a draft model, which repeats lengths.
        seed: Of the text, for a policy that draws from it (`kind: monte_carlo`).

    Raises:
        PolicyError: A policy that cannot be used.
    """
    import mlx.core as mx

    text = OneText(policy, prompt_length, seed)

    def apply(tokens: Any, logits: Any) -> Any:
        wide = logits.astype(mx.float32) if logits.dtype == mx.bfloat16 else logits
        mx.eval(tokens, wide)
        scores = torch.from_numpy(np.array(wide, copy=False))[0]
        found = text.scores(np.array(tokens, copy=False), scores)
        return mx.array(found[None].numpy()).astype(logits.dtype)

    return apply


def sampling(policy: Mapping[str, Any], **options: Any) -> dict[str, Any]:
    """Arguments of `generate`, `stream_generate` and `generate_step` under which the policy acts alone.

    Args:
        policy, options: As for `processor`.

    Raises:
        PolicyError: As `processor`.
        ImportError: mlx-lm is not installed.
    """
    from mlx_lm.sample_utils import make_sampler

    return {"sampler": make_sampler(temp=1.0), "logits_processors": [processor(policy, **options)]}
