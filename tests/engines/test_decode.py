"""Rows decoded together are the rows that generate() gives one by one."""

import math

import pytest
import torch
from transformers import (
    GPT2Config,
    GPT2LMHeadModel,
    LlamaConfig,
    LlamaForCausalLM,
    LogitsProcessor,
    MambaConfig,
    MambaForCausalLM,
    MistralConfig,
    MistralForCausalLM,
    T5Config,
    T5ForConditionalGeneration,
)

from temp_processors.engines.decoding import decode as decoding
from temp_processors.engines.decoding.batches import plan_batches, rectangle
from temp_processors.engines.decoding.by_generate import decode_with_generate
from temp_processors.engines.decoding.decode import decode
from temp_processors.engines.engine import DecodeRow
from temp_processors.policies.block_start import BlockStartLogitsWarper
from temp_processors.policies.fixed import FixedTemperatureLogitsWarper
from temp_processors.sampling import SeededSampling

VOCAB, PAD = 61, 0
EOS = [1, 2, 3, 4]
PROMPTS = [(5, 6, 7), (9, 8, 7, 6, 5), (11,)]


def llama():
    sizes = {"hidden_size": 32, "intermediate_size": 48, "num_hidden_layers": 2, "num_attention_heads": 4}
    return LlamaForCausalLM(LlamaConfig(vocab_size=VOCAB, num_key_value_heads=2, **sizes))


def mistral():
    sizes = {"hidden_size": 32, "intermediate_size": 48, "num_hidden_layers": 2, "num_attention_heads": 4}
    return MistralForCausalLM(MistralConfig(vocab_size=VOCAB, num_key_value_heads=2, sliding_window=4, **sizes))


def gpt2():
    return GPT2LMHeadModel(GPT2Config(vocab_size=VOCAB, n_embd=32, n_layer=2, n_head=4, n_positions=64))


def t5():
    sizes = {"d_model": 32, "d_kv": 8, "d_ff": 48, "num_layers": 2, "num_heads": 4}
    return T5ForConditionalGeneration(T5Config(vocab_size=VOCAB, decoder_start_token_id=0, **sizes))


def mamba():
    return MambaForCausalLM(MambaConfig(vocab_size=VOCAB, hidden_size=16, state_size=4, num_hidden_layers=2))


def build(make):
    """A model with random weights, larger than the usual initialisation, so that its distributions have a shape."""
    torch.manual_seed(0)
    model = make().eval()
    with torch.no_grad():
        for weight in model.parameters():
            if weight.ndim > 1:
                weight.mul_(0.4 if make is t5 else 4.0)
    model.generation_config.eos_token_id = EOS
    model.generation_config.pad_token_id = PAD
    return model


def fixed(temperature):
    return lambda prompt_length: FixedTemperatureLogitsWarper(temperature, prompt_length=prompt_length)


POLICIES = [fixed(0.7), fixed(1.0), fixed(1.6)]
ROWS = [DecodeRow(prompt, policy, seed) for seed in range(4) for policy in (2, 0, 1) for prompt in PROMPTS]
OPTIONS = {"max_new_tokens": 12, "eos_token_ids": EOS, "pad_token_id": PAD}


def by_row(decoded):
    found = {done.row: done for done in decoded}
    return [found[row] for row in sorted(found)]


def one_by_one(model, rows, policies=POLICIES, options=OPTIONS):
    return [next(iter(decode_with_generate(model, [row], policies, **options))) for row in rows]


def assert_same(got, wanted):
    assert [done.token_ids for done in got] == [done.token_ids for done in wanted]
    assert [done.finish_reason for done in got] == [done.finish_reason for done in wanted]
    torch.testing.assert_close(
        [done.log_prob for done in got], [done.log_prob for done in wanted], rtol=1e-4, atol=1e-4
    )


@pytest.mark.parametrize("make", [llama, mistral, gpt2, t5])
def test_rows_together_are_the_rows_alone(make):
    model = build(make)
    alone = one_by_one(model, ROWS)
    assert {done.finish_reason for done in alone} == {"stop", "length"}
    assert_same(by_row(decode(model, ROWS, POLICIES, **OPTIONS)), [a._replace(row=i) for i, a in enumerate(alone)])


