"""Traces recorded in `generate`, and computed again from the texts in one forward pass, agree."""

from __future__ import annotations

import math
from typing import Any

import pytest
import torch
from torch import Tensor
from transformers import AutoModelForCausalLM, AutoTokenizer, LlamaForCausalLM

from temp_processors.fox import FOX_PATH
from temp_processors.policies.adaptive import DynamicTemperatureLogitsWarper, EDTLogitsWarper
from temp_processors.policies.base import PolicyLogitsWarper
from temp_processors.policies.block_start import BlockStartLogitsWarper
from temp_processors.policies.fixed import FixedTemperatureLogitsWarper
from temp_processors.policies.scheduled import ScheduledTemperatureLogitsWarper
from temp_processors.trace.log_probs import policy_log_probs
from temp_processors.trace.recompute import trace_tokens
from temp_processors.trace.recorder import TemperatureTrace
from temp_processors.trace.tail import (
    BIN_TOLERANCE,
    BINS,
    DEEPEST,
    LARGEST,
    interpolate_tail,
    tail_temperatures,
    tail_values,
    thinned,
)
from tests.models import tiny_llama

PROMPTS = torch.tensor([[1, 5, 9], [1, 8, 4]])
SAMPLING: dict[str, Any] = {"do_sample": True, "top_k": 0, "max_new_tokens": 8, "pad_token_id": 0}
POLICIES = [
    FixedTemperatureLogitsWarper(0.7),
    DynamicTemperatureLogitsWarper(0.8, 0.5),
    EDTLogitsWarper(1.2, 0.5),
    ScheduledTemperatureLogitsWarper("linear", start=1.5, end=0.5, steps=6, prompt_length=3),
]


@pytest.fixture(scope="module")
def model() -> LlamaForCausalLM:
    return tiny_llama()


def generated(model: Any, policy: Any, seed: int = 0, **arguments: Any) -> Tensor:
    torch.manual_seed(seed)
    inputs = arguments.pop("inputs", PROMPTS)
    out: Tensor = model.generate(inputs, logits_processor=[policy], **{**SAMPLING, **arguments})
    return out


@pytest.mark.parametrize("policy", POLICIES, ids=lambda policy: type(policy).__name__)
def test_trace_changes_nothing_and_equals_the_recomputed_one(model: Any, policy: PolicyLogitsWarper) -> None:
    trace = TemperatureTrace(policy, top_k=5)
    texts = generated(model, trace)
    assert torch.equal(texts, generated(model, policy))
    live, again = trace.finish(texts), trace_tokens(model, texts, policy, 3, top_k=5)
    for name in vars(live):
        torch.testing.assert_close(getattr(live, name), getattr(again, name), atol=1e-5, rtol=1e-5)
    torch.testing.assert_close(policy_log_probs(model, texts, policy, 3), live.log_prob_after, atol=1e-5, rtol=0)
    assert live.temperature.shape == (2, 8)


def test_values_of_a_fixed_temperature_by_definition(model: Any) -> None:
    texts = generated(model, FixedTemperatureLogitsWarper(0.5))
    trace = trace_tokens(model, texts, FixedTemperatureLogitsWarper(0.5), 3)
    logits = model(texts).logits[:, 2:-1].detach()
    cooled = torch.distributions.Categorical(logits=logits / 0.5)
    torch.testing.assert_close(trace.log_prob_after, cooled.log_prob(texts[:, 3:]), atol=1e-5, rtol=0)
    torch.testing.assert_close(trace.entropy_after, cooled.entropy(), atol=1e-5, rtol=0)
    plain = torch.distributions.Categorical(logits=logits)
    torch.testing.assert_close(trace.log_prob, plain.log_prob(texts[:, 3:]), atol=1e-5, rtol=0)
    torch.testing.assert_close(trace.entropy, plain.entropy(), atol=1e-5, rtol=0)


@pytest.mark.parametrize("how", ["assistant", "prompt lookup"])
def test_drafts_that_are_taken_back_leave_no_mark(model: Any, how: str) -> None:
    prompt = torch.tensor([[1, 5, 9, 1, 5, 9, 1, 5]])
    draft = {"assistant_model": tiny_llama(1)} if how == "assistant" else {"prompt_lookup_num_tokens": 3}
    policy = DynamicTemperatureLogitsWarper(0.8, 0.5)
    for seed in range(5):
        trace = TemperatureTrace(policy)
        texts = generated(model, trace, seed, inputs=prompt, attention_mask=torch.ones_like(prompt), **draft)
        live, again = trace.finish(texts), trace_tokens(model, texts, policy, prompt.shape[1])
        torch.testing.assert_close(live.log_prob_after, again.log_prob_after, atol=1e-5, rtol=0)
        torch.testing.assert_close(live.temperature, again.temperature, atol=1e-5, rtol=0)


