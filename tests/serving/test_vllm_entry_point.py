"""An engine that is given no processor applies policies exactly where `temp-processors-vllm` is installed.

`.ci/run` runs this file without that distribution, with it, and without it again. Needs the environment of scripts/setup_vllm.sh.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from importlib.metadata import entry_points
from types import SimpleNamespace
from typing import Any

import pytest
import torch

from temp_processors.fox import FOX_PATH
from tests.paths import ROOT
from tests.serving.forced import PROMPTS

pytestmark = [pytest.mark.slow, pytest.mark.vllm, pytest.mark.filterwarnings("default")]
pytest.importorskip("vllm", reason="vLLM is not in this environment: scripts/setup_vllm.sh makes one")

NAME = "temperature_policy"
INSTALLED = any(entry.name == NAME for entry in entry_points(group="vllm.logits_processors"))


@pytest.fixture(scope="module")
def scores() -> torch.Tensor:
    from transformers import AutoModelForCausalLM

    model = AutoModelForCausalLM.from_pretrained(FOX_PATH, dtype=torch.float32).eval()
    with torch.inference_mode():
        return model(torch.tensor(PROMPTS[:1])).logits[0, -1]


def first_token(*arguments: str) -> list[dict[str, float]]:
    command = [sys.executable, str(ROOT / "tests" / "serving" / "engine_without_processors.py"), *arguments]
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=280)
    assert done.returncode == 0, (done.stdout + done.stderr)[-3000:]
    return json.loads(done.stdout.splitlines()[-1])  # type: ignore[no-any-return]


@pytest.mark.parametrize("runner", ["v1", "v2"])
@pytest.mark.parametrize("named", [[], ["named"]], ids=["not-named", "named"])
def test_a_policy_acts_once_where_its_processor_is_loaded(runner: str, named: list[str], scores: torch.Tensor) -> None:
    if named and not INSTALLED:
        pytest.skip("the class alone is tested in test_vllm.py and test_vllm_v2.py")
    temperature = 0.5 if INSTALLED or named else 1.0
    under_policy, without = first_token(runner, *named)
    for found, divisor in [(under_policy, temperature), (without, 1.0)]:
        wanted = torch.log_softmax(scores / divisor, dim=-1)
        for token, log_prob in found.items():
            assert log_prob == pytest.approx(wanted[int(token)].item(), abs=1e-4)


def config(processors: Any) -> Any:
    return SimpleNamespace(speculative_config=None, model_config=SimpleNamespace(logits_processors=processors))


def test_it_stands_aside_where_the_engine_has_the_class_already() -> None:
    from temp_processors.serving.vllm import InstalledTemperaturePolicyLogitsProcessor as Installed
    from temp_processors.serving.vllm import TemperaturePolicyLogitsProcessor as Named

    class Own(Named):
        pass

    name = "temp_processors.vllm:TemperaturePolicyLogitsProcessor"
    for processors, aside in [(None, False), ([], False), (["json:JSONDecoder"], False), ([name], True), ([Own], True)]:
        assert Installed(config(processors), SimpleNamespace()).stands_aside == aside


def test_the_entry_point_of_the_distribution_is_a_class_that_both_loaders_take() -> None:
    tomllib = pytest.importorskip("tomllib", reason="Python 3.10 has none")
    from vllm.v1.sample import logits_processor as v1
    from vllm.v1.worker.gpu.sample.logits_processor import loader as v2

    project = tomllib.loads((ROOT / "scripts" / "temp_processors_vllm" / "pyproject.toml").read_text())["project"]
    target = project["entry-points"]["vllm.logits_processors"][NAME]
    assert v1._load_logitsprocs_by_fqcns([target]) == v2._load_v2_logitsprocs_by_fqcns([target])