def test_coupled_rows_are_those_of_generate():
    model = build(llama)
    options = {**OPTIONS, "coupled": True}
    wanted = one_by_one(model, ROWS, options=options)
    got = by_row(decode(model, ROWS, POLICIES, **options))
    assert_same(got, [a._replace(row=i) for i, a in enumerate(wanted)])
    assert [d.token_ids for d in got] != [d.token_ids for d in by_row(decode(model, ROWS, POLICIES, **OPTIONS))]


def test_plain_generate_written_out():
    model = build(llama)
    row = DecodeRow((5, 6, 7), 0, 3)
    stack = [FixedTemperatureLogitsWarper(0.7, prompt_length=3), SeededSampling([3], prompt_length=3)]
    prompt = torch.tensor([row.prompt_ids])
    wanted = model.generate(prompt, do_sample=False, logits_processor=stack, max_new_tokens=12, eos_token_id=EOS)
    tokens = wanted[0, 3:].tolist()
    done = next(iter(decode(model, [row], POLICIES, **OPTIONS)))
    assert done.token_ids == [token for token in tokens if token not in EOS]
    logits = model(wanted).logits[0, 2:-1].double()
    chances = torch.log_softmax(logits, dim=-1).gather(1, wanted[0, 3:, None])
    assert done.log_prob == pytest.approx(chances.sum().item(), abs=1e-4)


@pytest.mark.parametrize("size", [1, 7, 64])
def test_batch_size_does_not_change_a_text(size):
    model = build(llama)
    wanted = by_row(decode(model, ROWS, POLICIES, **OPTIONS))
    got = {}
    for batch in plan_batches([len(row.prompt_ids) for row in ROWS], size):
        for done in decode(model, [ROWS[row] for row in batch], POLICIES, **OPTIONS):
            got[batch[done.row]] = done
    assert_same([got[row] for row in range(len(ROWS))], wanted)


def test_no_end_of_sequence_runs_to_the_limit():
    got = by_row(decode(build(gpt2), ROWS[:5], POLICIES, max_new_tokens=6, eos_token_ids=[], pad_token_id=PAD))
    assert [(len(done.token_ids), done.finish_reason) for done in got] == [(6, "length")] * 5


def test_no_rows_no_work():
    assert list(decode(build(gpt2), [], POLICIES, **OPTIONS)) == []


def test_ended_rows_leave_the_batch(monkeypatch):
    model = build(llama)
    list(decode(model, ROWS, POLICIES, **OPTIONS))  # the first decode tries whether the model counts padding
    sizes = []
    forward = model.forward

    def watched(*args, **kwargs):
        sizes.append(kwargs["input_ids"].shape[0])
        return forward(*args, **kwargs)

    monkeypatch.setattr(model, "forward", watched)
    done = list(decode(model, ROWS, POLICIES, max_new_tokens=40, eos_token_ids=EOS, pad_token_id=PAD))
    assert sizes[0] == len(PROMPTS)
    assert sizes[1] == len(ROWS)
    assert sizes[1:] == sorted(sizes[1:], reverse=True)
    assert sizes[-1] < len(ROWS) / 2
    lengths = [len(d.token_ids) for d in done]
    assert lengths == sorted(lengths), "rows come out as they end"


def test_a_model_without_a_batchable_cache_says_so(caplog):
    model = build(mamba)
    rows = ROWS[:6]
    got = by_row(decode(model, rows, POLICIES, **OPTIONS))
    assert "plain generate()" in caplog.text
    assert_same(got, [a._replace(row=i) for i, a in enumerate(one_by_one(model, rows))])


def test_out_of_memory_halves_the_batch(monkeypatch, caplog):
    model = build(llama)
    wanted = by_row(decode(model, ROWS, POLICIES, **OPTIONS))
    forward = model.forward

    def small(*args, **kwargs):
        if kwargs["input_ids"].shape[0] > 10:
            raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 20.00 GiB")
        return forward(*args, **kwargs)

    monkeypatch.setattr(model, "forward", small)
    assert_same(by_row(decode(model, ROWS, POLICIES, **OPTIONS)), wanted)
    assert "out of memory with 36 rows" in caplog.text


def test_out_of_memory_with_one_row_is_an_error(monkeypatch):
    model = build(llama)

    def never(*args, **kwargs):
        raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 20.00 GiB")

    monkeypatch.setattr(model, "forward", never)
    with pytest.raises(torch.OutOfMemoryError):
        list(decode(model, ROWS[:2], POLICIES, **OPTIONS))