def test_beams_are_refused_with_the_way_out(model: Any) -> None:
    trace = TemperatureTrace(FixedTemperatureLogitsWarper(2.0))
    texts = generated(model, trace, num_beams=3, num_return_sequences=3)
    with pytest.raises(ValueError, match=r"beam search, .* use trace_tokens\(\) on the sequences"):
        trace.finish(texts)


def test_finish_needs_a_recording() -> None:
    with pytest.raises(ValueError, match="nothing was recorded"):
        TemperatureTrace(FixedTemperatureLogitsWarper(1.0)).finish(PROMPTS)


def test_one_object_serves_several_calls(model: Any) -> None:
    trace = TemperatureTrace(EDTLogitsWarper(1.0, 0.3))
    first, second = (trace.finish(generated(model, trace, seed)) for seed in (1, 2))
    assert not torch.equal(first.token_ids, second.token_ids)
    torch.testing.assert_close(first.log_prob, trace.finish(generated(model, trace, 1)).log_prob)


def test_steps_after_the_end_are_masked(model: Any) -> None:
    trace = TemperatureTrace(FixedTemperatureLogitsWarper(2.0))
    open_ended = generated(model, trace)
    stop = int(open_ended[0, 5])
    texts = generated(model, trace, eos_token_id=stop)
    table = trace.finish(texts, eos_token_ids=[stop])
    ended = [row.index(stop) + 1 if stop in row else len(row) for row in table.token_ids.tolist()]
    assert table.mask.sum(dim=1).tolist() == ended
    assert ended[0] <= 3
    assert len(table.records()) == sum(ended)


def test_a_padded_batch_equals_its_rows_alone(model: Any) -> None:
    policy = ScheduledTemperatureLogitsWarper("linear", start=1.5, end=0.5, steps=6)
    long, short = torch.tensor([[1, 5, 9, 7, 7, 3, 2]]), torch.tensor([[1, 8, 6, 2, 4]])
    batch = torch.cat([long, torch.nn.functional.pad(short, (2, 0))])
    mask = torch.tensor([[1, 1, 1, 1], [0, 0, 1, 1]])
    both = policy_log_probs(model, batch, policy, 4, attention_mask=mask)
    torch.testing.assert_close(both[:1], policy_log_probs(model, long, policy, 4), atol=1e-5, rtol=0)
    torch.testing.assert_close(both[1:], policy_log_probs(model, short, policy, 2), atol=1e-5, rtol=0)


def test_padded_prompts_in_generate_agree_too(model: Any) -> None:
    trace = TemperatureTrace(DynamicTemperatureLogitsWarper(0.8, 0.5))
    inputs, mask = torch.tensor([[1, 5, 9, 7], [0, 0, 1, 8]]), torch.tensor([[1, 1, 1, 1], [0, 0, 1, 1]])
    texts = generated(model, trace, inputs=inputs, attention_mask=mask)
    again = policy_log_probs(model, texts, trace.policy, 4, attention_mask=mask)
    torch.testing.assert_close(trace.finish(texts).log_prob_after, again, atol=1e-5, rtol=0)


def test_gradient_equals_finite_differences() -> None:
    model = tiny_llama().double()
    weight = model.lm_head.weight
    policy = DynamicTemperatureLogitsWarper(0.8, 0.5)

    def loss() -> Tensor:
        return policy_log_probs(model, torch.tensor([[1, 5, 9, 7]]), policy, 2).sum()

    loss().backward()
    assert weight.grad is not None
    with torch.no_grad():
        weight[7, 3] += 1e-6
        up = loss()
        weight[7, 3] -= 2e-6
        slope = (up - loss()) / 2e-6
    assert weight.grad[7, 3].item() == pytest.approx(slope.item(), rel=1e-5)


@pytest.mark.parametrize("prompt_length", [0, 3, 4])
def test_prompt_length_has_to_leave_new_tokens(model: Any, prompt_length: int) -> None:
    with pytest.raises(ValueError, match=rf"`prompt_length` has to be in \[1, 2\] but is {prompt_length}"):
        policy_log_probs(model, PROMPTS, FixedTemperatureLogitsWarper(1.0), prompt_length)


