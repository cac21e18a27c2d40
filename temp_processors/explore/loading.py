"""The model of the page, loaded as the runner loads it."""

from __future__ import annotations

from temp_processors.engines.engine import ModelError
from temp_processors.engines.local import LocalEngine
from temp_processors.explore.screen import screen_config, screen_data


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
