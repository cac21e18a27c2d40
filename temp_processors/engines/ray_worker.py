"""What a Ray actor holds: the engine of a configuration, ready to draw. Nothing here needs Ray."""

from __future__ import annotations

import pickle
import platform
from collections.abc import Sequence
from functools import cached_property
from importlib.metadata import PackageNotFoundError, version
from typing import Any, NamedTuple

from temp_processors.config.experiment import ExperimentConfig
from temp_processors.config.yaml_lines import ConfigError
from temp_processors.engines.continuation import StopTexts
from temp_processors.engines.engine import Decoded, DecodeRow, DrawOptions, Engine, ModelError, draw_options
from temp_processors.engines.load import load_engine
from temp_processors.serving.rows import PolicyError
from temp_processors.version import __version__

PACKAGES = ("torch", "transformers", "vllm")


class Ready(NamedTuple):
    """What a worker tells of itself when its model is loaded.

    `checkpoint` is a pickle of tokenizer, configuration and generation configuration: they may be code that this process does not have.
    """

    node: str
    versions: dict[str, str]
    described: dict[str, Any]
    independent_rows: bool
    why_not_traced: str | None
    checkpoint: bytes


class Worker:
    """The engine of a configuration in another process. Errors that are told in a line are returned, all others raised.

    Args:
        config: What is run, without its launcher.
    """

    engine: Engine
    policies: Sequence[Any]

    def __init__(self, config: ExperimentConfig) -> None:
        self.config = config

    def load(self) -> Ready | ModelError | ConfigError | PolicyError:
        """Load the model and prepare the policies."""
        try:
            self.engine = load_engine(self.config)
            self.policies = self.engine.prepare(self.config)
        except ModelError as error:
            return ModelError(f"{error} (a worker on {platform.node()})")
        except (ConfigError, PolicyError) as error:
            return error
        engine = self.engine
        checkpoint = pickle.dumps((engine.tokenizer, engine.model_config, engine.generation_config))
        independent, untraced = engine.independent_rows, engine.why_not_traced()
        return Ready(platform.node(), _versions(), engine.describe(), independent, untraced, checkpoint)

    def draw(self, rows: Sequence[DecodeRow]) -> tuple[list[Decoded], ModelError | None]:
        """The texts of some rows, and the error that ended them early."""
        found: list[Decoded] = []
        try:
            found.extend(self.engine.draw(rows, self.policies, self._options))
        except ModelError as error:
            return found, error
        return found, None

    def sampler_stack(self) -> dict[str, Any]:
        """As the engine's, for its own configuration and policies."""
        return self.engine.sampler_stack(self.config, self.policies)

    def trace(self, ids: Any, policy: Any, prompt_length: int, top_k: int) -> Any:
        """As the engine's."""
        return self.engine.trace(ids, policy, prompt_length, top_k=top_k)

    @cached_property
    def _options(self) -> DrawOptions:
        return draw_options(self.config, StopTexts(self.engine.tokenizer, self.config.stop))


def _versions() -> dict[str, str]:
    """Of this package and what computes the texts; what is not installed is left out."""
    found = {"temp_processors": __version__}
    for name in PACKAGES:
        try:
            found[name] = version(name)
        except PackageNotFoundError:
            continue
    return found
