"""The choice of an engine: from a configuration to the class that draws its texts."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing, contextmanager
from importlib import import_module

from temp_processors.config.experiment import ExperimentConfig
from temp_processors.config.sections import model_spec
from temp_processors.engines.engine import Engine
from temp_processors.engines.sources import find_model

ENGINES = {
    ("transformers", "here"): "local.LocalEngine",
    ("vllm", "here"): "vllm_local.VllmEngine",
    ("vllm", "at base_url"): "vllm_server.ServerEngine",
    ("openai", "at base_url"): "openai_server.OpenAIEngine",
}
"""By the configuration's `engine` and where it runs: the file of this folder and the class in it, imported when it is chosen."""

LAUNCHED = "temp_processors.engines.ray_engine"
"""The file of the engine whose workers hold one of these each."""


def load_engine(config: ExperimentConfig) -> Engine:
    """Load `config.model` into the engine of the configuration, after a look at whether there is such a model.

    Raises:
        ModelError: No such model, no such engine here, or a server that does not answer.
    """
    if config.launcher is not None:  # the model is looked up where it is loaded
        launched: Engine = import_module(LAUNCHED).RayEngine.load(config)
        return launched
    if config.engine != "openai":  # a name at a server, of which nothing has to be on this side
        find_model(model_spec(config.model))
    module, name = ENGINES[config.engine, "here" if config.base_url is None else "at base_url"].split(".")
    engine: Engine = getattr(import_module(f"temp_processors.engines.{module}"), name).load(config)
    return engine


@contextmanager
def loaded(config: ExperimentConfig) -> Iterator[Engine]:
    """`load_engine`, for as long as it is used: workers of a launcher end with it."""
    with closing(load_engine(config)) as engine:
        yield engine
