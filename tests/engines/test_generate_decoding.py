"""Policies inside generate(): beams, return sequences, padding, speculation, encoder-decoders, pipelines, rows."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import torch
from tokenizers import Tokenizer, models
from transformers import (
    LogitsProcessor,
    PreTrainedModel,
    PreTrainedTokenizerFast,
    pipeline,
)

from temp_processors import (
    DynamicTemperatureLogitsWarper,
    EDTLogitsWarper,
    FixedTemperatureLogitsWarper,
    PolicyLogitsWarper,
    RowsLogitsWarper,
    ScheduledTemperatureLogitsWarper,
    SeededSampling,
    build_policy,
)
from tests.models import VOCABULARY, tiny_llama, tiny_t5

PROMPT = torch.tensor([[5, 6, 7, 8], [9, 10, 11, 12]])
NEW = 10
PLAIN: dict[str, Any] = {"top_k": 0, "top_p": 1.0, "temperature": 1.0, "pad_token_id": 0, "max_new_tokens": NEW}


@pytest.fixture(scope="module")
def model() -> PreTrainedModel:
    return tiny_llama()


def sampled(model: PreTrainedModel, processors: list[LogitsProcessor], prompt: torch.Tensor = PROMPT, **more: Any):
    torch.manual_seed(1)
    return model.generate(prompt, do_sample=True, logits_processor=processors, **{**PLAIN, **more})


def schedule(prompt_length: int = 4) -> PolicyLogitsWarper:
    return ScheduledTemperatureLogitsWarper("linear", 2.0, 0.2, 6, prompt_length=prompt_length)


@pytest.mark.parametrize("temperature", [0.3, 0.8, 1.0, 1.7])
def test_the_tokens_of_generates_own_temperature(model: PreTrainedModel, temperature: float) -> None:
    ours = sampled(model, [FixedTemperatureLogitsWarper(temperature)])
    assert torch.equal(ours, sampled(model, [], temperature=temperature))
    assert torch.equal(sampled(model, [FixedTemperatureLogitsWarper([temperature] * 2)]), ours)


def test_zero_is_greedy_decoding(model: PreTrainedModel) -> None:
    greedy = model.generate(PROMPT, do_sample=False, pad_token_id=0, max_new_tokens=NEW)
    assert torch.equal(sampled(model, [FixedTemperatureLogitsWarper(0)]), greedy)


@pytest.mark.parametrize("temperature", [0.5, 1.5])
def test_beams_get_the_scores_of_generates_own_temperature(model: PreTrainedModel, temperature: float) -> None:
    ours = sampled(model, [FixedTemperatureLogitsWarper(temperature)], num_beams=3)
    assert torch.equal(ours, sampled(model, [], num_beams=3, temperature=temperature))


@pytest.mark.parametrize("sample", [False, True])
def test_beam_search_runs_every_family(model: PreTrainedModel, sample: bool) -> None:
    for policy in (schedule(), DynamicTemperatureLogitsWarper(1.0, 0.5), EDTLogitsWarper(1.0, 0.5)):
        torch.manual_seed(0)
        more = {**PLAIN, "num_beams": 3, "num_return_sequences": 2, "do_sample": sample}
        first = model.generate(PROMPT, logits_processor=[policy], **more)
        torch.manual_seed(0)
        again = model.generate(PROMPT[:1], logits_processor=[policy], **more)
        assert first.shape[0] == 4
        if not sample:
            assert torch.equal(first[:2], again)


def test_return_sequences_take_one_temperature_each(model: PreTrainedModel) -> None:
    ladder = FixedTemperatureLogitsWarper([0, 1.0, 0, 1.0])
    texts = sampled(model, [ladder], num_return_sequences=2)
    greedy = model.generate(PROMPT, do_sample=False, pad_token_id=0, max_new_tokens=NEW)
    assert torch.equal(texts[[0, 2]], greedy)
    with pytest.raises(ValueError, match="`temperature` has 4 values, but the batch has 6 rows"):
        sampled(model, [ladder], num_return_sequences=3)


def test_left_padding_moves_nothing(model: PreTrainedModel) -> None:
    seeds = [11, 12]
    padded = torch.tensor([[5, 6, 7, 8], [0, 0, 9, 10]])
    mask = (padded != 0).long()
    drawn = model.generate(
        padded,
        attention_mask=mask,
        do_sample=False,
        logits_processor=[schedule(), SeededSampling(seeds, prompt_length=4)],
        **PLAIN,
    )
    alone = model.generate(
        padded[1:, 2:],
        do_sample=False,
        logits_processor=[schedule(2), SeededSampling(seeds[1:], prompt_length=2)],
        **PLAIN,
    )
    assert torch.equal(drawn[1, 4:], alone[0, 2:])


@pytest.mark.parametrize("make", [schedule, lambda: EDTLogitsWarper(1.0, 0.5)], ids=["schedule", "edt"])
def test_prompt_lookup_and_assisted_decoding_keep_greedy_tokens(
    model: PreTrainedModel, make: Callable[[], PolicyLogitsWarper]
) -> None:
    prompt = torch.tensor([[5, 6, 7, 5, 6, 7, 5, 6]])
    policy = make().with_prompt_length(8)
    more = {**PLAIN, "do_sample": False, "logits_processor": [policy]}
    plain = model.generate(prompt, **more)
    assert torch.equal(model.generate(prompt, prompt_lookup_num_tokens=3, **more), plain)
    assert torch.equal(model.generate(prompt, assistant_model=tiny_llama(5), **more), plain)


def test_seeded_draws_survive_prompt_lookup(model: PreTrainedModel) -> None:
    """The drawn tokens are what greedy decoding verifies, so speculation changes the speed and not the text."""
    prompt = torch.tensor([[5, 6, 7, 5, 6, 7, 5, 6]])
    more = {**PLAIN, "do_sample": False, "logits_processor": [schedule(8), SeededSampling([3], prompt_length=8)]}
    assert torch.equal(model.generate(prompt, prompt_lookup_num_tokens=3, **more), model.generate(prompt, **more))


def test_input_embeddings_start_at_step_zero(model: PreTrainedModel) -> None:
    embedded = model.get_input_embeddings()(PROMPT)
    more = {**PLAIN, "do_sample": False}
    ids = model.generate(PROMPT, logits_processor=[schedule(4), SeededSampling([1, 2], prompt_length=4)], **more)
    new = model.generate(inputs_embeds=embedded, logits_processor=[schedule(0), SeededSampling([1, 2])], **more)
    assert torch.equal(new, ids[:, 4:])


def test_an_encoder_decoder() -> None:
    t5 = tiny_t5()
    more = {**PLAIN, "eos_token_id": None}
    assert torch.equal(
        sampled(t5, [FixedTemperatureLogitsWarper(0.7)], **more), sampled(t5, [], **{**more, "temperature": 0.7})
    )
    cooled = ScheduledTemperatureLogitsWarper("piecewise", points=[(0, 1.0), (3, 0.0)], prompt_length=1)
    seeded = {**more, "do_sample": False}
    drawn = t5.generate(PROMPT, logits_processor=[cooled, SeededSampling([1, 2], prompt_length=1)], **seeded)
    other = t5.generate(PROMPT, logits_processor=[cooled, SeededSampling([1, 9], prompt_length=1)], **seeded)
    assert torch.equal(drawn[0], other[0])
    beams = t5.generate(PROMPT, logits_processor=[cooled], num_beams=2, **seeded)
    assert beams.shape == (2, NEW + 1)


def test_a_pipeline(model: PreTrainedModel) -> None:
    inner = Tokenizer(models.WordLevel({f"w{i}": i for i in range(VOCABULARY)}, unk_token="w3"))
    tokenizer = PreTrainedTokenizerFast(tokenizer_object=inner, unk_token="w3", pad_token="w0")
    write = pipeline("text-generation", model=model, tokenizer=tokenizer)
    cold = write("w5", do_sample=True, logits_processor=[FixedTemperatureLogitsWarper(0)], **PLAIN)
    assert cold == write("w5", do_sample=False, **PLAIN)
    assert cold != write("w5", do_sample=True, logits_processor=[FixedTemperatureLogitsWarper(9)], **PLAIN)


EIGHT = [
    {"kind": "fixed", "temperature": 0.7},
    {"kind": "scheduled", "shape": "cosine", "start": 2.0, "end": 0.3, "steps": 6},
    {"kind": "dynamic", "temperature": 1.0, "range": 0.8},
    {"kind": "edt", "temperature": 1.3, "theta": 0.4},
    {"kind": "quadratic", "factor": 0.4},
    {"kind": "top_p_decay", "top_p": 0.9, "decay": 0.8},
    {"kind": "entropy_target", "entropy": 1.5},
    {"kind": "truncate_then_temper", "top_k": 9, "policy": {"kind": "annealed", "decay": 8}},
]


@pytest.mark.parametrize("seeded", [False, True], ids=["greedy", "seeded"])
def test_eight_policies_in_one_batch_are_each_alone(model: PreTrainedModel, seeded: bool) -> None:
    prompt = torch.randint(2, VOCABULARY, (8, 4), generator=torch.Generator().manual_seed(3))
    policies = [build_policy(config, prompt_length=4) for config in EIGHT]

    def tokens(rows: slice) -> torch.Tensor:
        processors: list[LogitsProcessor] = [RowsLogitsWarper(policies[rows])]
        if seeded:
            processors.append(SeededSampling(range(8)[rows], prompt_length=4))
        return model.generate(prompt[rows], do_sample=False, logits_processor=processors, **PLAIN)

    together = tokens(slice(0, 8))
    assert torch.equal(together, torch.cat([tokens(slice(row, row + 1)) for row in range(8)]))
    assert len({tuple(row) for row in together[:, 4:].tolist()}) == 8


def test_finished_rows_go_on_without_harm(model: PreTrainedModel) -> None:
    first = sampled(model, [schedule()])
    stop = int(first[0, 6])
    done = model.generate(
        PROMPT,
        do_sample=False,
        logits_processor=[schedule(), SeededSampling([1, 2], prompt_length=4)],
        eos_token_id=stop,
        **PLAIN,
    )
    assert done.shape[0] == 2
