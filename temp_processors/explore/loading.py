"""The model of the page, loaded as the runner loads it."""

from __future__ import annotations

from typing import Any

from temp_processors.engines.engine import ModelError
from temp_processors.engines.local import LocalEngine
from temp_processors.explore.screen import screen_config, screen_data

TYPED = {"cpu": 50_000_000}
"""Parameters up to which texts are drawn while one types, by kind of device: two texts of 32 tokens in about a second."""
TYPED_ELSEWHERE = 4_000_000_000
"""The same of every other kind of device."""


def load(model: str) -> LocalEngine:
    """The model of that name (`fox`, a folder, or a Hub id).

    Raises:
        ModelError: There is none; or it is an encoder-decoder, whose texts do not continue a prompt.
    """
    data = screen_data(model, "any", {"A": {"kind": "fixed", "temperature": 1.0}}, max_new_tokens=1, seed=0, samples=1)
    engine = LocalEngine.load(screen_config(data))
    if engine.model_config.is_encoder_decoder:
        raise ModelError(f"model: {model!r} is an encoder-decoder; the page needs one that continues its prompt")
    return engine


def draws_as_typed(model: Any) -> bool:
    """Whether every change on the page draws new texts unless a visitor says otherwise: where the model is small enough for its device."""
    most = TYPED.get(model.device.type, TYPED_ELSEWHERE)
    return bool(model.num_parameters() <= most)
