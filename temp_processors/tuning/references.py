"""Reference texts for a calibration: read from a file or dataset, tokenized after their prompts, scored by the model in passes.

What is held from one pass to the next are token ids. A pass holds the hidden states of one batch of at most `MOST_TOKENS` tokens (or of one
text), the scores of `AT_ONCE` numbers, and a few numbers for each token.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from temp_processors.config.prompts import Prompt, prompt_of
from temp_processors.datafiles import RowsError, column_of, expanded, is_file_name, read_dataset, read_rows, text_of
from temp_processors.engines.local import LocalEngine
from temp_processors.engines.model_errors import ModelError
from temp_processors.experiment.prompts import prepare
from temp_processors.policies.distribution import working_dtype
from temp_processors.trace.heads import new_token_states
from temp_processors.trace.inputs import Head
from temp_processors.tuning.calibration import CalibrationError, Moments, moments

MOST_TOKENS = 8192
MOST_ROWS = 64
AT_ONCE = 2**21
"""Scores of which moments are taken at once: 16 MiB in float64, and about five times that while they are worked on."""


class Reference(NamedTuple):
    """A text, and what it continues; None for a text that stands alone."""

    prompt: Prompt | None
    text: str


class Tokens(NamedTuple):
    """A reference in token ids: how many are prompt, and its cluster."""

    ids: tuple[int, ...]
    prompt: int
    cluster: int


@dataclass(frozen=True)
class References:
    """References as the model reads them.

    Args:
        engine: The model and its tokenizer.
        texts: Those with tokens.
        left_out: How many texts have none.
    """

    engine: LocalEngine
    texts: tuple[Tokens, ...]
    left_out: int

    @property
    def clusters(self) -> list[int]:
        """The cluster of each text: its prompt, or the text itself where it stands alone."""
        return [text.cluster for text in self.texts]

    def read(self, betas: Sequence[float]) -> list[Moments]:
        """One pass: the moments of every text, in order."""
        found: list[Moments] = []
        for batch in _batches(self.texts):
            found += _moments_of(self.engine, batch, betas)
        return found


def read_references(
    source: str, *, text_column: str = "text", prompt_column: str | None = None, split: str = "train"
) -> list[Reference]:
    """References of a file or dataset.

    Args:
        source: A file (text, JSONL, CSV, Parquet) or a dataset.
        text_column: Column of the text that the model should have written.
        prompt_column: Column of what it continues, a text or the messages of a chat; `prompt` by default, where there is one.
        split: Part of a dataset.

    Raises:
        RowsError: It cannot be read, lacks a column, or a row holds no text.
        PromptError: A prompt is neither a text nor a chat.
    """
    source = expanded(source)
    is_file = is_file_name(source)
    rows = read_rows(Path(source), text_column) if is_file else read_dataset(source, None, split)
    found: list[Reference] = []
    for number, row in enumerate(rows, start=1):
        where = f"{source}: row {number}"
        text = text_of(column_of(row, text_column, where))
        if text is None:
            raise RowsError(f"{where}: {text_column!r} has to be a text, but is {str(row[text_column])[:60]}")
        if number == 1 and prompt_column is None and "prompt" in row and text_column != "prompt":
            prompt_column = "prompt"
        prompt = None if prompt_column is None else prompt_of(column_of(row, prompt_column, where), where)
        found.append(Reference(prompt, text))
    if not found:
        raise RowsError(f"{source}: holds no texts")
    return found


def tokenized(references: Sequence[Reference], engine: LocalEngine) -> References:
    """The references in token ids; the tokens that prompt and text have in common with the prompt alone are the prompt's.

    The end of a text is not counted. Of a text that stands alone the first token is not, unless the tokenizer puts one before it.

    Raises:
        ModelError: An encoder-decoder, a chat for a tokenizer without a chat template, or a text beyond the context.
        CalibrationError: No text has a token.
    """
    if engine.model_config.is_encoder_decoder:
        raise ModelError("calibrate: takes a decoder-only model, and this one is an encoder-decoder")
    prompts = prepare([ref.prompt for ref in references if ref.prompt is not None], engine, None, 0)
    prepared = iter(zip(prompts.texts, prompts.token_ids, strict=True))
    limit = getattr(engine.model_config.get_text_config(), "max_position_embeddings", None)
    known: dict[object, int] = {}
    texts: list[Tokens] = []
    for number, reference in enumerate(references, start=1):
        before, head = ("", ()) if reference.prompt is None else next(prepared)
        plain = not isinstance(reference.prompt, list)
        ids = tuple(engine.tokenizer(before + reference.text, add_special_tokens=plain)["input_ids"])
        if plain and ids and ids[-1] in engine.eos_token_ids:
            ids = ids[:-1]  # of a tokenizer that ends every text
        if limit is not None and 0 < limit < len(ids):
            raise ModelError(f"row {number}: has {len(ids)} tokens, but the model's context holds {limit}")
        start = max(_common(head, ids), 1)
        if len(ids) > start and reference.text:
            cluster = known.setdefault(before if reference.prompt is not None else (number,), len(known))
            texts.append(Tokens(ids, start, cluster))
    if not texts:
        raise CalibrationError("the references have no tokens that the model could have written")
    return References(engine, tuple(texts), len(references) - len(texts))


def _common(left: Sequence[int], right: Sequence[int]) -> int:
    """Length of the beginning that both share."""
    return next(
        (place for place, (a, b) in enumerate(zip(left, right, strict=False)) if a != b), min(len(left), len(right))
    )


def _batches(texts: Sequence[Tokens]) -> Iterator[list[Tokens]]:
    """Texts that follow one another, as many as fit."""
    batch: list[Tokens] = []
    for text in texts:
        width = max(len(held.ids) for held in [*batch, text])
        if batch and (len(batch) == MOST_ROWS or width * (len(batch) + 1) > MOST_TOKENS):
            yield batch
            batch = []
        batch.append(text)
    if batch:
        yield batch


def _moments_of(engine: LocalEngine, batch: Sequence[Tokens], betas: Sequence[float]) -> Iterator[Moments]:
    """The moments of the texts of one batch, padded on the left so that they end together."""
    width = max(len(text.ids) for text in batch)
    new = max(len(text.ids) - text.prompt for text in batch)
    pad = engine.pad_token_id
    device = engine.model.device
    ids = torch.tensor([[pad] * (width - len(text.ids)) + list(text.ids) for text in batch], device=device)
    mask = torch.tensor([[0] * (width - len(text.ids)) + [1] * len(text.ids) for text in batch], device=device)
    with torch.no_grad():
        found = new_token_states(engine.model, ids, width - new, mask)
        for row, text in enumerate(batch):
            own = len(text.ids) - text.prompt
            yield _in_parts(found.states[row : row + 1, -own:], found.head, ids[row, -own:], betas)


def _in_parts(states: Tensor, head: Head, tokens: Tensor, betas: Sequence[float]) -> Moments:
    """The moments of one text, some tokens at a time."""
    size = max(1, AT_ONCE // head(states[:, :1]).shape[-1])
    parts = []
    for some, own in zip(torch.split(states, size, dim=1), torch.split(tokens, size), strict=True):
        scores = head(some)[0]
        parts.append(moments(scores.to(working_dtype(scores)), own, betas))
    return Moments(*(np.concatenate(held, axis=-1) for held in zip(*parts, strict=True)))
