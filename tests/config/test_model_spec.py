"""The `model` section: a name, or a mapping of options that reach the model."""

from pathlib import Path

import pytest
import torch

from temp_processors.config.experiment import ExperimentConfig
from temp_processors.config.loading import load_config
from temp_processors.config.sections import ModelSpec
from temp_processors.config.yaml_lines import ConfigError
from temp_processors.engines.local import LocalEngine
from temp_processors.experiment.run import run_experiment

MAPPING = "model={name: fox, dtype: bfloat16, attn_implementation: eager}"


def test_options_reach_the_model(tmp_path: Path) -> None:
    config = load_config("fox", [MAPPING, "samples_per_prompt=2", "max_new_tokens=3"], out=tmp_path / "run")
    model = LocalEngine.load(config).model
    assert model.dtype == torch.bfloat16
    assert model.config._attn_implementation == "eager"
    run = run_experiment(config)
    assert ExperimentConfig.model_validate(load_config(run.path / "config.yaml").model_dump(mode="json")) == config
    assert load_config(run.path / "config.yaml").model == config.model


def test_code_of_a_checkpoint_is_off_by_default() -> None:
    assert ModelSpec(name="fox").load_options == {"dtype": "auto", "trust_remote_code": False}


@pytest.mark.parametrize(
    ("setting", "message"),
    [
        ("model={name: fox, dtyp: float32}", "model.dtyp: not a field of `model` (did you mean 'dtype'?)"),
        ("model={name: fox, dtype: float8}", "model.dtype: has to be 'auto', 'float32', 'float16' or 'bfloat16'"),
        ("model=5", "model: has to be a text, but is 5"),
        ("model=' '", "model: "),
    ],
)
def test_mistakes_are_named(setting: str, message: str) -> None:
    with pytest.raises(ConfigError) as error:
        load_config("fox", [setting])
    assert message in str(error.value)
