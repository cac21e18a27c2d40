"""`transformers serve` on a folder that carries the recipe: what a request gets is the text of `generate` under the policy."""

from __future__ import annotations

import json
import os
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
import torch
from transformers import AutoModelForCausalLM, AutoTokenizer

from temp_processors import FOX_PATH, build_policy, plain_sampling_kwargs
from temp_processors.custom_generate.repository import save_with_policy

pytestmark = [pytest.mark.slow, pytest.mark.harnesses, pytest.mark.filterwarnings("default")]
pytest.importorskip("openai", reason="openai, which `transformers serve` needs, is not in this environment")

DYNAMIC = {"kind": "dynamic", "temperature": 0.8, "range": 0.5}
COOLING = {"kind": "scheduled", "shape": "linear", "start": 2.0, "end": 0.1, "steps": 5}
PROMPT = "The quick brown fox"


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    place = tmp_path_factory.mktemp("served") / "fox"
    AutoModelForCausalLM.from_pretrained(FOX_PATH).save_pretrained(place)
    AutoTokenizer.from_pretrained(FOX_PATH).save_pretrained(place)
    save_with_policy(place, DYNAMIC)
    return place


@pytest.fixture(scope="module")
def server(folder: Path) -> Iterator[str]:
    """Its address, once it answers."""
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        port = taken.getsockname()[1]
    command = [str(Path(sys.executable).with_name("transformers")), "serve", str(folder), "--trust-remote-code"]
    where = ["--host", "127.0.0.1", "--port", str(port), "--device", "cpu"]
    process = subprocess.Popen([*command, *where], env={**os.environ, "HF_HUB_OFFLINE": "1"})
    address = f"http://127.0.0.1:{port}"
    try:
        _wait(process, address)
        yield address
    finally:
        process.terminate()
        process.wait(timeout=30)


def _wait(process: subprocess.Popen[bytes], address: str) -> None:
    for _ in range(240):
        assert process.poll() is None, "the server ended"
        try:
            with urllib.request.urlopen(f"{address}/health", timeout=5):
                return
        except OSError:
            time.sleep(0.5)
    pytest.fail("the server does not answer")


def ask(server: str, folder: Path, **fields: Any) -> str:
    body = {"model": str(folder), "prompt": PROMPT, "seed": 3, "max_tokens": 24, **fields}
    request = urllib.request.Request(
        f"{server}/v1/completions", json.dumps(body).encode(), {"Content-Type": "application/json"}
    )
    with urllib.request.urlopen(request, timeout=60) as answer:
        text: str = json.load(answer)["choices"][0]["text"]
    return text


def text_of_generate(policy: dict[str, Any]) -> str:
    tokenizer, model = AutoTokenizer.from_pretrained(FOX_PATH), AutoModelForCausalLM.from_pretrained(FOX_PATH)
    inputs = tokenizer(PROMPT, return_tensors="pt")
    length = inputs["input_ids"].shape[1]
    torch.manual_seed(3)
    processors = [build_policy(policy, prompt_length=length)]
    out = model.generate(**inputs, max_new_tokens=24, logits_processor=processors, **plain_sampling_kwargs())
    text: str = tokenizer.decode(out[0, length:], skip_special_tokens=True)
    return text


def test_a_request_gets_the_text_of_the_policy(server: str, folder: Path) -> None:
    assert ask(server, folder) == text_of_generate(DYNAMIC)


def test_a_request_may_name_another_policy(server: str, folder: Path) -> None:
    settings = {"temperature_policy": COOLING, "eos_token_id": 2, "pad_token_id": 0}
    assert ask(server, folder, generation_config=json.dumps(settings)) == text_of_generate(COOLING)


@pytest.mark.parametrize("temperature", [0.5, 0])
def test_a_temperature_in_the_request_is_an_error(server: str, folder: Path, temperature: float) -> None:
    with pytest.raises(urllib.error.HTTPError) as refused:
        ask(server, folder, temperature=temperature)
    with refused.value as answer:
        assert answer.code >= 400
