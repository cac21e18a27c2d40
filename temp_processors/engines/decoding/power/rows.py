"""Rows that continue one prompt token by token, and may be copied over each other on the way."""

from __future__ import annotations

import copy
from collections.abc import Sequence
from dataclasses import replace
from typing import Any, Protocol

import torch
from torch import Tensor

from temp_processors.engines.decoding.alone import rows_together
from temp_processors.engines.decoding.cache import copy_rows, share_out
from temp_processors.engines.decoding.prefill import NoBatchableCacheError, prefill
from temp_processors.engines.decoding.remarks import remark
from temp_processors.engines.decoding.shared_prefix import share_prefix, sharing_view
from temp_processors.engines.decoding.transformers_seam import forward
from temp_processors.engines.model_errors import ModelError


class Rows(Protocol):
    """Texts that have grown by the same number of tokens, and the model's prediction of the next one."""

    def raw(self) -> Tensor:
        """The model's own next logits, float32 (rows, vocab)."""

    def scores(self) -> Tensor:
        """The logits after the processors that `generate` itself applies to this model: mostly `raw()` itself."""

    def feed(self, tokens: Tensor, sources: Tensor | None = None) -> None:
        """Add one token to every row.

        Args:
            tokens: (rows,) after the copying.
            sources: Row i goes on from what row `sources[i]` was; None leaves the rows as they are.
        """


class Prompt(Protocol):
    """A prompt that has been read, from which rows begin as often as wanted."""

    def begin(self, rows: int) -> Rows:
        """`rows` rows that continue it."""


def read_prompt(model: Any, prompt_ids: Sequence[int], rows: int, *, max_new_tokens: int, pad_token_id: int) -> Prompt:
    """Run a prompt through the model once.

    A decoder whose past can be neither repeated nor dropped row by row (state-space models) reads the whole text anew for
    every token: slower, and exact.

    Args:
        model: Any model that `generate` runs.
        prompt_ids: Token ids.
        rows: Most rows that will continue it.
        max_new_tokens: Most tokens of a row.
        pad_token_id: As for `decode`.

    Raises:
        ModelError: It is such a model, and no decoder.
    """
    try:
        return CachedPrompt(model, prompt_ids, rows, max_new_tokens=max_new_tokens, pad_token_id=pad_token_id)
    except NoBatchableCacheError as error:
        name = type(model).__name__
        if model.config.is_encoder_decoder:
            raise ModelError(
                f"model: `kind: power` cannot copy the texts of {name} while they grow: {error}"
            ) from error
        remark(model, "power", f"`kind: power` reads the whole text anew for every token, which is slower ({error})")
        return ReadPrompt(model, prompt_ids, pad_token_id)


class CachedPrompt:
    """A prompt with its keys and values, kept once for all rows where that is worth it."""

    def __init__(
        self, model: Any, prompt_ids: Sequence[int], rows: int, *, max_new_tokens: int, pad_token_id: int
    ) -> None:
        self.start = prefill(model, [prompt_ids], max_new_tokens=max_new_tokens, pad_token_id=pad_token_id)
        index = torch.zeros(rows, dtype=torch.long, device=self.start.input_ids.device)
        view = sharing_view(model, self.start, index)
        self.model: Any = model if view is None else view
        self.share = share_out if view is None else share_prefix
        self.capacity = self.start.input_ids.shape[1] + max_new_tokens

    def begin(self, rows: int) -> CachedRows:
        """`rows` rows that continue the prompt, with a cache of their own."""
        return CachedRows(self, rows)


class CachedRows:
    """Rows with the model's past of each in a cache."""

    def __init__(self, prompt: CachedPrompt, rows: int) -> None:
        start = prompt.start
        index = torch.zeros(rows, dtype=torch.long, device=start.input_ids.device)
        past = {**start.model_kwargs, "past_key_values": copy.deepcopy(start.cache)}
        self.kwargs = prompt.share(replace(start, model_kwargs=past), index, prompt.capacity)
        self.model, self.processors = prompt.model, start.processors
        self.length = start.input_ids.shape[1]
        self.ids = start.input_ids.new_zeros((rows, prompt.capacity))
        self.ids[:, : self.length] = start.input_ids
        self.logits = start.logits.expand(rows, -1)

    def raw(self) -> Tensor:
        """As `Rows`."""
        return self.logits.to(device=self.ids.device, dtype=torch.float32)

    def scores(self) -> Tensor:
        """As `Rows`."""
        raw = self.raw()
        return self.processors(self.ids[:, : self.length], raw.clone()) if self.processors else raw

    def feed(self, tokens: Tensor, sources: Tensor | None = None) -> None:
        """As `Rows`."""
        if sources is not None:
            self.kwargs = copy_rows(self.kwargs, sources, len(self.ids))
            self.ids = self.ids[sources]
        self.ids[:, self.length] = tokens
        self.length += 1
        self.logits, self.kwargs = forward(self.model, self.ids[:, : self.length], self.kwargs)


class ReadPrompt:
    """A prompt of a model whose past cannot be copied."""

    def __init__(self, model: Any, prompt_ids: Sequence[int], pad_token_id: int) -> None:
        self.model = model
        self.ids = torch.tensor([list(prompt_ids)], device=model.device)
        self.together = rows_together(model, self.ids[0], pad_token_id)

    def begin(self, rows: int) -> ReadRows:
        """`rows` rows that continue the prompt."""
        return ReadRows(self, rows)


class ReadRows:
    """Rows that are read from their beginning at every step, each alone where the model does not keep rows apart."""

    def __init__(self, prompt: ReadPrompt, rows: int) -> None:
        self.prompt = prompt
        self.ids = prompt.ids.expand(rows, -1)
        self.logits = self._read(prompt.ids).expand(rows, -1)

    def _read(self, ids: Tensor) -> Tensor:
        parts = [ids] if self.prompt.together else [row.unsqueeze(0) for row in ids]
        logits = [self.prompt.model(part, use_cache=False, return_dict=True).logits[:, -1] for part in parts]
        return torch.cat(logits).float()

    def raw(self) -> Tensor:
        """As `Rows`."""
        return self.logits

    def scores(self) -> Tensor:
        """As `Rows`."""
        return self.logits

    def feed(self, tokens: Tensor, sources: Tensor | None = None) -> None:
        """As `Rows`."""
        before = self.ids if sources is None else self.ids[sources]
        self.ids = torch.cat([before, tokens.unsqueeze(1)], dim=1)
        self.logits = self._read(self.ids)
