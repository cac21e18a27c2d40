"""Policies in llama-cpp-python: a logits processor for one text after another, in the library's own numpy arrays.

```py
from llama_cpp import Llama
from temp_processors.integrations.llama_cpp import sampling

llm = Llama("model.gguf")
llm("The quick brown fox", max_tokens=40, seed=1, **sampling({"kind": "dynamic", "temperature": 1.0, "range": 0.5}))
```
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import torch

from temp_processors.integrations.one_text import OneText

Array = np.ndarray[Any, Any]
ALONE: dict[str, Any] = {
    "temperature": 1.0,
    "top_k": 0,
    "top_p": 1.0,
    "min_p": 0.0,
    "typical_p": 1.0,
    "repeat_penalty": 1.0,
    "presence_penalty": 0.0,
    "frequency_penalty": 0.0,
}
"""Arguments of a call that switch off what the library does behind a processor: by default top-k 40, top-p 0.95, min-p 0.05, T = 0.8."""


def processor(
    policy: Mapping[str, Any], *, prompt_length: int | None = None, seed: int | None = None
) -> Callable[[Array, Array], Array]:
    """A function for `LogitsProcessorList`, in place of llama.cpp's own samplers: give `ALONE` beside it, as `sampling` does.

    The library shows a column of llama.cpp's table of candidates. It is copied once: a policy reads it several times, and the strides
    of the table cost it more than the copy (0.19 against 0.15 ms for `dynamic` on 49,152 tokens). What is returned is a new array,
    which the library writes into the table. Not for a draft model: the library shows its guesses as if they were the text.

    Args:
        policy: `{"kind": ..., parameters}`; tags as token ids.
        prompt_length: Of every text, in tokens. By default a text begins where the tokens are not those of the call before and one
            more: take a processor for each text, or give the length, where a prompt may go on by one token where the last text ended.
        seed: Of the text, for a policy that draws from it (`kind: monte_carlo`); the draw itself has the `seed` of the call.

    Raises:
        PolicyError: A policy that cannot be used. Later would be too late: the library prints what a processor raises, and goes on.

    Example:
        >>> apply = processor({"kind": "fixed", "temperature": 0.5})
        >>> apply(np.array([5, 6], dtype=np.intc), np.array([1.0, 2.0], dtype=np.float32))
        array([2., 4.], dtype=float32)
    """
    text = OneText(policy, prompt_length, seed)

    def apply(input_ids: Array, scores: Array) -> Array:
        found: Array = text.scores(np.asarray(input_ids), torch.from_numpy(np.ascontiguousarray(scores))).numpy()
        return found

    return apply


def sampling(policy: Mapping[str, Any], **options: Any) -> dict[str, Any]:
    """Arguments of a call (`llm(...)`, `create_completion`, `create_chat_completion`) under which the policy acts alone.

    Args:
        policy, options: As for `processor`.

    Raises:
        PolicyError: As `processor`.
        ImportError: llama-cpp-python is not installed.
    """
    from llama_cpp import LogitsProcessorList

    return {**ALONE, "logits_processor": LogitsProcessorList([processor(policy, **options)])}
