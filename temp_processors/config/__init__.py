"""From YAML to checked objects: one parser for the file and for `--set`, and errors with file and line."""

from temp_processors.config.experiment import DEFAULT_METRICS as DEFAULT_METRICS
from temp_processors.config.experiment import ExperimentConfig as ExperimentConfig
from temp_processors.config.experiment import NamedPolicy as NamedPolicy
from temp_processors.config.experiment import find_config as find_config
from temp_processors.config.experiment import load_config as load_config
from temp_processors.config.experiment import located as located
from temp_processors.config.experiment import shipped_configs as shipped_configs
from temp_processors.config.yaml_lines import ConfigError as ConfigError
