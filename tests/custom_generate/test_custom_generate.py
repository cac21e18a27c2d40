"""The recipe folder, loaded by `generate(custom_generate=..., trust_remote_code=True, temperature_policy=...)`."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor
from transformers import GenerationConfig, LlamaForCausalLM

from temp_processors import SeededSampling, build_policy
from temp_processors.audit.audit import plain_sampling_kwargs
from temp_processors.custom_generate import custom_generate_path, generate_with_policy, row_seeds
from temp_processors.policies.monte_carlo import temperature_of
from tests.models import tiny_llama, tiny_t5

pytestmark = pytest.mark.usefixtures("installed")

PROMPTS = torch.tensor([[1, 5, 9], [1, 8, 4]])
DYNAMIC = {"kind": "dynamic", "temperature": 0.8, "range": 0.5}
COOLING = {"kind": "scheduled", "shape": "linear", "start": 2.0, "end": 0.1, "steps": 5}


@pytest.fixture
def model() -> LlamaForCausalLM:
    """A random model whose generation config sharpens and truncates."""
    model = tiny_llama()
    model.generation_config.update(do_sample=True, temperature=0.6, top_k=5, pad_token_id=0)
    return model


def by_recipe(model: Any, policy: Any, **arguments: Any) -> Tensor:
    torch.manual_seed(3)
    arguments = {"inputs": PROMPTS, "max_new_tokens": 8, **arguments}
    recipe = {"custom_generate": custom_generate_path(), "trust_remote_code": True}
    out: Tensor = model.generate(temperature_policy=policy, **recipe, **arguments)
    return out


@pytest.mark.parametrize("policy", [DYNAMIC, COOLING, {"kind": "fixed", "temperature": [0.3, 3.0]}])
def test_the_recipe_is_the_policy_alone(model: Any, policy: dict[str, Any]) -> None:
    texts = by_recipe(model, policy)
    torch.manual_seed(3)
    processors = [build_policy(policy, prompt_length=3)]
    arguments = plain_sampling_kwargs()
    assert torch.equal(texts, model.generate(PROMPTS, max_new_tokens=8, logits_processor=processors, **arguments))
    torch.manual_seed(3)
    assert not torch.equal(texts, model.generate(PROMPTS, max_new_tokens=8, logits_processor=processors))


def test_seeds_draw_each_row_alone(model: Any) -> None:
    both = by_recipe(model, DYNAMIC, seeds=[7, 8])
    assert torch.equal(both[1:], by_recipe(model, DYNAMIC, inputs=PROMPTS[1:], seeds=[8]))
    processors = [build_policy(DYNAMIC), SeededSampling([7, 8], prompt_length=3)]
    plain = {**plain_sampling_kwargs(), "do_sample": False}
    assert torch.equal(both, model.generate(PROMPTS, max_new_tokens=8, logits_processor=processors, **plain))


def test_what_the_checkpoint_says_and_what_is_drawn_from_the_seeds(model: Any) -> None:
    torch.manual_seed(3)
    plain = model.generate(inputs=PROMPTS, max_new_tokens=8)
    assert torch.equal(by_recipe(model, {"kind": "checkpoint"}), plain)
    drawn = {"kind": "monte_carlo", "low": 0.3, "high": 3.0}
    fixed = {"kind": "fixed", "temperature": [temperature_of(0.3, 3.0, seed) for seed in (7, 8)]}
    assert torch.equal(by_recipe(model, drawn, seeds=[7, 8]), by_recipe(model, fixed, seeds=[7, 8]))
    with pytest.raises(ValueError, match="`seeds` have to be given"):
        by_recipe(model, drawn)


def test_what_the_call_names_stays_on(model: Any) -> None:
    hot = {"kind": "fixed", "temperature": 50.0}
    greedy = model.generate(PROMPTS, max_new_tokens=8, do_sample=False)
    assert torch.equal(by_recipe(model, hot, top_k=1), greedy)
    config = GenerationConfig(top_k=1, max_new_tokens=8)
    assert torch.equal(by_recipe(model, hot, generation_config=config, max_new_tokens=8), greedy)
    assert not torch.equal(by_recipe(model, hot), greedy)


def test_beams_and_dictionaries(model: Any) -> None:
    out = by_recipe(model, DYNAMIC, num_beams=2, do_sample=False, return_dict_in_generate=True)
    assert out.sequences.shape == (2, 11)


def test_an_encoder_decoder_starts_at_step_zero() -> None:
    model = tiny_t5()
    texts = by_recipe(model, COOLING, min_new_tokens=8, seeds=[1, 2])
    processors = [build_policy(COOLING, prompt_length=1), SeededSampling([1, 2], prompt_length=1)]
    plain = {**plain_sampling_kwargs(), "do_sample": False, "min_new_tokens": 8}
    assert torch.equal(texts, model.generate(PROMPTS, max_new_tokens=8, logits_processor=processors, **plain))
    with pytest.raises(ValueError, match="`prompt_length` has to be given"):
        by_recipe(model, COOLING, decoder_input_ids=torch.zeros(2, 1, dtype=torch.long))


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"temperature": 0.5}, "temperature=0.5 would multiply with `temperature_policy`"),
        ({"generation_config": GenerationConfig(temperature=0.5)}, "temperature=0.5 would multiply"),
        ({"cache_implementation": "paged"}, "continuous batching drops processors"),
        ({"num_beams": 2, "seeds": [1, 2]}, "num_beams=2 compares several"),
        ({"do_sample": False}, "do_sample=False takes the most probable token"),
        ({"do_sample": False, "seeds": 7}, "do_sample=False takes the most probable token"),
        ({"generation_config": GenerationConfig(do_sample=False)}, "do_sample=False takes the most probable token"),
    ],
)
def test_contradictions_are_refused(model: Any, arguments: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        generate_with_policy(model, DYNAMIC, inputs=PROMPTS, **arguments)


def test_the_policy_has_to_be_given(model: Any) -> None:
    with pytest.raises(ValueError, match="needs temperature_policy="):
        by_recipe(model, None)


def test_code_is_not_run_untrusted(model: Any) -> None:
    with pytest.raises(ValueError, match="trust_remote_code=True"):
        model.generate(PROMPTS, custom_generate=custom_generate_path(), trust_remote_code=False)


def test_the_folder_is_ready_to_push() -> None:
    folder = Path(custom_generate_path())
    card = (folder / "README.md").read_text()
    assert "- custom_generate\n" in card.split("---")[1]
    assert (folder / "custom_generate" / "requirements.txt").read_text() == "temp-processors>=0.1.0\n"


PAD = 0
LEFT = {"inputs": torch.tensor([[PAD, 1, 5, 9], [7, 1, 8, 4]]), "attention_mask": torch.tensor([[0, 1, 1, 1], [1] * 4])}


@pytest.mark.parametrize("policy", [DYNAMIC, COOLING, {"kind": "monte_carlo", "low": 0.3, "high": 3.0}])
def test_with_one_seed_a_text_does_not_depend_on_its_batch(model: Any, policy: dict[str, Any]) -> None:
    alone = [by_recipe(model, policy, inputs=ids, seeds=7)[0, -8:] for ids in (PROMPTS[:1], LEFT["inputs"][1:])]
    both = by_recipe(model, policy, seeds=7, **LEFT)
    assert torch.equal(both[:, -8:], torch.stack(alone))
    without_mask = by_recipe(model, policy, seeds=7, inputs=LEFT["inputs"])
    assert torch.equal(without_mask, both)
    assert torch.equal(by_recipe(model, policy, inputs=PROMPTS.flip(0), seeds=7)[1, 3:], alone[0])
    seeds = row_seeds(7, LEFT["inputs"], LEFT["attention_mask"])
    assert torch.equal(by_recipe(model, policy, seeds=seeds, **LEFT), both)


def test_rows_of_one_prompt_have_seeds_of_their_own(model: Any) -> None:
    four = by_recipe(model, DYNAMIC, seeds=7, num_return_sequences=2)
    assert torch.equal(four[:2], by_recipe(model, DYNAMIC, inputs=PROMPTS[:1].repeat(2, 1), seeds=7))
    assert len(set(map(tuple, four.tolist()))) == 4
    assert not torch.equal(by_recipe(model, DYNAMIC, seeds=8), by_recipe(model, DYNAMIC, seeds=7))


def test_one_seed_for_embeddings_and_for_no_prompt(model: Any) -> None:
    embedded = model.get_input_embeddings()(PROMPTS)
    both = by_recipe(model, DYNAMIC, inputs=None, inputs_embeds=embedded, seeds=7)
    assert torch.equal(both[1:], by_recipe(model, DYNAMIC, inputs=None, inputs_embeds=embedded[1:], seeds=7))
    none = by_recipe(model, DYNAMIC, inputs=None, bos_token_id=1, seeds=7)
    assert torch.equal(none, by_recipe(model, DYNAMIC, inputs=None, bos_token_id=1, seeds=row_seeds(7, None)))


def test_the_policy_of_a_generation_config(model: Any) -> None:
    wanted = by_recipe(model, COOLING)
    model.generation_config.temperature_policy = COOLING
    assert torch.equal(by_recipe(model, None), wanted)
    named = GenerationConfig(temperature_policy=DYNAMIC, max_new_tokens=8)
    assert not torch.equal(by_recipe(model, None, generation_config=named), wanted)


def test_a_model_whose_generate_is_the_recipe_does_not_call_itself(model: Any) -> None:
    """As `from_pretrained` leaves a repository that has the recipe: the object's `generate` is bound to it."""
    wanted = by_recipe(model, DYNAMIC)
    model.generate = partial(generate_with_policy, model)
    torch.manual_seed(3)
    assert torch.equal(model.generate(DYNAMIC, inputs=PROMPTS, max_new_tokens=8), wanted)


