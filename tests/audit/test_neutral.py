"""The table of sampling fields is the one that the installed transformers has."""

from __future__ import annotations

import inspect
import re
from typing import Any

import pytest
import transformers
from transformers import GenerationConfig, GenerationMixin, LlamaForCausalLM
from transformers.generation import logits_process

from temp_processors.audit.audit import audit, plain_sampling_kwargs
from temp_processors.audit.neutral import FIELD_OF_PROCESSOR, SAMPLING_FIELDS, off_values, values_on
from temp_processors.engines.decoding.prefill import draw_kwargs
from tests.models import tiny_llama

ON: dict[str, Any] = {
    "temperature": 0.6,
    "top_h": 0.4,
    "top_k": 5,
    "top_p": 0.9,
    "min_p": 0.1,
    "typical_p": 0.9,
    "epsilon_cutoff": 0.1,
    "eta_cutoff": 0.1,
    "repetition_penalty": 1.3,
    "encoder_repetition_penalty": 1.3,
    "exponential_decay_length_penalty": (3, 1.1),
    "sequence_bias": [[[3], 1.0]],
    "no_repeat_ngram_size": 2,
    "encoder_no_repeat_ngram_size": 2,
    "bad_words_ids": [[4]],
    "min_length": 6,
    "min_new_tokens": 3,
    "forced_bos_token_id": 5,
    "forced_eos_token_id": 6,
    "suppress_tokens": [7],
    "begin_suppress_tokens": [8],
    "guidance_scale": 1.5,
    "watermarking_config": {"greenlist_ratio": 0.25},
    "renormalize_logits": True,
    "remove_invalid_values": True,
}
"""A value that acts, for every field."""


@pytest.fixture
def model() -> LlamaForCausalLM:
    return tiny_llama(eos_token_id=2)


def test_every_field_and_processor_exists() -> None:
    config = GenerationConfig()
    assert all(hasattr(config, name) for name in SAMPLING_FIELDS)
    classes = {**vars(transformers), **vars(logits_process)}
    assert all(name in classes for name in FIELD_OF_PROCESSOR)
    assert set(ON) == set(SAMPLING_FIELDS)


def test_no_field_is_missing() -> None:
    """Each processor that `generate` makes from its configuration is in the table, under the field that is read for it."""
    source = inspect.getsource(GenerationMixin._get_logits_processor)
    made = set(re.findall(r"processors\.append\(\s*(\w+)\(", source)) - {"PrefixConstrainedLogitsProcessor"}
    assert made <= set(FIELD_OF_PROCESSOR)
    read = set(re.findall(r"if (?:\(\s*)?generation_config\.(\w+)", source)) - {"do_sample", "num_beams"}
    assert read <= set(SAMPLING_FIELDS)


@pytest.mark.parametrize("name", SAMPLING_FIELDS)
def test_each_off_value_is_off_and_each_other_value_is_on(name: str) -> None:
    assert not any(values_on({name: value}) for value in SAMPLING_FIELDS[name].off)
    assert values_on({name: ON[name]}) == {name: ON[name]}


def test_top_h_of_1_is_not_off(model: Any) -> None:
    """transformers still keeps no more than the 100 most likely tokens then."""
    assert values_on({"top_h": 1.0}) == {"top_h": 1.0}
    assert "TopHLogitsWarper(top_h=1.0)" in str(audit(model, do_sample=True, top_h=1.0, top_k=0))


def test_all_off_makes_an_empty_stack_whatever_the_checkpoint_says(model: Any) -> None:
    model.generation_config.update(**ON)
    assert audit(model, do_sample=True).stack
    for call in (plain_sampling_kwargs(), {"do_sample": True, "num_beams": 1, **off_values()}, draw_kwargs()):
        assert audit(model, **call).stack == ()


@pytest.mark.parametrize(
    "name", sorted(set(SAMPLING_FIELDS) - {"encoder_repetition_penalty", "encoder_no_repeat_ngram_size"})
)
def test_what_a_checkpoint_sets_is_a_finding(model: Any, name: str) -> None:
    setattr(model.generation_config, name, ON[name])
    arguments = {field: value for field, value in plain_sampling_kwargs().items() if field != name}
    (code,) = audit(model, **arguments).codes
    assert code == f"{SAMPLING_FIELDS[name].effect}-from-checkpoint"


def test_numbers_for_engines_without_none() -> None:
    assert [SAMPLING_FIELDS[name].off_number for name in ("temperature", "top_k", "min_p")] == [1.0, 0, 0.0]
    with pytest.raises(ValueError, match="`suppress_tokens` is switched off by None"):
        _ = SAMPLING_FIELDS["suppress_tokens"].off_number
