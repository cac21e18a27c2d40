"""Similarity of meaning: the cosine of the embeddings of answer and reference, 0 where it is negative.

The embedding is the mean of a transformers model's last hidden states over the tokens of a text, as sentence embedders of the
MiniLM kind are used; the score says as much about that model as about the texts.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Annotated, Any, Literal

import numpy as np
from pydantic import Field

from temp_processors.metrics.arrays import Floats
from temp_processors.tasks.scorers.base import Item, Mark, Scorer, ScorerError, Tools

TEXTS_AT_ONCE = 64


class Similarity(Scorer):
    """How close the meaning of the answer is to that of the reference, in [0, 1].

    Args:
        model: A folder, a Hub id, or `fox`.
        threshold: With one, the score is 1 from this cosine on, else 0.
    """

    kind: Literal["similarity"] = "similarity"
    model: Annotated[str, Field(min_length=1)]
    threshold: Annotated[float, Field(gt=0, le=1)] | None = None

    def prepare(self, tools: Tools) -> None:
        """Load the model once, to see that it is there."""
        _embedder(self.model)

    def notes(self) -> list[str]:
        """Which model is loaded."""
        return [f"{self.heading}: embeddings of {self.model}, mean of its last hidden states"]

    def score(self, item: Item) -> Mark:
        """The mark of one answer."""
        return next(self.score_all([item], Tools()))

    def score_all(self, items: Sequence[Item], tools: Tools) -> Iterator[Mark]:
        """The marks of many, every different text embedded once."""
        texts = sorted({text for item in items for text in (item.answer, item.references[0])}, key=len)
        rows = dict(zip(texts, embeddings(self.model, texts), strict=True))
        for item in items:
            cosine = float(rows[item.answer] @ rows[item.references[0]])
            if self.threshold is not None:
                yield Mark(float(cosine >= self.threshold))
            else:
                yield Mark(min(max(cosine, 0.0), 1.0))


def embeddings(model: str, texts: Sequence[str]) -> Floats:
    """Unit rows (texts, dimensions): the mean of the last hidden states of each text."""
    tokenizer, network = _embedder(model)
    import torch

    rows = []
    for start in range(0, len(texts), TEXTS_AT_ONCE):
        some = [text or " " for text in texts[start : start + TEXTS_AT_ONCE]]
        batch = tokenizer(some, return_tensors="pt", padding=True, truncation=True)
        with torch.inference_mode():
            states = network(input_ids=batch["input_ids"], attention_mask=batch["attention_mask"]).last_hidden_state
        kept = batch["attention_mask"].unsqueeze(-1)
        rows.append(((states * kept).sum(1) / kept.sum(1)).double().numpy())
    found: Floats = np.concatenate(rows)
    unit: Floats = found / np.linalg.norm(found, axis=1, keepdims=True)
    return unit


_LOADED: dict[str, tuple[Any, Any]] = {}


def _embedder(model: str) -> tuple[Any, Any]:
    if model not in _LOADED:
        from transformers import AutoModel, AutoTokenizer

        from temp_processors.fox import FOX_PATH

        name = str(FOX_PATH) if model == "fox" else model
        try:
            tokenizer, network = AutoTokenizer.from_pretrained(name), AutoModel.from_pretrained(name).eval()
        except (OSError, ValueError) as error:
            reason = str(error).strip().splitlines()[0]
            raise ScorerError(f"similarity: {model!r} is no model that can be loaded ({reason})") from error
        if tokenizer.pad_token is None:
            tokenizer.pad_token = tokenizer.eos_token
        tokenizer.padding_side = "right"
        _LOADED[model] = tokenizer, network
    return _LOADED[model]
