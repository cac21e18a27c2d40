"""A temperature that moves between training steps: callbacks of a transformers `Trainer` that hold one number.

The number multiplies whatever policy a trainer draws under (`controlled`), so that any policy can be warmed and cooled over a training.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

import torch
from transformers import TrainerCallback
from transformers.trainer_callback import ExportableState

from temp_processors.policies.base import PolicyLogitsWarper
from temp_processors.policies.chain import ChainLogitsWarper
from temp_processors.policies.checks import AtLeastOne, Count, Points, Positive, Temperature, checked
from temp_processors.policies.fixed import FixedTemperatureLogitsWarper
from temp_processors.policies.scheduled import ScheduledTemperatureLogitsWarper, Shape


class TemperatureControl(TrainerCallback, ExportableState):
    """A number that a trainer multiplies the temperature of its policy with, anew for every batch of rollouts.

    A subclass sets `temperature` in the events of `TrainerCallback`. The trainer tells what it measured with `see`.
    """

    temperature: float = 1.0

    def see(self, entropy: float, tokens: float) -> None:
        """Mean entropy under the policy, in nats, over so many new tokens of a training rollout, of all processes together."""


def controlled(policy: Any, controls: Sequence[TemperatureControl]) -> Any:
    """The policy with its temperature multiplied by those of the controls: applied after it, so that cuts stay as they are.

    Args:
        policy: A policy, or one as data (`{"kind": ...}`), or None for the model's own distribution.
        controls: Their order does not matter.

    Returns:
        A policy where one was given, otherwise data; `policy` itself where there is no control.

    Example:
        >>> class Half(TemperatureControl):
        ...     temperature = 0.5
        >>> controlled({"kind": "top_p", "top_p": 0.9}, [Half()])
        {'kind': 'chain', 'steps': [{'kind': 'top_p', 'top_p': 0.9}, {'kind': 'fixed', 'temperature': 0.5}]}
    """
    if not controls:
        return policy
    factor = math.prod(control.temperature for control in controls)
    if isinstance(policy, PolicyLogitsWarper):
        return ChainLogitsWarper([policy, FixedTemperatureLogitsWarper(factor)])
    last = {"kind": "fixed", "temperature": factor}
    return last if policy is None else {"kind": "chain", "steps": [dict(policy), last]}


class TemperatureSchedule(TemperatureControl):
    """A temperature that follows a schedule over the steps of a training (updates of the weights, 0 before the first).

    Args:
        shape, start, end, steps, points, decay, warmup: As for `ScheduledTemperatureLogitsWarper`, over training steps in
            place of tokens.

    Example:
        >>> cooling = TemperatureSchedule("linear", start=1.2, end=0.8, steps=100)
        >>> cooling.at(0), cooling.at(50), cooling.at(1000)
        (1.2, 1.0, 0.8)
    """

    @checked
    def __init__(
        self,
        shape: Shape,
        start: Temperature | None = None,
        end: Temperature | None = None,
        steps: AtLeastOne | None = None,
        *,
        points: Points | None = None,
        decay: Positive | None = None,
        warmup: Count = 0,
    ) -> None:
        self._arguments = {"shape": shape, "start": start, "end": end, "steps": steps, "points": points}
        self._arguments |= {"decay": decay, "warmup": warmup}
        self._curve = ScheduledTemperatureLogitsWarper(
            shape, start, end, steps, points=points, decay=decay, warmup=warmup
        )
        self.temperature = self.at(0)

    def at(self, step: int) -> float:
        """The temperature of the rollouts that are drawn after so many updates."""
        return float(self._curve.at_step(torch.tensor(float(step), dtype=torch.float64)))

    def on_train_begin(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
        self.temperature = self.at(state.global_step)

    def on_step_begin(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
        self.temperature = self.at(state.global_step)

    def state(self) -> dict[str, Any]:
        """What a checkpoint keeps: the schedule itself; where it stands follows from the step."""
        return {"args": self._arguments, "attributes": {}}


class EntropyController(TemperatureControl):
    r"""
    A temperature that holds the entropy of the rollouts near a target, moved after every update of the weights:

    T <- T (1 + T ln(H* / H) / (ln V + ln ln V))

    H is the mean entropy under the policy, in nats per token, of the rollouts since the last update (all processes together), H* the
    target and V the size of the vocabulary. An update for which nothing was drawn leaves T. The log-probabilities of a rollout
    stay at the temperature that it was drawn at.

    Args:
        target: H*, in nats, > 0.
        temperature: T before the first update, > 0.
        min_temperature, max_temperature: T is held between them; the paper names no bounds.
        vocabulary: V; default: that of the model that is trained.

    Source: arXiv 2505.18573.

    Example:
        >>> controller = EntropyController(target=1.5, vocabulary=1024)
        >>> controller.see(entropy=1.0, tokens=640)
        >>> controller.update()
        >>> round(controller.temperature, 4)  # 1 + ln(1.5) / (ln 1024 + ln ln 1024)
        1.0457
    """

    @checked
    def __init__(
        self,
        target: Positive,
        temperature: Positive = 1.0,
        min_temperature: Positive = 0.1,
        max_temperature: Positive = 10.0,
        *,
        vocabulary: AtLeastOne | None = None,
    ) -> None:
        if not min_temperature <= temperature <= max_temperature:
            raise ValueError(
                f"`temperature` (={temperature:g}) has to lie between `min_temperature` (={min_temperature:g}) and "
                f"`max_temperature` (={max_temperature:g})"
            )
        self._arguments = {"target": target, "temperature": temperature, "vocabulary": vocabulary}
        self._arguments |= {"min_temperature": min_temperature, "max_temperature": max_temperature}
        self.target, self.temperature = target, temperature
        self.low, self.high = min_temperature, max_temperature
        self.vocabulary = vocabulary
        self._entropy = self._tokens = 0.0

    def see(self, entropy: float, tokens: float) -> None:
        self._entropy += entropy * tokens
        self._tokens += tokens

    def update(self) -> None:
        """One step of the formula, from what was seen since the last."""
        if self._tokens == 0:
            return
        if self.vocabulary is None:
            raise ValueError("`vocabulary` is not known before training begins: give it")
        size = math.log(self.vocabulary) + math.log(math.log(self.vocabulary))
        entropy = max(
            self._entropy / self._tokens, 1e-9
        )  # a rollout without any choice: ln(H* / 0) would not be finite
        moved = self.temperature * (1.0 + self.temperature * math.log(self.target / entropy) / size)
        self.temperature = min(max(moved, self.low), self.high)
        self._entropy = self._tokens = 0.0

    def on_train_begin(self, args: Any, state: Any, control: Any, *, model: Any = None, **kwargs: Any) -> None:
        """Take the vocabulary from the model, and where a training goes on, the temperature from its checkpoint."""
        if self.vocabulary is None:
            self.vocabulary = model.config.get_text_config().vocab_size
        saved: Mapping[str, Any] | list[Any] | None = (state.stateful_callbacks or {}).get(type(self).__name__)
        if isinstance(saved, list):  # the trainer appends the newest state
            saved = saved[-1] if saved else None
        if state.global_step > 0 and saved:
            self.temperature = float(saved["attributes"]["temperature"])

    def on_step_end(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
        self.update()

    def state(self) -> dict[str, Any]:
        """What a checkpoint keeps: the arguments, and where the temperature stands."""
        return {"args": self._arguments, "attributes": {"temperature": self.temperature}}
