"""`engine: openai` at a real server, llama-cpp-python's, and the benchmark beside it; needs `scripts/setup_engine.sh llama_cpp`."""

from __future__ import annotations

import json
import math
import re
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from temp_processors.config.experiment import ExperimentConfig
from temp_processors.config.sections import ModelSpec
from temp_processors.engines.sources import find_model
from temp_processors.experiment.run import run_experiment
from temp_processors.runs.folder import Run
from temp_processors.runs.sample import Sample
from tests.engines.gguf_files import write_gguf
from tests.script_output import output_of

pytestmark = pytest.mark.llama_cpp
pytest.importorskip("llama_cpp")

POLICIES = [
    {"name": "greedy", "kind": "fixed", "temperature": 0.0},
    {"name": "cold", "kind": "fixed", "temperature": 0.1},
    {"name": "hot", "kind": "fixed", "temperature": 1.5},
]
SECONDS = 120.0


@pytest.fixture(scope="module")
def address(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    found = find_model(ModelSpec(name="smollm2"))
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    command = [
        "--model",
        f"{found.name}/{found.gguf_file}",
        "--model_alias",
        "smollm2",
        "--n_ctx",
        "256",
        "--n_threads",
        "1",
    ]
    options = ["--host", "127.0.0.1", "--port", str(port), "--logits_all", "true", "--verbose", "false"]
    log = (tmp_path_factory.mktemp("server") / "log").open("wb")
    server = subprocess.Popen([sys.executable, "-m", "llama_cpp.server", *command, *options], stdout=log, stderr=log)
    try:
        wait(f"http://127.0.0.1:{port}/v1/models", server)
        yield f"http://127.0.0.1:{port}/v1"
    finally:
        server.terminate()
        server.wait(30)
        log.close()


def wait(url: str, server: subprocess.Popen[bytes]) -> None:
    end = time.monotonic() + SECONDS
    while time.monotonic() < end:
        assert server.poll() is None, "the server ended by itself"
        try:
            with urllib.request.urlopen(url, timeout=5):
                return
        except OSError:
            time.sleep(0.2)
    pytest.fail(f"the server did not answer within {SECONDS:g} s")


def drawn(
    address: str, folder: Path, policies: list[dict[str, Any]], **options: Any
) -> tuple[list[Sample], list[dict[str, Any]]]:
    """The samples, and what was found out about the server."""
    config = {
        "name": "served", "model": "smollm2", "prompts": ["The quick brown fox"], "samples_per_prompt": 4, "max_new_tokens": 12,
        "policies": policies, "metrics": ["distinct_2", "perplexity"], "engine": "openai", "base_url": address, "out": str(folder),
        "engine_options": {"concurrency": 2, "retries": 1, **options},
    }  # fmt: skip
    run = run_experiment(ExperimentConfig.model_validate(config))
    stack = json.loads((folder / "stack.json").read_text())["policies"]
    findings = stack[policies[-1]["name"]]["findings"]
    return sorted(Run(run.path).samples, key=lambda sample: sample.key), findings


def test_temperatures_seeds_and_log_probabilities(address: str, tmp_path: Path) -> None:
    samples, findings = drawn(address, tmp_path / "run", POLICIES, server="openai")
    assert [finding["severity"] for finding in findings if finding["severity"] == "warning"] == []
    of = {name: [sample for sample in samples if sample.policy == name] for name in ("greedy", "cold", "hot")}
    assert len({sample.text for sample in of["greedy"]}) == 1
    assert len({sample.text for sample in of["hot"]}) == 4
    assert all(sample.log_prob is not None and sample.tokens for sample in samples)
    mean = {name: sum(s.log_prob or 0.0 for s in own) / sum(s.tokens or 0 for s in own) for name, own in of.items()}
    assert mean["hot"] < mean["cold"] - 1
    perplexity = json.loads((tmp_path / "run" / "metrics.json").read_text())["policies"]["hot"]["perplexity"]["value"]
    assert perplexity == pytest.approx(math.exp(-mean["hot"]))
    again, _ = drawn(address, tmp_path / "again", POLICIES, server="openai")
    assert [sample.text for sample in again] == [sample.text for sample in samples]


def test_what_this_server_does_not_know_is_said(address: str, tmp_path: Path) -> None:
    """It takes some fields of llama.cpp, and neither its order of samplers nor its dynamic temperature."""
    policies = [
        {"name": "cut", "kind": "chain", "steps": [{"kind": "top_k", "top_k": 20}, {"kind": "min_p", "min_p": 0.05}, POLICIES[2] | {}]},
        {"name": "dynamic", "kind": "dynamic", "temperature": 1.0, "range": 0.5},
    ]  # fmt: skip
    policies[0]["steps"][2].pop("name")
    _, findings = drawn(address, tmp_path / "run", policies, server="llama.cpp")
    told = [finding["message"].partition(":")[0] for finding in findings if finding["severity"] == "warning"]
    assert told == ["dynatemp_range and dynatemp_exponent", "samplers"]


def test_chats(address: str, tmp_path: Path) -> None:
    samples, _ = drawn(address, tmp_path / "run", POLICIES[2:], endpoint="chat")
    assert len({sample.text for sample in samples}) == 4


def test_benchmark_draws_in_llama_cpp(tmp_path: Path) -> None:
    """Both sides of `benchmark_engines.py --llama`: one text after the other, and sequences of one context with fewer places than texts."""
    model = write_gguf(tmp_path / "tiny.gguf")
    arguments = ("--rounds", "1", "--llama", sys.executable, "--llama-rows", "8")
    printed = output_of("benchmark_engines.py", "--model", str(model), *arguments)
    drawn = re.findall(r"^round 1: llama.cpp, (one by one|8 at once) +(\d+) tokens", printed, re.M)
    assert len(drawn) == 2
    assert all(128 <= int(tokens) <= 128 * 64 for _, tokens in drawn)