def test_exports(model: Any) -> None:
    policy = FixedTemperatureLogitsWarper(0.5)
    trace = trace_tokens(model, generated(model, policy), policy, 3, top_k=4)
    frame = trace.to_pandas(policy="cool", prompt_id=7, sample_id=["a", "b"])
    assert list(frame.columns) == [
        *("policy", "prompt_id", "sample_id", "step", "token_id", "entropy", "entropy_after", "temperature"),
        *("log_prob", "log_prob_after", "top_ids", "top_logits", "tail"),
    ]
    assert frame.step.tolist() == [*range(8), *range(8)]
    assert set(frame.policy) == {"cool"}
    assert frame.sample_id.tolist() == ["a"] * 8 + ["b"] * 8
    record = trace.to_dataset()[3]
    assert record["token_id"] == trace.token_ids[0, 3].item()
    assert record["log_prob"] == trace.log_prob[0, 3].item()
    assert len(record["top_ids"]) == 4


class Reshaping(PolicyLogitsWarper):
    """No single temperature: its `temperature` is nan."""

    def temperature(self, input_ids: Tensor, scores: Tensor) -> Tensor:
        return torch.full_like(scores[..., :1], torch.nan)

    def __call__(self, input_ids: Tensor, scores: Tensor) -> Tensor:
        return scores - scores.square() / 100


def test_no_temperature_is_none_in_the_table(model: Any) -> None:
    records = trace_tokens(model, PROMPTS, Reshaping(), 1).records()
    assert {record["temperature"] for record in records} == {None}
    assert {record["tail"] for record in records} == {None}


def distributions() -> list[tuple[str, Tensor]]:
    torch.manual_seed(0)
    rows = [(f"normal {vocab} x {scale}", torch.randn(vocab) * scale) for vocab in (97, 50257) for scale in (1, 4)]
    rows += [(f"zipf {vocab}", -1.5 * torch.arange(1, vocab + 1).log()) for vocab in (2048, 151936)]
    for vocab in (2048, 151936):  # a few likely tokens, and all others together as likely at some temperature
        rows += [(f"cliff {vocab} {gap}", torch.full((vocab,), -gap)) for gap in (3.0, 6.0, 10.0, 20.0)]
    for name, row in rows:
        if name.startswith("cliff"):
            row[:21] = 0.0
    return [*rows, ("masked", torch.randn(500).masked_fill(torch.arange(500) > 300, -math.inf))]


@pytest.mark.parametrize(("name", "logits"), distributions(), ids=lambda value: value if isinstance(value, str) else "")
def test_the_tail_gives_every_probability_at_every_temperature(name: str, logits: Tensor) -> None:
    top = logits.topk(20)
    tail = thinned(tail_values(logits, top.indices)[None], top.values[None])[0]
    assert tail is not None
    temperatures = torch.logspace(math.log10(0.1), math.log10(5.0), 301, dtype=torch.float64)[1:-1]
    rest = interpolate_tail(torch.tensor([tail], dtype=torch.float64), temperatures)[0]
    head = (top.values.double() - top.values[0])[None] / temperatures[:, None]
    total = torch.logaddexp(torch.logsumexp(head, dim=-1), rest)
    exact = torch.stack([torch.softmax(logits.double() / t, dim=-1)[top.indices] for t in temperatures.tolist()])
    torch.testing.assert_close(torch.exp(head - total[:, None]), exact, atol=1e-6, rtol=0)
    mass = 1.0 - exact.sum(dim=-1)
    torch.testing.assert_close(torch.exp(rest - total), mass, atol=1e-6, rtol=0)


@pytest.mark.parametrize(("name", "logits"), distributions(), ids=lambda value: value if isinstance(value, str) else "")
def test_values_of_bins_are_those_that_are_summed(name: str, logits: Tensor) -> None:
    top = logits.topk(20).indices
    rest = logits.double().scatter(-1, top, -math.inf) - logits.max().double()
    summed = torch.logsumexp(rest / tail_temperatures()[:, None], dim=-1)
    torch.testing.assert_close(tail_values(logits, top), summed, atol=2 * BIN_TOLERANCE, rtol=0)


def test_one_token_is_what_its_bin_makes_of_it_at_any_depth_and_temperature() -> None:
    """What holds for every token holds for every sum of them: 17 places in each bin, edges included, beside one token at depth 0."""
    depth = (torch.linspace(0, BINS, 16 * BINS + 1, dtype=torch.float64) / BINS).square() * DEEPEST
    depth = torch.cat([depth, torch.tensor([1.01 * DEEPEST, 1e30, math.inf])])
    rows = torch.stack([torch.zeros_like(depth), torch.zeros_like(depth), -depth], dim=1)
    recorded = torch.zeros(len(rows), 1, dtype=torch.long)
    added = tail_values(rows, recorded).exp() - tail_values(rows[:, :2], recorded).exp()
    exact = torch.exp(-depth[:, None] / tail_temperatures())
    assert bool(((added - exact).abs() <= BIN_TOLERANCE * (exact + 1 / LARGEST)).all())


