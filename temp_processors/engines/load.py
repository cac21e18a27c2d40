"""The choice of an engine: from a configuration to the class that draws its texts."""

from __future__ import annotations

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


def load_engine(config: ExperimentConfig) -> Engine:
    """Load `config.model` into the engine of the configuration, after a look at whether there is such a model.

    Raises:
        ModelError: No such model, no such engine here, or a server that does not answer.
    """
    if config.engine != "openai":  # a name at a server, of which nothing has to be on this side
        find_model(model_spec(config.model))
    module, name = ENGINES[config.engine, "here" if config.base_url is None else "at base_url"].split(".")
    engine: Engine = getattr(import_module(f"temp_processors.engines.{module}"), name).load(config)
    return engine