POWER = {"kind": "power", "alpha": 2.0, "particles": 4}


def test_power_draws_whole_texts_from_their_seeds(model: Any) -> None:
    padded = {"inputs": torch.tensor([[0, 5, 9], [1, 8, 4]]), "attention_mask": torch.tensor([[0, 1, 1], [1, 1, 1]])}
    texts = by_recipe(model, POWER, seeds=7, num_return_sequences=2, **padded)
    assert texts.shape == (4, 11)
    assert texts[:, :3].tolist() == [[0, 5, 9], [0, 5, 9], [1, 8, 4], [1, 8, 4]]
    alone = by_recipe(model, POWER, seeds=7, inputs=PROMPTS[1:], num_return_sequences=2)
    assert torch.equal(alone, texts[2:])
    listed = by_recipe(model, POWER, seeds=row_seeds(7, PROMPTS[1:], repeats=2)[1:], inputs=PROMPTS[1:])
    assert torch.equal(listed, texts[3:])
    torch.manual_seed(3)
    assert by_recipe(model, POWER).shape == (2, 11)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"max_new_tokens": None}, "needs `max_new_tokens`"),
        ({"top_k": 5}, "takes no `top_k`"),
        ({"seeds": [1]}, "one whole number per row, 2, but holds 1"),
        ({"temperature": 0.5}, "would multiply"),
    ],
)
def test_power_refuses_what_it_does_not_take(model: Any, arguments: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        by_recipe(model, POWER, **arguments)
