"""A policy in an engine that draws one text after another and calls a function with the tokens so far and the scores of the next one."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import torch
from torch import Tensor

from temp_processors.policies.base import PolicyLogitsWarper
from temp_processors.serving.rows import of_text, policy_of_request


class OneText:
    """A policy, and the text that it is in.

    Where no length of the prompt is given, a text begins with every call whose tokens are not those of the call before and one more.

    Args:
        policy: `{"kind": ..., parameters}`; tags as token ids.
        prompt_length: Of every text, in tokens; None finds it out.
        seed: Of the text, for a policy that draws from it (`kind: monte_carlo`).

    Raises:
        PolicyError: A policy that cannot be used; the message names each wrong parameter.

    Example:
        >>> text = OneText({"kind": "scheduled", "shape": "linear", "start": 1.0, "end": 2.0, "steps": 1})
        >>> scores = torch.tensor([2.0, 4.0])
        >>> [text.scores(np.array(ids), scores).tolist() for ids in ([5, 6], [5, 6, 7], [8, 9, 7])]
        [[2.0, 4.0], [1.0, 2.0], [2.0, 4.0]]
    """

    def __init__(self, policy: Mapping[str, Any], prompt_length: int | None = None, seed: int | None = None) -> None:
        found = policy_of_request(policy if seed is None else of_text(dict(policy), seed))
        self.given = prompt_length
        self.policy: PolicyLogitsWarper = found.with_prompt_length(prompt_length or 0)
        self.last = np.zeros(0, dtype=np.int64)

    def scores(self, ids: np.ndarray[Any, Any], scores: Tensor) -> Tensor:
        """The scores at the temperature of the policy: a new tensor; `scores` is not changed.

        Args:
            ids: The tokens so far, prompt first, shape (length,).
            scores: Of the next token, shape (vocab,).
        """
        if self.given is None:
            before = len(ids) - 1
            if before < 1 or before != len(self.last) or not np.array_equal(ids[:before], self.last):
                self.policy = self.policy.with_prompt_length(len(ids))
            self.last = np.array(ids)  # the engine may go on writing into its own
        rows = torch.from_numpy(ids.astype(np.int64, copy=False))[None]
        return self.policy(rows, scores[None])[0]
