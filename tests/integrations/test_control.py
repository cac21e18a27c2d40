"""Temperatures that move between training steps, without a trainer."""

from __future__ import annotations

import math
from types import SimpleNamespace
from typing import Any

import pytest
import torch

from temp_processors.integrations.control import EntropyController, TemperatureSchedule, controlled
from temp_processors.policies.combined import ProductLogitsWarper
from temp_processors.policies.fixed import FixedTemperatureLogitsWarper
from temp_processors.policies.kinds import build_policy

V = 1024
SIZE = math.log(V) + math.log(math.log(V))


def at(step: int, **saved: Any) -> Any:
    return SimpleNamespace(global_step=step, stateful_callbacks=saved)


@pytest.mark.parametrize(
    ("target", "seen", "temperature", "expected"),
    [
        (1.0, [(1.0, 10)], 0.7, 0.7),
        (2.0, [(1.0, 10)], 1.0, 1.0 + math.log(2.0) / SIZE),
        (2.0, [(1.0, 10)], 0.5, 0.5 * (1.0 + 0.5 * math.log(2.0) / SIZE)),
        (1.0, [(3.0, 10), (1.0, 30)], 1.0, 1.0 + math.log(1.0 / 1.5) / SIZE),  # the mean over tokens
        (2.0, [], 1.0, 1.0),
        (1.0, [(0.0, 10)], 9.9, 10.0),  # a bound
        (1e-3, [(5.0, 10)], 2.0, 0.1),
    ],
)
def test_entropy_controller_is_its_formula(target: float, seen: list[Any], temperature: float, expected: float) -> None:
    controller = EntropyController(target, temperature=temperature, vocabulary=V)
    for entropy, tokens in seen:
        controller.see(entropy, tokens)
    controller.update()
    assert controller.temperature == pytest.approx(expected, abs=1e-12)
    controller.update()  # nothing was drawn since
    assert controller.temperature == pytest.approx(expected, abs=1e-12)


def test_entropy_controller_reaches_its_target() -> None:
    """A distribution that stays as it is: T goes where the entropy is the target."""
    torch.manual_seed(0)
    scores, controller = 3.0 * torch.randn(V, dtype=torch.float64), EntropyController(4.0, vocabulary=V)
    for _ in range(200):
        entropy = torch.distributions.Categorical(logits=scores / controller.temperature).entropy()
        controller.see(float(entropy), 1)
        controller.update()
    assert float(entropy) == pytest.approx(4.0, abs=1e-3)


def test_entropy_controller_goes_on_from_a_checkpoint() -> None:
    old = EntropyController(2.0, vocabulary=V)
    old.temperature = 1.25
    new = EntropyController(2.0)
    model = SimpleNamespace(config=SimpleNamespace(get_text_config=lambda: SimpleNamespace(vocab_size=V)))
    new.on_train_begin(None, at(7, EntropyController=old.state()), None, model=model)
    assert (new.temperature, new.vocabulary) == (1.25, V)
    assert EntropyController.from_state(old.state()).temperature == 1.25
    fresh = EntropyController(2.0)
    fresh.on_train_begin(None, at(0, EntropyController=fresh.state()), None, model=model)
    assert fresh.temperature == 1.0


def test_schedule_follows_the_step_of_the_trainer() -> None:
    cooling = TemperatureSchedule("linear", start=1.5, end=0.5, steps=10, warmup=2)
    assert cooling.temperature == pytest.approx(0.5)
    cooling.on_train_begin(None, at(7), None)
    assert cooling.temperature == pytest.approx(1.0)
    cooling.on_step_begin(None, at(12), None)
    assert cooling.temperature == pytest.approx(0.5)
    assert TemperatureSchedule.from_state(cooling.state()).at(7) == pytest.approx(1.0)


@pytest.mark.parametrize(
    "base",
    [
        {"kind": "scheduled", "shape": "linear", "start": 1.5, "end": 0.5, "steps": 4},
        {"kind": "dynamic", "temperature": 1.0, "range": 0.5},
    ],
)
def test_controlled_multiplies_the_temperature(base: dict[str, Any]) -> None:
    control = TemperatureSchedule("constant", 0.7)
    ids, scores = torch.zeros(2, 5, dtype=torch.long), torch.randn(2, 9)
    built = build_policy(base, prompt_length=3)
    product = ProductLogitsWarper([built, FixedTemperatureLogitsWarper(0.7)])(ids, scores)
    for policy in (controlled(built, [control]), build_policy(controlled(base, [control]), prompt_length=3)):
        torch.testing.assert_close(policy(ids, scores), product)


def test_controlled_without_a_policy_or_a_control() -> None:
    assert controlled(None, [TemperatureSchedule("constant", 0.7)]) == {"kind": "fixed", "temperature": 0.7}
    assert controlled({"kind": "p_less"}, []) == {"kind": "p_less"}


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: EntropyController(0.0), "`target` has to be a number > 0, but is 0.0"),
        (lambda: EntropyController(1.0, temperature=20.0), r"`temperature` \(=20\) has to lie between"),
        (lambda: EntropyController(1.0, vocabulary=0), "`vocabulary` has to be"),
        (lambda: TemperatureSchedule("linear", 1.0), "`end` is missing"),
    ],
)
def test_refused(make: Any, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        make()


def test_a_vocabulary_is_needed() -> None:
    controller = EntropyController(1.0)
    controller.see(1.0, 1)
    with pytest.raises(ValueError, match="`vocabulary` is not known before training begins"):
        controller.update()
