"""Fields of OpenAI's API that other servers take by the same names: temperature and top-p.

OpenAI does not say in which order it applies them; servers that copy its API apply the temperature first, and that is what is written and
read here. A temperature goes up to 2.

Source: the reference of `POST /v1/completions` and `POST /v1/chat/completions`, read in 2026.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from temp_processors.exchange.reading import number, on, unknown
from temp_processors.exchange.result import Exported, Imported
from temp_processors.exchange.steps import Step, fitted, one, policy_of

NAME = "OpenAI's API"
ORDER = ("fixed", "top_p")
OFF: dict[str, Any] = {"temperature": 1.0, "top_p": 1.0}
"""Given in full: what is left out stands at the default of the server."""
HOTTEST = 2.0
NO_COUNTERPART: dict[str, tuple[Any, ...]] = {
    "presence_penalty": (0,),
    "frequency_penalty": (0,),
    "logit_bias": ({},),
    "response_format": ({"type": "text"},),
}
BESIDE = (
    "best_of",
    "echo",
    "logprobs",
    "max_completion_tokens",
    "max_tokens",
    "messages",
    "metadata",
    "model",
    "n",
    "prompt",
    "seed",
    "stop",
    "store",
    "stream",
    "stream_options",
    "suffix",
    "top_logprobs",
    "user",
)


def write(steps: list[Step], policy: Mapping[str, Any]) -> Exported:
    """The fields that do these steps."""
    own = fitted(steps, ORDER, NAME)
    values = {"temperature" if step.kind == "fixed" else step.kind: step.value for step in own.steps}
    hot = values.get("temperature", 1.0) > HOTTEST
    problems = [f"temperature {values['temperature']!r}: {NAME} takes at most {HOTTEST:g}"] if hot else []
    return Exported({**OFF, **values}, tuple(own.not_carried + problems))


def read(fields: Mapping[str, Any]) -> Imported:
    """The policy of a request, with the defaults of OpenAI for what is left out."""
    problems = [
        *unknown(fields, (*OFF, *NO_COUNTERPART, *BESIDE), NAME),
        *on(fields, NO_COUNTERPART, "has no counterpart in a policy"),
    ]
    temperature, top_p = number(fields, "temperature", 1.0), number(fields, "top_p", 1.0)
    steps = [one("fixed", temperature)] if temperature != 1.0 else []
    steps += [one("top_p", top_p)] if top_p < 1.0 else []
    return Imported(policy_of(steps), tuple(problems), tuple(name for name in fields if name in BESIDE))