class NanAfter(LogitsProcessor):
    """A policy that breaks at its third step for rows that begin with token 5."""

    def __init__(self, prompt_length):
        self.prompt_length = prompt_length

    def __call__(self, input_ids, scores):
        broken = (input_ids == 5).any(dim=-1, keepdim=True) & (input_ids.shape[-1] - self.prompt_length == 2)
        return scores.masked_fill(broken, float("nan"))


def test_nan_ends_one_row_and_leaves_the_others():
    model = build(llama)
    rows = [DecodeRow((5, 6, 7), 0, 1), DecodeRow((9, 8, 7), 1, 1), DecodeRow((5, 6, 7), 1, 1)]
    got = by_row(decode(model, rows, [NanAfter, fixed(1.0)], max_new_tokens=5, eos_token_ids=[], pad_token_id=PAD))
    assert [done.finish_reason for done in got] == ["nan", "length", "length"]
    assert len(got[0].token_ids) == 2
    assert math.isnan(got[0].log_prob)


def test_nan_of_the_model_is_found():
    model = build(llama)
    with torch.no_grad():
        model.lm_head.weight[3] = float("nan")
    got = list(decode(model, ROWS[:3], POLICIES, **OPTIONS))
    assert {(done.finish_reason, len(done.token_ids)) for done in got} == {("nan", 0)}


def test_each_policy_sees_its_own_rows_and_the_width():
    seen = []

    def watching(policy):
        def factory(prompt_length):
            assert prompt_length == 5
            return Watch(policy, seen)

        return factory

    list(decode(build(gpt2), ROWS, [watching(0), watching(1), watching(2)], **{**OPTIONS, "max_new_tokens": 1}))
    assert seen == [(0, 12, 5), (1, 12, 5), (2, 12, 5)]


class Watch(LogitsProcessor):
    def __init__(self, policy, seen):
        self.policy, self.seen = policy, seen

    def __call__(self, input_ids, scores):
        self.seen.append((self.policy, *input_ids.shape))
        return scores


def test_batches_hold_similar_lengths():
    lengths = [400, 3, 3, 390, 5, 40]
    assert plan_batches(lengths, 64) == [[1, 2, 4], [5], [3, 0]]
    assert plan_batches(lengths, 2) == [[1, 2], [4], [5], [3, 0]]
    assert plan_batches([], 4) == []


def test_rectangle_pads_on_either_side():
    ids, mask = rectangle([(5, 6), (7,)], 0, "left")
    assert (ids.tolist(), mask.tolist()) == ([[5, 6], [0, 7]], [[1, 1], [0, 1]])
    ids, mask = rectangle([(5, 6), (7,)], 0, "right")
    assert (ids.tolist(), mask.tolist()) == ([[5, 6], [7, 0]], [[1, 1], [1, 0]])


def test_moving_rows_keeps_their_past(monkeypatch):
    model = build(llama)
    wanted = by_row(decode(model, ROWS, POLICIES, **OPTIONS))
    monkeypatch.setattr(decoding, "COMPACT_AT", 1e9)
    assert_same(by_row(decode(model, ROWS, POLICIES, **OPTIONS)), wanted)


NEWLINE, INDENT = 7, 8


def test_padding_is_no_word_of_a_policy():
    """A short prompt beside a longer one: `[5, indent]` starts a block in both, and is told apart from it by nothing else."""
    model = build(gpt2)
    seen = []

    class Kept(BlockStartLogitsWarper):
        def temperature(self, input_ids, scores):
            seen.append(input_ids.tolist())
            return super().temperature(input_ids, scores)

    def policy(prompt_length):
        return Kept(NEWLINE, INDENT, start_temperature=3.0, temperature=0.2, prompt_length=prompt_length)

    rows = [DecodeRow(prompt, 0, seed) for prompt in ((5, INDENT), (9, 8, 7, 6, 5)) for seed in range(6)]
    got = by_row(decode(model, rows, [policy], **OPTIONS))
    assert [row[:3] for row in seen[0][:6]] == [[-1] * 3] * 6
    assert_same(got, [a._replace(row=i) for i, a in enumerate(one_by_one(model, rows, [policy]))])
