"""Numbers and paths of a configuration: bounded where they are written, `~` as the home folder."""

from __future__ import annotations

import math
from pathlib import Path

import pytest
import torch

from temp_processors import build_policy
from temp_processors.config.experiment import ExperimentConfig
from temp_processors.config.loading import load_config
from temp_processors.config.prompts import PromptSource
from temp_processors.config.sections import model_spec
from temp_processors.config.yaml_lines import ConfigError
from temp_processors.experiment.plan import Plan


@pytest.mark.parametrize(
    ("setting", "message"),
    [
        ("samples_per_prompt=1000000000000", "samples = 6,000,000,000,000 texts, and a run holds at most 10,000,000"),
        ("samples_per_prompt=1000000000000000000000", "texts, and a run holds at most 10,000,000"),
        ("max_new_tokens=1000000000000000000000", "has to be less than or equal to 10000000"),
        ("batch_size=1000000000000000000000", "has to be less than or equal to 10000000"),
        ("policies.0={name: a, kind: fixed, temperature: 1.0e+40}", "has to be at most 1,000,000,000, but is 1e+40"),
        (
            "policies.0={name: a, kind: scheduled, shape: linear, start: 1.0e+40, end: 1.0, steps: 3}",
            "start: has to be at most 1,000,000,000, but is 1e+40",
        ),
        (
            "policies.0={name: a, kind: scheduled, shape: geometric, start: 1.0e-40, end: 1.0, steps: 3}",
            "`start` and `end` may differ by a factor of 1e+30, but are 1e-40 and 1",
        ),
        (
            "policies.0={name: a, kind: product, policies: [{kind: fixed, temperature: 1.0e+20}]}",
            "policies.0.policies.0.temperature: has to be at most 1,000,000,000, but is 1e+20",
        ),
        ("policies.0={name: a, kind: annealed, decay: 1" + "0" * 90 + "}", "has to be at most 1,000,000,000"),
        (
            "policies.0={name: a, kind: scheduled, shape: linear, start: 1, end: 2, steps: 10000000000}",
            "steps: has to be at most 1,000,000,000, but is 10000000000",
        ),
        ("out='~nobody-of-this-name/x'", "there is no home folder ~nobody-of-this-name"),
        ('out="a\\0b"', "holds a NUL character"),
        ('name="a\\0b"', "may not hold control characters"),
        ("model={name: fox, quantization_config: {a: !!binary /w==}}", "model.quantization_config"),
    ],
)
def test_what_no_run_can_hold_is_refused_where_it_is_written(setting: str, message: str) -> None:
    with pytest.raises(ConfigError) as caught:
        load_config("fox", [setting])
    assert message in str(caught.value)


def test_prompts_of_a_file_count_too(tmp_path: Path) -> None:
    file = tmp_path / "prompts.txt"
    file.write_text("one\ntwo\nthree\n")
    config = load_config("fox", [f"prompts={{file: {file}}}", "samples_per_prompt=1000000"])
    with pytest.raises(ConfigError, match=r"x 3 prompts x 1,000,000 samples = \d+,000,000 texts"):
        Plan(config).prompts  # noqa: B018


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float32, torch.float64], ids=str)
def test_the_hottest_temperatures_leave_masked_scores_masked(dtype: torch.dtype) -> None:
    hot = {"kind": "fixed", "temperature": 1e9}
    constant = {"kind": "scheduled", "shape": "constant", "start": 1e9}
    scores = torch.tensor([[3.0, 1.0, -math.inf]], dtype=dtype)
    for config in (hot, constant, {"kind": "product", "policies": [hot] * 6}):
        got = build_policy(config)(torch.zeros(1, 1, dtype=torch.long), scores).float()
        torch.testing.assert_close(got, torch.tensor([[0.0, 0.0, -math.inf]]), atol=1e-6, rtol=0.0)
    zero = {"kind": "product", "policies": [*[hot] * 6, {"kind": "fixed", "temperature": 0}]}
    assert build_policy(zero)(torch.zeros(1, 1, dtype=torch.long), scores).tolist() == [[3.0, -math.inf, -math.inf]]


def test_the_home_folder_is_written_out_everywhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    (tmp_path / "x.jsonl").write_text('{"text": "The fox"}\n')
    config = load_config("fox", ["out=~/run1", "prompts={file: ~/x.jsonl}", "model=~/m"])
    assert config.folder == tmp_path / "run1"
    assert isinstance(config.prompts, PromptSource)
    assert config.prompts.read() == ["The fox"]
    assert model_spec(config.model).name == str(tmp_path / "m")
    assert load_config("fox", ["model={name: ~/m}"]).model.name == str(tmp_path / "m")  # type: ignore[union-attr]
    assert load_config("fox", out=Path("~/there")).folder == tmp_path / "there"
    (tmp_path / "mine.yaml").write_text(config.to_yaml())
    assert load_config("~/mine.yaml") == config
    assert ExperimentConfig.model_validate({**config.model_dump(), "model": "user/~name"}).model == "user/~name"
