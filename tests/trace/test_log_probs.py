"""Log-probabilities and gradients in chunks are those of the whole computation, for every policy and layout of texts."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import Tensor, nn

from temp_processors.policies.adaptive import DynamicTemperatureLogitsWarper
from temp_processors.policies.base import PolicyLogitsWarper
from temp_processors.policies.fixed import FixedTemperatureLogitsWarper
from temp_processors.policies.kinds import build_policy
from temp_processors.policies.scheduled import ScheduledTemperatureLogitsWarper
from temp_processors.trace.log_probs import ALSO, log_probs_from_hidden, policy_log_probs
from tests.models import tiny_llama
from tests.policies.examples import DYNAMIC, EXAMPLES

VOCABULARY, FIRST = 16, 3
LINEAR = ScheduledTemperatureLogitsWarper("linear", start=1.5, end=0.5, steps=6)


def case(name: str) -> tuple[PolicyLogitsWarper, Tensor, Tensor, Tensor]:
    """A policy, float64 hidden states and head, and texts that have its tags and newlines."""
    generator = torch.Generator().manual_seed(0)
    hidden = torch.randn(2, 7, 4, generator=generator, dtype=torch.float64).requires_grad_()
    head = torch.randn(VOCABULARY, 4, generator=generator, dtype=torch.float64).requires_grad_()
    text = torch.randint(6, (2, FIRST + 7), generator=generator)
    return build_policy(EXAMPLES[name][0]), hidden, head, text


def whole(policy: PolicyLogitsWarper, hidden: Tensor, head: Tensor, text: Tensor, stop: bool) -> Tensor:
    """As one writes it down."""
    policy, scores = policy.with_prompt_length(FIRST), hidden @ head.T
    processed = policy(text[:, :-1], scores)
    if stop:
        ruled_out = processed.isneginf()
        processed = scores / policy.temperature(text[:, :-1], scores).detach()
        processed = processed.masked_fill(ruled_out, -torch.inf)
    return processed.log_softmax(dim=-1).gather(-1, text[:, FIRST:, None])[..., 0]


def gradients(log_prob: Tensor, *inputs: Tensor) -> tuple[Tensor, ...]:
    kept = log_prob[~log_prob.isneginf()]
    weights = torch.linspace(-1.0, 2.0, kept.numel(), dtype=kept.dtype)
    return torch.autograd.grad((kept * weights).sum(), inputs, retain_graph=True)


HAS_TEMPERATURE = [
    name for name, (_, value) in EXAMPLES.items() if value > 0 and name not in ("linear", "phase_shaping")
]


@pytest.mark.parametrize(
    ("name", "gradient"),
    [(name, "through") for name in EXAMPLES] + [(name, "stop") for name in HAS_TEMPERATURE],
)
def test_values_and_gradients_are_those_of_the_whole(name: str, gradient: Any) -> None:
    policy, hidden, head, text = case(name)
    expected = whole(policy, hidden, head, text, gradient == "stop")
    found = log_probs_from_hidden(hidden, head, text, policy, temperature_gradient=gradient, chunk_size=4)
    torch.testing.assert_close(found, expected, rtol=1e-12, atol=1e-12)
    for one, other in zip(gradients(found, hidden, head), gradients(expected, hidden, head), strict=True):
        torch.testing.assert_close(one, other, rtol=1e-12, atol=1e-8)  # 1e-39 as a temperature makes large ones


def test_the_two_gradients_differ_where_the_temperature_depends_on_the_scores() -> None:
    policy, hidden, head, text = case("dynamic")
    through, stop = (
        gradients(log_probs_from_hidden(hidden, head, text, policy, temperature_gradient=way), head)[0]
        for way in ("through", "stop")
    )
    assert (through - stop).abs().max() > 0.1


@pytest.mark.parametrize("gradient", ["through", "stop"])
@pytest.mark.parametrize("name", ["phase_shaping", "xtc_then", "chain_that_bends", "top_p"])
def test_what_has_no_temperature_is_differentiated_as_a_whole(name: str, gradient: Any) -> None:
    policy, hidden, head, text = case(name)
    found = log_probs_from_hidden(hidden, head, text, policy, temperature_gradient=gradient)
    expected = whole(policy, hidden, head, text, False)
    for one, other in zip(gradients(found, hidden, head), gradients(expected, hidden, head), strict=True):
        torch.testing.assert_close(one, other, rtol=0, atol=1e-8)


@pytest.mark.parametrize("name", ["top_k", "truncate", "generate", "fixed_greedy", "typical_p"])
def test_tokens_ruled_out_have_no_gradient(name: str) -> None:
    policy, hidden, head, text = case(name)
    found = log_probs_from_hidden(hidden, head, text, policy, chunk_size=4)
    outside = found.isneginf()
    assert outside.any()
    torch.autograd.backward(found[outside].sum(), inputs=[hidden, head])
    assert hidden.grad is not None
    assert head.grad is not None
    assert torch.equal(hidden.grad, torch.zeros_like(hidden))
    assert torch.equal(head.grad, torch.zeros_like(head))


def test_what_else_is_returned_is_right_and_has_gradients() -> None:
    policy, hidden, head, text = case("edt")
    found = log_probs_from_hidden(hidden, head, text, policy, also=ALSO, chunk_size=4)
    scores = hidden @ head.T
    plain = torch.distributions.Categorical(logits=scores)
    cooled = torch.distributions.Categorical(logits=policy(text[:, :-1], scores))
    tokens = text[:, FIRST:]
    expected = {
        "log_prob_after": cooled.log_prob(tokens),
        "temperature": policy.temperature(text[:, :-1], scores)[..., 0],
        "entropy": plain.entropy(),
        "entropy_after": cooled.entropy(),
        "log_prob": plain.log_prob(tokens),
    }
    for name, value in expected.items():
        torch.testing.assert_close(getattr(found, name), value, rtol=1e-10, atol=1e-10)
        for one, other in zip(
            gradients(getattr(found, name), hidden, head), gradients(value, hidden, head), strict=True
        ):
            torch.testing.assert_close(one, other, rtol=0, atol=1e-8)
    assert log_probs_from_hidden(hidden, head, text, policy, also=()).entropy is None


def test_recorded_temperatures_stand_for_the_policy_that_chose_them() -> None:
    policy, hidden, head, text = case("product")
    stop = log_probs_from_hidden(hidden, head, text, policy, also=["temperature"], temperature_gradient="stop")
    assert stop.temperature is not None
    again = log_probs_from_hidden(hidden, head, text, stop.temperature, chunk_size=4)
    torch.testing.assert_close(again, stop.log_prob_after)
    for one, other in zip(gradients(again, hidden, head), gradients(stop.log_prob_after, hidden, head), strict=True):
        torch.testing.assert_close(one, other, rtol=0, atol=1e-8)


class Widest(nn.Module):
    """A head that remembers the most scores it was asked for at once."""

    def __init__(self, weight: Tensor) -> None:
        super().__init__()
        self.weight, self.most = weight, 0

    def forward(self, hidden: Tensor) -> Tensor:
        self.most = max(self.most, hidden.shape[0] * hidden.shape[1])
        return 3.0 * torch.tanh(hidden @ self.weight.T / 3.0)


def test_no_more_than_a_chunk_of_scores_is_made_forward_or_backward() -> None:
    policy, hidden, head, text = case("dynamic")
    capped = Widest(head)
    found = log_probs_from_hidden(hidden, capped, text, policy, chunk_size=5)
    found.sum().backward()
    assert capped.most == 4  # two rows of two steps
    log_probs_from_hidden(hidden, capped, text, policy)
    assert capped.most == 14


TURNS = torch.tensor([[0, 0, 0, 1, 1, 0, 0, 1, 1, 1], [0, 0, 0, 0, 1, 1, 1, 0, 0, 1]])
STARTS = [(0, 3, 5), (0, 7, 10), (1, 4, 7), (1, 9, 10)]  # row, first token, end
PHASE = build_policy(
    {"kind": "phase", "open_ids": [4], "close_ids": [5], "inside": DYNAMIC, "outside": EXAMPLES["linear"][0]}
)


@pytest.mark.parametrize("policy", [LINEAR, PHASE], ids=["schedule", "phase"])
@pytest.mark.parametrize("chunk_size", [1, 6, 100])
def test_every_turn_counts_its_own_steps(policy: PolicyLogitsWarper, chunk_size: int) -> None:
    model = tiny_llama()
    text = torch.randint(3, 7, (2, 10), generator=torch.Generator().manual_seed(1))
    found = policy_log_probs(model, text, policy, 3, completion_mask=TURNS, chunk_size=chunk_size)
    assert torch.equal(
        found, policy_log_probs(model, text, policy, 3, completion_mask=TURNS[:, 3:], chunk_size=chunk_size)
    )
    assert torch.equal(found == 0, TURNS[:, 3:] == 0)
    for row, first, end in STARTS:
        alone = policy_log_probs(model, text[row : row + 1, :end], policy, first)
        torch.testing.assert_close(found[row : row + 1, first - 3 : end - 3], alone, rtol=1e-5, atol=1e-5)


def test_prompts_of_several_lengths_padded_on_the_right() -> None:
    model, policy = tiny_llama(), LINEAR
    long, short = torch.tensor([[3, 5, 9, 7, 7, 3, 2]]), torch.tensor([[4, 8, 6, 2, 4]])
    text = torch.cat([long, nn.functional.pad(short, (0, 2))])
    mask = torch.tensor([[1] * 7, [1] * 5 + [0] * 2])
    found = policy_log_probs(model, text, policy, torch.tensor([4, 2]), mask)
    assert found.shape == (2, 5)
    torch.testing.assert_close(found[:1, 2:], policy_log_probs(model, long, policy, 4), rtol=1e-5, atol=1e-5)
    torch.testing.assert_close(found[1:, :3], policy_log_probs(model, short, policy, 2), rtol=1e-5, atol=1e-5)
    assert torch.equal(found[0, :2], torch.zeros(2))


def test_padding_that_is_nan_stays_out_of_the_gradient() -> None:
    policy, hidden, head, text = case("dynamic")
    spoilt = torch.cat([hidden[:, :-1], torch.full_like(hidden[:, -1:], torch.nan)], dim=1)
    mask = torch.ones(2, 7).index_fill(1, torch.tensor([6]), 0.0)
    text[:, -1] = -100
    found = log_probs_from_hidden(spoilt, head, text, policy, completion_mask=mask, also=ALSO)
    for value in vars(found).values():
        assert torch.isfinite(value).all()
        assert all(torch.isfinite(part).all() for part in gradients(value, hidden, head))


def test_a_batch_without_a_drawn_token_has_zeros_and_a_gradient() -> None:
    policy, hidden, head, text = case("fixed")
    found = log_probs_from_hidden(hidden, head, text, policy, completion_mask=torch.zeros(2, 7))
    assert torch.equal(found, torch.zeros_like(found))
    found.sum().backward()
    assert head.grad is not None
    assert not head.grad.any()


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"also": ["entropie"]}, "`also` may name temperature, entropy, entropy_after, log_prob, but has 'entropie'"),
        ({"temperature_gradient": "both"}, "`temperature_gradient` has to be 'through' or 'stop', but is 'both'"),
        ({"chunk_size": 0}, "`chunk_size` has to be a whole number, a number >= 1, but is 0"),
        ({"chunk_size": "8"}, "`chunk_size` has to be a whole number, a number >= 1, but is '8'"),
        ({"policy": "fixed"}, "`policy` has to be a policy, such as .*, but is of type str"),
        ({"prompt_length": "3"}, "`prompt_length` has to be a whole number, .*, but is '3'"),
        ({"input_ids": [[1, 2]]}, "`input_ids` has to be a tensor, but is of type list"),
        (
            {"input_ids": torch.zeros(8, dtype=torch.long)},
            r"`input_ids` has to be \(batch, length\), but is of shape \(8,\)",
        ),
        ({"input_ids": torch.zeros(2, 8)}, "`input_ids` has to be of whole numbers"),
        (
            {"attention_mask": torch.ones(2, 5)},
            r"`attention_mask` has to have shape \(2, 3\) or \(2, 10\), but has \(2, 5\)",
        ),
        ({"attention_mask": [1]}, "`attention_mask` has to be a tensor, but is of type list"),
        ({"completion_mask": [1]}, "`completion_mask` has to be a tensor, but is of type list"),
        ({"hidden": [1]}, "`hidden` has to be a tensor, but is of type list"),
        ({"hidden": torch.ones(2, 7)}, r"`hidden` has to be \(batch, steps, hidden\), but is of shape \(2, 7\)"),
        ({"head": None}, "`head` has to be a tensor or a function, but is of type NoneType"),
        ({"head": torch.ones(4, 3)}, r"`head` has to be \(vocab, .*\), but is of shape \(4, 3\)"),
        (
            {"completion_mask": torch.ones(2, 8)},
            r"`completion_mask` has to have shape \(2, 7\) or \(2, 10\), but has \(2, 8\)",
        ),
        ({"policy": torch.ones(2, 8)}, r"`policy` has to have shape \(2, 7\), but has \(2, 8\)"),
        (
            {"prompt_length": torch.tensor([1, 2, 3])},
            r"`prompt_length` has to have shape \(\) or \(2,\), but has \(3,\)",
        ),
        ({"input_ids": torch.zeros(2, 6, dtype=torch.long)}, r"`hidden` has to have shape \(2, 6\), but has \(2, 7\)"),
    ],
    ids=lambda value: next(iter(value)) if isinstance(value, dict) else "",
)
def test_mistakes_are_told(arguments: dict[str, Any], message: str) -> None:
    _, hidden, head, text = case("fixed")
    given = {
        "hidden": hidden,
        "head": head,
        "input_ids": text,
        "policy": FixedTemperatureLogitsWarper(0.5),
        **arguments,
    }
    with pytest.raises((TypeError, ValueError), match=message):
        log_probs_from_hidden(**given)


def test_tokens_that_the_model_does_not_have_are_told() -> None:
    model = tiny_llama()
    text = torch.tensor([[1, model.config.vocab_size, 2]])
    with pytest.raises(ValueError, match=r"`input_ids` has to hold tokens of the model, 0 to \d+, but has \d+"):
        policy_log_probs(model, text, FixedTemperatureLogitsWarper(0.5), prompt_length=1)


def test_half_precision_is_computed_in_float32() -> None:
    policy, hidden, head, text = case("dynamic")
    found = log_probs_from_hidden(hidden.bfloat16(), head.bfloat16(), text, policy)
    assert found.dtype == torch.float32
    exact = log_probs_from_hidden(hidden, head, text, policy)
    torch.testing.assert_close(found.double(), exact, rtol=0.1, atol=0.1)


def test_the_temperature_of_every_token_may_be_given_with_a_model() -> None:
    model, text = tiny_llama(), torch.tensor([[1, 5, 9, 7]])
    recorded = policy_log_probs(model, text, DynamicTemperatureLogitsWarper(0.8, 0.5), 2, also=["temperature"])
    assert recorded.temperature is not None
    torch.testing.assert_close(policy_log_probs(model, text, recorded.temperature, 2), recorded.log_prob_after)