def test_a_row_whose_scores_are_nan_has_no_tail_and_spoils_no_other() -> None:
    logits = torch.randn(3, 50, generator=torch.Generator().manual_seed(0))
    top = logits.topk(3).indices
    alone = tail_values(logits[[0, 2]], top[[0, 2]])
    logits[1] = math.nan
    found = tail_values(logits, top)
    assert found[1].isnan().all()
    torch.testing.assert_close(found[[0, 2]], alone, atol=1e-12, rtol=0)


def test_the_documented_formula_in_plain_python() -> None:
    """The computation that a page does, written without torch, at a recorded and at another temperature."""
    logits = torch.randn(300, generator=torch.Generator().manual_seed(1)) * 2
    top = logits.topk(8)
    tail = thinned(tail_values(logits, top.indices)[None], top.values[None])[0]
    assert tail is not None
    n, middle, half = len(tail) - 1, (math.log(0.1) + math.log(5)) / 2, (math.log(5) - math.log(0.1)) / 2
    for temperature in (0.9, 0.31):
        x = (math.log(temperature) - middle) / half
        up = down = 0.0
        for k, value in enumerate(tail):
            weight = (-1) ** k * (0.5 if k in (0, n) else 1.0) / (x - math.cos(math.pi * k / n))
            up, down = up + weight * value, down + weight
        weights = [math.exp((value - top.values[0].item()) / temperature) for value in top.values.tolist()]
        expected = torch.softmax(logits.double() / temperature, dim=-1)[top.indices[2]].item()
        assert weights[2] / (sum(weights) + math.exp(up / down)) == pytest.approx(expected, abs=1e-6)


def test_nothing_left_has_no_tail() -> None:
    logits = torch.tensor([3.0, 2.0, -math.inf])
    top = logits.topk(2)
    assert thinned(tail_values(logits, top.indices)[None], top.values[None]) == [None]


def test_recorded_temperatures_span_the_slider_and_others_are_refused() -> None:
    torch.testing.assert_close(tail_temperatures()[[0, -1]], torch.tensor([5.0, 0.1], dtype=torch.float64))
    with pytest.raises(ValueError, match=r"\[0.1, 5.0\]"):
        interpolate_tail(torch.zeros(1, 97, dtype=torch.float64), torch.tensor([6.0]))


@pytest.mark.parametrize("where", ["fox", "stories260k"])
def test_the_tail_of_a_trained_model(where: str, request: pytest.FixtureRequest) -> None:
    """Every step of a text by the shipped model and by one that this project did not make, thinned, at 60 temperatures."""
    folder = FOX_PATH if where == "fox" else request.getfixturevalue("shared") / "models" / "stories260k"
    model = AutoModelForCausalLM.from_pretrained(folder).eval()
    start = AutoTokenizer.from_pretrained(folder)("Once upon a time", return_tensors="pt").input_ids
    texts = generated(model, FixedTemperatureLogitsWarper(1.0), inputs=start, max_new_tokens=60, eos_token_id=None)
    trace = trace_tokens(model, texts, FixedTemperatureLogitsWarper(1.0), start.shape[1], top_k=10)
    logits = model(texts).logits[0, start.shape[1] - 1 : -1].detach().double()
    assert trace.top_ids is not None
    lengths = set()
    temperatures = torch.linspace(0.1, 5.0, 60, dtype=torch.float64)
    for row, record in enumerate(trace.records()):
        lengths.add(len(record["tail"]))
        tail = interpolate_tail(torch.tensor([record["tail"]], dtype=torch.float64), temperatures)[0]
        p = torch.softmax(logits[row] / temperatures[:, None], dim=-1)[:, trace.top_ids[0, row]]
        top = torch.tensor(record["top_logits"], dtype=torch.float64)
        head = torch.exp((top - top[0]) / temperatures[:, None])
        torch.testing.assert_close(head / (head.sum(-1) + tail.exp())[:, None], p, atol=1e-6, rtol=0)
    assert max(lengths) <= 49


def test_padding_is_no_word_in_one_pass_over_finished_texts() -> None:
    """`[5, indent]` starts a block, with padding before it too."""
    policy = BlockStartLogitsWarper(newline_ids=14, indent_ids=15)
    model, texts = tiny_llama(), torch.tensor([[0, 0, 5, 15, 7, 9], [6, 7, 8, 15, 7, 9]])
    mask = torch.tensor([[0, 0, 1, 1], [1, 1, 1, 1]])
    trace = trace_tokens(model, texts, policy, 4, attention_mask=mask)
    assert trace.temperature[:, 0].tolist() == pytest.approx([0.8, 0.6])
    padded = policy_log_probs(model, texts, policy, 4, mask)[0]
    torch.testing.assert_close(padded, policy_log_probs(model, texts[:1, 2:], policy, 2)[0], rtol=1e-5, atol=1e-5)
