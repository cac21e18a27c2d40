"""What a policy did at every step of a batch of texts, as tensors and as a table."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from temp_processors.trace.columns import NUMBERS, TEXT_COLUMNS, TOPS
from temp_processors.trace.tail import thinned


@dataclass(frozen=True)
class TokenTrace:
    """One entry per row and new token; every tensor has shape (batch, steps) unless it says otherwise.

    Args:
        token_ids: The tokens that were chosen.
        mask: True up to the first end-of-sequence token of a row, included; what follows is padding.
        temperature: What the policy set; nan where a policy reshapes the scores without one temperature.
        entropy: Entropy of the distribution before the policy, in nats.
        entropy_after: The same after the policy.
        log_prob: Natural-log probability of the token before the policy.
        log_prob_after: The same after the policy: what the token was drawn with, if nothing else acted on the scores.
        top_ids: The k most probable tokens before the policy, largest first, (batch, steps, k); or None.
        top_logits: Their scores, (batch, steps, k).
        tail: Weight of all other tokens at 97 temperatures, (batch, steps, 97); see `trace/tail.py`.
    """

    token_ids: Tensor
    mask: Tensor
    temperature: Tensor
    entropy: Tensor
    entropy_after: Tensor
    log_prob: Tensor
    log_prob_after: Tensor
    top_ids: Tensor | None = None
    top_logits: Tensor | None = None
    tail: Tensor | None = None

    def records(
        self, policy: str | Sequence[str] = "", prompt_id: Any = 0, sample_id: Sequence[Any] | None = None
    ) -> list[dict[str, Any]]:
        """One dict per row and step that is not masked.

        Args:
            policy: Name of the policy, or one for each row of the batch.
            prompt_id: Of all rows, or a list with one for each row.
            sample_id: One for each row (default: the number of the row).

        Returns:
            Dicts with the fields of `trace.columns.TraceRecord`; `tail` is thinned as `trace/tail.py` says.
        """
        batch = self.token_ids.shape[0]
        names = (
            _per_row(policy, batch),
            _per_row(prompt_id, batch),
            list(range(batch) if sample_id is None else sample_id),
        )
        keys = [dict(zip(TEXT_COLUMNS, key, strict=True)) for key in zip(*names, strict=True)]
        where = self.mask.nonzero()
        columns = {"token_id": self.token_ids[self.mask].tolist()}
        columns |= {name: getattr(self, name)[self.mask].tolist() for name in NUMBERS}
        columns["temperature"] = [None if math.isnan(value) else value for value in columns["temperature"]]
        columns |= self._tops()
        values = [dict(zip(columns, row, strict=True)) for row in zip(*columns.values(), strict=True)]
        return [{**keys[row], "step": step, **value} for (row, step), value in zip(where.tolist(), values, strict=True)]

    def to_dataset(self, **names: Any) -> Any:
        """`records` as a `datasets.Dataset`."""
        from datasets import Dataset

        return Dataset.from_list(self.records(**names))

    def to_pandas(self, **names: Any) -> Any:
        """`records` as a `pandas.DataFrame`."""
        return self.to_dataset(**names).to_pandas()

    def _tops(self) -> dict[str, list[Any]]:
        if self.top_ids is None or self.top_logits is None or self.tail is None:
            return {name: [None] * int(self.mask.sum()) for name in TOPS}
        logits = self.top_logits[self.mask]
        tail = thinned(self.tail[self.mask], logits)
        return {"top_ids": self.top_ids[self.mask].tolist(), "top_logits": logits.tolist(), "tail": tail}


def until_end(token_ids: Tensor, eos_token_ids: Sequence[int]) -> Tensor:
    """True up to the first of the tokens in each row, included; (batch, steps) -> bool of that shape."""
    ends = torch.isin(token_ids, torch.tensor(list(eos_token_ids), dtype=torch.long, device=token_ids.device))
    return (ends.cumsum(dim=-1) - ends.long()) == 0


def _per_row(value: Any, batch: int) -> list[Any]:
    return [value] * batch if isinstance(value, str) or not isinstance(value, Sequence) else list(value)
