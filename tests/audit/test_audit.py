"""`audit` names the stack that `generate` applies, where each value comes from, and what is wrong with it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor
from transformers import (
    GenerationConfig,
    LlamaForCausalLM,
    LogitsProcessor,
    LogitsProcessorList,
    TemperatureLogitsWarper,
    TextGenerationPipeline,
    WhisperConfig,
    WhisperForConditionalGeneration,
    pipeline,
)
from transformers.generation import BaseStreamer

from temp_processors import (
    FixedTemperatureLogitsWarper,
    PhaseLogitsWarper,
    QuadraticLogitsWarper,
    SeededSampling,
)
from temp_processors.audit.audit import audit, plain_sampling_kwargs
from temp_processors.fox import FOX_PATH
from temp_processors.trace.recorder import TemperatureTrace
from tests.models import tiny_llama, tiny_t5

PROMPT = torch.tensor([[1, 5, 9]])


class Varying(LogitsProcessor):
    """A policy with a temperature that depends on the step."""

    def temperature(self, input_ids: Tensor, scores: Tensor) -> Tensor:
        return torch.full_like(scores[..., :1], 1.0 + input_ids.shape[-1])

    def __call__(self, input_ids: Tensor, scores: Tensor) -> Tensor:
        return scores / self.temperature(input_ids, scores)


@pytest.fixture
def model() -> LlamaForCausalLM:
    return tiny_llama()


@pytest.fixture
def sharpened(tmp_path: Path) -> LlamaForCausalLM:
    """A checkpoint folder whose generation_config.json says temperature 0.6 and top_k 20."""
    tiny_llama().save_pretrained(tmp_path)
    path = tmp_path / "generation_config.json"
    values = json.loads(path.read_text()) | {"do_sample": True, "temperature": 0.6, "top_k": 20}
    path.write_text(json.dumps(values))
    return LlamaForCausalLM.from_pretrained(tmp_path)


def applied(monkeypatch: pytest.MonkeyPatch, model: Any, **arguments: Any) -> list[str]:
    """Class names of the processors that a real call of generate runs, in order, seen from the list that it calls."""
    seen: list[list[str]] = []
    call = LogitsProcessorList.__call__

    def spy(self: LogitsProcessorList, input_ids: Tensor, scores: Tensor, **kwargs: Any) -> Tensor:
        seen.append([type(processor).__name__ for processor in self])
        return call(self, input_ids, scores, **kwargs)

    monkeypatch.setattr(LogitsProcessorList, "__call__", spy)
    if isinstance(model, TextGenerationPipeline):
        model("Once", max_new_tokens=2, **arguments)
    else:
        model.generate(PROMPT, max_new_tokens=2, **arguments)
    return seen[-1]


def test_checkpoint_values_are_named_with_origin_and_effect(sharpened: LlamaForCausalLM) -> None:
    found = audit(sharpened, processors=[TemperatureLogitsWarper(2.0)])
    assert [(e.name, e.parameters, e.origin) for e in found.stack] == [
        ("TemperatureLogitsWarper", {"temperature": 2.0}, "yours"),
        ("TemperatureLogitsWarper", {"temperature": 0.6}, "checkpoint"),
        ("TopKLogitsWarper", {"top_k": 20}, "checkpoint"),
    ]
    assert found.temperature == pytest.approx(1.2)
    assert found.codes == ("temperatures-multiply", "truncation-from-checkpoint")
    assert "2 (yours) x 0.6 (checkpoint)" in str(found)


def test_effective_temperature_is_the_one_that_generate_applies(sharpened: LlamaForCausalLM) -> None:
    processors = [TemperatureLogitsWarper(2.0)]
    keep = {"output_logits": True, "output_scores": True, "return_dict_in_generate": True}
    out = sharpened.generate(PROMPT, max_new_tokens=1, top_k=0, logits_processor=processors, **keep)
    effective = audit(sharpened, processors=processors, top_k=0).temperature
    assert effective is not None
    torch.testing.assert_close(out.scores[0], out.logits[0] / effective)


def test_config_without_temperature_still_inherits_the_checkpoint(sharpened: LlamaForCausalLM) -> None:
    found = audit(sharpened, GenerationConfig(do_sample=True, top_p=0.9))
    assert [entry.origin for entry in found.stack] == ["checkpoint", "checkpoint", "config"]
    assert found.codes == ("temperature-from-checkpoint", "truncation-from-checkpoint")


def test_the_call_overrides_the_checkpoint(sharpened: LlamaForCausalLM) -> None:
    found = audit(sharpened, temperature=1.0, top_k=7)
    assert [(entry.parameters, entry.origin) for entry in found.stack] == [({"top_k": 7}, "call")]
    assert (found.temperature, found.codes) == (1.0, ())


def test_default_top_k_is_named(model: LlamaForCausalLM) -> None:
    found = audit(model, do_sample=True)
    assert [(e.parameters, e.origin) for e in found.stack] == [({"top_k": 50}, "library default")]
    assert found.codes == ("truncation-by-default",)


@pytest.mark.parametrize("temperature", [2, 0, 0.0, -1.0, float("nan")])
def test_what_generate_refuses_is_a_finding(model: LlamaForCausalLM, temperature: float) -> None:
    found = audit(model, do_sample=True, temperature=temperature)
    assert found.codes == ("generate-refuses",)
    assert "strictly positive float" in found.findings[0].message
    with pytest.raises(ValueError, match="strictly positive float"):
        model.generate(PROMPT, max_new_tokens=1, do_sample=True, temperature=temperature)


def test_infinite_temperature_is_an_error(model: LlamaForCausalLM) -> None:
    assert "temperature-not-finite" in audit(model, do_sample=True, top_k=0, temperature=float("inf")).codes


def test_policies_that_vary_are_described(model: LlamaForCausalLM) -> None:
    found = audit(model, processors=[Varying()], do_sample=True, temperature=0.5, top_k=0)
    assert found.temperature is None
    assert found.effective == "0.5 x Varying (varies)"
    assert found.codes == ("temperatures-multiply",)


def test_greedy_makes_a_policy_pointless_unless_it_draws(model: LlamaForCausalLM) -> None:
    assert audit(model, processors=[Varying()]).codes == ("policy-without-sampling",)
    seeded = audit(model, processors=[Varying(), SeededSampling([1])])
    assert (seeded.codes, seeded.effective) == ((), "Varying (varies)")
    assert "without effect" in audit(model, processors=[Varying()]).effective
    sampled = audit(model, processors=[Varying(), SeededSampling([1])], do_sample=True, top_k=0, top_p=0.9)
    assert sampled.codes == ("after-the-draw",)


@pytest.mark.parametrize(
    ("processor", "codes"),
    [
        (SeededSampling([1]), ("draw-under-beams",)),
        (QuadraticLogitsWarper(0.5), ("policy-under-beams",)),
        (FixedTemperatureLogitsWarper(0.5), ("policy-under-beams",)),
    ],
)
def test_beams(model: LlamaForCausalLM, processor: LogitsProcessor, codes: tuple[str, ...]) -> None:
    found = audit(model, processors=[processor], num_beams=3)
    assert (found.mode, found.codes) == ("beam_search", codes)


def test_renormalised_beams_keep_their_scale(model: LlamaForCausalLM) -> None:
    fixed = FixedTemperatureLogitsWarper(0.5)
    assert audit(model, processors=[fixed], num_beams=3, renormalize_logits=True).codes == ()


@pytest.mark.parametrize("wrap", [lambda policy: policy, TemperatureTrace])
def test_a_fixed_policy_is_a_number(sharpened: LlamaForCausalLM, wrap: Any) -> None:
    found = audit(sharpened, processors=[wrap(FixedTemperatureLogitsWarper(2))])
    assert found.temperature == pytest.approx(1.2)


def test_policies_inside_policies_are_shown(model: LlamaForCausalLM) -> None:
    policy = PhaseLogitsWarper([1], [2], FixedTemperatureLogitsWarper(0.6), FixedTemperatureLogitsWarper(1.1))
    found = audit(model, processors=[policy], **plain_sampling_kwargs())
    assert found.temperature is None
    assert "'value': 0.6" in str(found.stack[0].parameters)
    json.dumps(found.to_dict())


def test_continuous_batching_drops_processors(model: LlamaForCausalLM) -> None:
    found = audit(model, processors=[Varying()], cache_implementation="paged", do_sample=True, top_k=0)
    assert (found.mode, found.stack) == ("continuous_batching", ())
    assert found.codes == ("policy-under-continuous-batching",)


def test_custom_generate_has_no_stack(model: LlamaForCausalLM) -> None:
    with pytest.raises(ValueError, match="custom_generate runs its own decoding code"):
        audit(model, custom_generate="folder")


CALLS: list[dict[str, Any]] = [
    {"do_sample": True},
    {"do_sample": True, "temperature": 0.7, "top_p": 0.9, "min_p": 0.05, "typical_p": 0.9, "eta_cutoff": 0.1},
    {"do_sample": False, "repetition_penalty": 1.2, "no_repeat_ngram_size": 3, "min_new_tokens": 1, "eos_token_id": 2},
    {"do_sample": True, "num_beams": 2, "renormalize_logits": True, "top_k": 5, "epsilon_cutoff": 0.01},
    {"do_sample": True, "suppress_tokens": [3], "bad_words_ids": [[4]], "top_h": 0.5, "top_k": None},
    plain_sampling_kwargs(),
]


@pytest.mark.parametrize("call", CALLS)
def test_the_stack_is_the_one_of_a_real_call(
    monkeypatch: pytest.MonkeyPatch, sharpened: LlamaForCausalLM, call: dict[str, Any]
) -> None:
    processors = [Varying()]
    names = [entry.name for entry in audit(sharpened, processors=processors, **call).stack]
    assert names == applied(monkeypatch, sharpened, logits_processor=processors, **call)


def test_plain_sampling_leaves_only_yours(sharpened: LlamaForCausalLM) -> None:
    sharpened.generation_config.repetition_penalty = 1.3
    found = audit(sharpened, processors=[TemperatureLogitsWarper(0.5)], **plain_sampling_kwargs())
    assert [entry.origin for entry in found.stack] == ["yours"]
    assert (found.temperature, found.codes) == (0.5, ())


def test_audit_is_plain_values(sharpened: LlamaForCausalLM) -> None:
    values = json.loads(json.dumps(audit(sharpened, processors=[TemperatureLogitsWarper(2.0)]).to_dict()))
    assert values["effective_temperature"] == "1.2"
    assert values["stack"][1] == {
        "name": "TemperatureLogitsWarper",
        "parameters": {"temperature": 0.6},
        "origin": "checkpoint",
    }


def test_encoder_decoder(monkeypatch: pytest.MonkeyPatch) -> None:
    model = tiny_t5()
    found = audit(model, do_sample=True, temperature=0.5)
    assert [entry.name for entry in found.stack] == applied(monkeypatch, model, do_sample=True, temperature=0.5)
    assert found.temperature == 0.5


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ((None,), "`model` has to be a model of transformers with `generate`, but is None"),
        (("fox",), "`model` has to be a model of transformers with `generate`, but is 'fox'"),
        (
            (tiny_llama(), None, FixedTemperatureLogitsWarper(2.0)),
            r"`processors` has to be a list, .* but is Fixed.*\(temp",
        ),
        ((tiny_llama(), None, "fox"), "`processors` has to be a list, .* but is 'fox'"),
    ],
)
def test_what_is_no_call_of_generate_is_refused(arguments: tuple[Any, ...], message: str) -> None:
    with pytest.raises(TypeError, match=message):
        audit(*arguments)


@pytest.mark.parametrize("where", ["fox", "stories260k"])
def test_a_pipeline_multiplies_by_its_own_temperature(
    where: str, monkeypatch: pytest.MonkeyPatch, request: pytest.FixtureRequest
) -> None:
    folder = FOX_PATH if where == "fox" else request.getfixturevalue("shared") / "models" / "stories260k"
    write = pipeline("text-generation", model=str(folder))
    processors = [FixedTemperatureLogitsWarper(2.0)]
    found = audit(write.model, processors=processors, do_sample=True, temperature=0.7)
    assert found.temperature == pytest.approx(1.4)
    assert [entry.name for entry in found.stack] == applied(monkeypatch, write, logits_processor=processors)
    mended = applied(monkeypatch, write, logits_processor=processors, **plain_sampling_kwargs())
    assert mended == ["FixedTemperatureLogitsWarper"]


@pytest.mark.parametrize(
    ("call", "codes"),
    [
        ({"temperature": 0.3}, ("temperature-without-sampling",)),
        ({"temperature": 0.3, "num_beams": 3}, ("temperature-without-sampling",)),
        ({"top_p": 0.3, "min_p": 0.1}, ("truncation-without-sampling", "truncation-without-sampling")),
        ({"generation_config": GenerationConfig(temperature=0.3)}, ("temperature-without-sampling",)),
        ({"temperature": 1.0, "top_k": 0}, ()),
        ({"do_sample": True, "temperature": 0.3, "top_k": 0, "num_beams": 3}, ("policy-under-beams",)),
    ],
)
def test_a_temperature_that_nothing_draws_with(
    model: LlamaForCausalLM, call: dict[str, Any], codes: tuple[str, ...]
) -> None:
    assert audit(model, **call).codes == codes


def test_values_of_the_checkpoint_that_greedy_decoding_ignores_are_no_finding(sharpened: LlamaForCausalLM) -> None:
    assert audit(sharpened, do_sample=False).codes == ()


class Heard(BaseStreamer):  # type: ignore[misc]
    """A streamer that remembers what it was given."""

    def __init__(self) -> None:
        self.heard: list[Any] = []

    def put(self, value: Any) -> None:
        self.heard.append(value)

    def end(self) -> None:
        self.heard.append("end")


def test_a_streamer_is_not_used_up(model: LlamaForCausalLM) -> None:
    streamer = Heard()
    assert audit(model, streamer=streamer).mode == "greedy_search"
    assert streamer.heard == []


def test_whisper() -> None:
    sizes: dict[str, Any] = {"vocab_size": 99, "d_model": 16, "num_mel_bins": 8, "max_source_positions": 30}
    layers = dict.fromkeys(("encoder_layers", "decoder_layers"), 1)
    heads = dict.fromkeys(("encoder_attention_heads", "decoder_attention_heads"), 2)
    tokens = {"pad_token_id": 0, "bos_token_id": 1, "eos_token_id": 2, "decoder_start_token_id": 3}
    config = WhisperConfig(**sizes, **layers, **heads, **tokens, max_target_positions=60, suppress_tokens=[5])
    model = WhisperForConditionalGeneration(config).eval()
    model.generation_config.update(no_timestamps_token_id=98, suppress_tokens=[5], begin_suppress_tokens=None)
    found = audit(model, input_features=torch.zeros(1, 8, 60), do_sample=True, temperature=0.5, top_k=0)
    assert [(entry.parameters, entry.origin) for entry in found.stack] == [
        ({"suppress_tokens": [5]}, "checkpoint"),
        ({"temperature": 0.5}, "call"),
    ]
    assert found.codes == ("constraint-from-checkpoint",)
