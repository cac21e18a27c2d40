"""Private names of torch and transformers: each is there, stands in one file, and can be gone."""

from __future__ import annotations

import ast
from typing import Any

import pytest
import torch
from transformers import GenerationMixin, PreTrainedModel

from temp_processors.config.experiment import ExperimentConfig
from temp_processors.engines.decoding import transformers_seam
from temp_processors.engines.decoding.decode import decode
from temp_processors.engines.decoding.prefill import prefill
from temp_processors.engines.decoding.shared_prefix import sharing_view
from temp_processors.engines.engine import DecodeRow
from temp_processors.engines.local import LocalEngine
from temp_processors.explore.live import stream
from temp_processors.policies.fixed import FixedTemperatureLogitsWarper
from tests.models import tiny_llama, tiny_tokenizer
from tests.paths import ROOT

LONG = tuple(5 + place % 60 for place in range(80))
POLICIES = [lambda _: FixedTemperatureLogitsWarper(0.8), lambda _: FixedTemperatureLogitsWarper(1.6)]
OWN, OF_NAMED_TUPLES = {"self", "cls", "super()"}, {"_replace", "_asdict"}
ROWS = [DecodeRow(LONG, seed % 2, seed) for seed in range(32)]


@pytest.fixture(autouse=True)
def nothing_said() -> None:
    transformers_seam.say_once.cache_clear()


def said_by_us(caplog: pytest.LogCaptureFixture) -> list[str]:
    return [record.message for record in caplog.records if record.name.startswith("temp_processors")]


def drawn(model: Any) -> list[tuple[Any, ...]]:
    texts = decode(model, ROWS, POLICIES, max_new_tokens=5, eos_token_ids=[96], pad_token_id=0)
    return sorted((text.row, tuple(text.token_ids), text.finish_reason) for text in texts)


def test_every_private_name_is_there() -> None:
    """Where one of these fails, a release has renamed it, and the feature named beside it is lost."""
    assert hasattr(GenerationMixin, transformers_seam.UPDATE), "batches that share a prefill; the cache of the explorer"
    assert hasattr(PreTrainedModel, transformers_seam.STATEFUL), "batches that share a prefill"
    assert hasattr(tiny_llama().config, transformers_seam.ATTENTION), "prompts kept once for their rows"
    assert hasattr(torch.ops.aten, transformers_seam.FLASH), "prompts kept once for their rows; continuous batching"
    for name in (transformers_seam.PACK, transformers_seam.PACKED):
        assert hasattr(torch.ops.mkldnn, name), "linear layers laid out once; rows with the same bits in any batch"


@pytest.mark.parametrize("room", ["engines", "experiment", "explore"])
def test_no_other_file_uses_a_private_name_of_another_package(room: str) -> None:
    uses = []
    for path in sorted((ROOT / "temp_processors" / room).rglob("*.py")):
        tree = ast.parse(path.read_text(encoding="utf-8"))
        for node in (node for node in ast.walk(tree) if isinstance(node, ast.Attribute)):
            private = node.attr.startswith("_") and not node.attr.endswith("__")
            if private and node.attr not in OF_NAMED_TUPLES and ast.unparse(node.value) not in OWN:
                uses.append(f"{path.name}: {ast.unparse(node)}")
    assert uses == []


@pytest.mark.parametrize("name", [transformers_seam.UPDATE, transformers_seam.STATEFUL])
def test_without_it_rows_go_through_plain_generate(
    name: str, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    model = tiny_llama().double()
    wanted = drawn(model)
    monkeypatch.setattr(transformers_seam, name_of(name), "_renamed_by_a_release")
    assert drawn(model) == wanted
    assert drawn(model) == wanted
    said = said_by_us(caplog)
    why = "this transformers has no _renamed_by_a_release"
    assert said == [f"LlamaForCausalLM: rows go through plain generate(), which is slower ({why})"]


@pytest.mark.parametrize("name", [transformers_seam.ATTENTION, transformers_seam.FLASH])
def test_without_it_prompts_are_not_shared(
    name: str, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    model = tiny_llama().double()
    start = prefill(model, [LONG], max_new_tokens=4, pad_token_id=0)
    assert sharing_view(model, start, torch.zeros(32, dtype=torch.long)) is not None
    wanted = drawn(model)
    monkeypatch.setattr(transformers_seam, name_of(name), "_renamed_by_a_release")
    assert drawn(model) == wanted
    assert drawn(model) == wanted
    said = said_by_us(caplog)
    lost = "every row keeps its own copy of its prompt's keys and values"
    assert said == [f"this torch or transformers has no _renamed_by_a_release: {lost}"]


def test_without_it_the_explorer_streams_the_same_texts(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    engine = LocalEngine(tiny_llama().double(), tiny_tokenizer())
    policies = [{"name": "A", "kind": "fixed", "temperature": 0.9}]
    fields = {"name": "x", "prompts": ["The fox"], "policies": policies, "max_new_tokens": 6, "samples_per_prompt": 1}
    config = ExperimentConfig.model_validate(fields)

    def streamed() -> list[int]:
        *_, texts = stream(engine, config)
        return [token.token_id for token in texts[0].tokens]

    wanted = streamed()
    monkeypatch.setattr(transformers_seam, "UPDATE", "_renamed_by_a_release")
    assert streamed() == wanted
    assert said_by_us(caplog) == [
        "this torch or transformers has no _renamed_by_a_release: every step reads the whole text again"
    ]


def name_of(value: str) -> str:
    """The constant of the seam that holds this private name."""
    return next(name for name, held in vars(transformers_seam).items() if held == value)
