"""Every engine keeps the protocol: chosen by one line, described, prepared, drawing with progress for every token."""

from __future__ import annotations

import inspect
import json
from collections.abc import Sequence
from importlib import import_module
from types import SimpleNamespace
from typing import Any, get_args

import pytest
from transformers import GenerationConfig

from temp_processors.addresses import Address
from temp_processors.config.experiment import ExperimentConfig
from temp_processors.engines import vllm_local, vllm_server
from temp_processors.engines.engine import DecodeRow, DrawOptions, Engine, ModelError
from temp_processors.engines.load import ENGINES, load_engine
from temp_processors.engines.local import LocalEngine
from temp_processors.engines.requests import Checkpoint
from temp_processors.engines.server import Server
from temp_processors.engines.vllm_local import VllmEngine
from tests.models import tiny_llama, tiny_tokenizer

POLICY = {"kind": "fixed", "temperature": 0.5}
CONFIG = ExperimentConfig.model_validate({"name": "x", "prompts": ["a"], "policies": [{"name": "one", **POLICY}]})
ROWS = [DecodeRow((5, 6, 7), 0, 1), DecodeRow((8, 9), 0, 2), DecodeRow((8, 9), 0, 3)]
CLASSES = {
    key: getattr(import_module(f"temp_processors.engines.{path.split('.')[0]}"), path.split(".")[1])
    for key, path in ENGINES.items()
}


def test_every_engine_of_a_configuration_has_its_line() -> None:
    names = get_args(ExperimentConfig.model_fields["engine"].annotation)
    assert sorted({engine for engine, _ in ENGINES}) == sorted(names)


@pytest.mark.parametrize("kind", CLASSES.values(), ids=lambda kind: kind.__name__)
def test_the_protocol_is_kept(kind: type) -> None:
    for name, wanted in vars(Engine).items():
        if name.startswith("_"):
            continue
        assert hasattr(kind, name) or name in inspect.signature(kind).parameters, name
        if inspect.isfunction(wanted):
            own = inspect.signature(getattr(kind, name)).parameters
            assert list(own) == list(inspect.signature(wanted).parameters), name


def test_the_shipped_model_is_loaded_by_transformers() -> None:
    assert isinstance(load_engine(CONFIG), LocalEngine)


def test_a_run_on_vllm_has_no_weights_to_trace() -> None:
    engine = VllmEngine(checkpoint(), None)
    assert engine.why_not_traced() == "the weights are inside vLLM"
    with pytest.raises(ModelError, match="engine: the weights are inside vLLM"):
        engine.trace(None, None, 1, top_k=1)  # type: ignore[arg-type]
    assert engine.sampler_stack(CONFIG, engine.prepare(CONFIG))["one"]["stack"][0]["origin"] == "experiment"


def checkpoint() -> Checkpoint:
    return Checkpoint(tiny_tokenizer(), tiny_llama().config, GenerationConfig(eos_token_id=1))


class Stepping:
    """What `LLM.llm_engine` of vLLM does: a token a step for every request; request n ends after n + 2 of them."""

    def __init__(self) -> None:
        self.tokens: dict[str, list[int]] = {}
        self.aborted: list[str] = []

    def add_request(self, name: str, prompt: dict[str, Any], params: Any) -> None:
        self.tokens[name] = []

    def abort_request(self, names: Sequence[str]) -> None:
        self.aborted += names

    def step(self) -> list[Any]:
        outputs = []
        for name, tokens in list(self.tokens.items()):
            tokens.append(10 + len(tokens))
            ended = len(tokens) == int(name) + 2
            text = SimpleNamespace(
                token_ids=list(tokens), cumulative_logprob=-1.0, finish_reason="stop" if ended else None
            )
            outputs.append(SimpleNamespace(request_id=name, finished=ended, outputs=[text]))
            if ended:
                del self.tokens[name]
        return outputs


def on_vllm(monkeypatch: pytest.MonkeyPatch) -> VllmEngine:
    monkeypatch.setattr(vllm_local, "sampling_params", lambda *_: None)
    return VllmEngine(checkpoint(), SimpleNamespace(llm_engine=Stepping()))


def on_transformers(_: pytest.MonkeyPatch) -> LocalEngine:
    return LocalEngine(tiny_llama(), tiny_tokenizer())


def at_a_server(monkeypatch: pytest.MonkeyPatch) -> vllm_server.ServerEngine:
    async def content(*_: Any) -> bytes:
        choice = {"token_ids": [5, 6, 1], "finish_reason": "stop", "logprobs": {"token_logprobs": [-1.0] * 3}}
        return json.dumps({"choices": [choice]}).encode()

    monkeypatch.setattr(Server, "_content", content)
    server = Server(Address.parse("http://x"), CONFIG.engine_options)
    return vllm_server.ServerEngine(checkpoint(), [server], "fox")


@pytest.mark.parametrize("make", [on_transformers, on_vllm, at_a_server])
def test_progress_counts_every_token_before_its_text(make: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    engine, heard, steps = make(monkeypatch), 0, 0

    def hear(tokens: int) -> None:
        nonlocal heard
        heard += tokens

    texts = []
    for text in engine.draw(ROWS, engine.prepare(CONFIG), DrawOptions(6, on_tokens=hear)):
        steps += text.steps
        assert heard >= steps
        texts.append(text)
    assert heard == steps
    assert sorted(text.row for text in texts) == [0, 1, 2]


def test_vllm_moves_the_bar_at_every_step_and_drops_what_nobody_waits_for(monkeypatch: pytest.MonkeyPatch) -> None:
    engine, heard = on_vllm(monkeypatch), []
    texts = engine.draw(ROWS, engine.prepare(CONFIG), DrawOptions(6, on_tokens=heard.append))
    first = next(iter(texts))
    assert (first.row, first.token_ids, first.finish_reason, heard) == (0, [10], "stop", [3, 3])
    texts.close()
    assert engine.llm.llm_engine.aborted == ["1", "2"]
