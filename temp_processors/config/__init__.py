"""From YAML to checked objects: one parser for the file and for `--set`, and errors with file and line.

The names below are imported when they are first asked for, so that the parser of YAML loads without the policies' torch.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from temp_processors.config.experiment import DEFAULT_METRICS as DEFAULT_METRICS
    from temp_processors.config.experiment import ExperimentConfig as ExperimentConfig
    from temp_processors.config.experiment import NamedPolicy as NamedPolicy
    from temp_processors.config.loading import find_config as find_config
    from temp_processors.config.loading import load_config as load_config
    from temp_processors.config.loading import located as located
    from temp_processors.config.loading import shipped_configs as shipped_configs
    from temp_processors.config.presets import preset as preset
    from temp_processors.config.yaml_lines import ConfigError as ConfigError

PUBLIC = {
    "DEFAULT_METRICS": "experiment",
    "ExperimentConfig": "experiment",
    "NamedPolicy": "experiment",
    "find_config": "loading",
    "load_config": "loading",
    "located": "loading",
    "shipped_configs": "loading",
    "preset": "presets",
    "ConfigError": "yaml_lines",
}
"""Every name, and the module of this room that has it."""


def __getattr__(name: str) -> Any:
    if name not in PUBLIC:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{PUBLIC[name]}"), name)
