"""Options of Ollama: `options` of a request, `PARAMETER` of a Modelfile.

Its own engine applies top-k, the temperature, top-p, then min-p, and knows no penalty. Models that it runs with llama.cpp cut before
they temper; for these, and wherever a policy does not go with the order above, take the format llama.cpp.

Source: sample/samplers.go and docs/modelfile of ollama/ollama, read in 2026.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from temp_processors.exchange.reading import number, on, unknown, whole
from temp_processors.exchange.result import Exported, Imported
from temp_processors.exchange.steps import Step, fitted, one, policy_of

NAME = "Ollama"
ORDER = ("top_k", "fixed", "top_p", "min_p")
OFF: dict[str, Any] = {"temperature": 1.0, "top_k": 0, "top_p": 1.0, "min_p": 0.0}
"""Given in full: left out, they are 0.8, 40, 0.9 and 0."""
NO_COUNTERPART: dict[str, tuple[Any, ...]] = {
    "repeat_penalty": (1,),
    "presence_penalty": (0,),
    "frequency_penalty": (0,),
    "typical_p": (1,),
    "tfs_z": (1,),
    "mirostat": (0,),
}
BESIDE = (
    "draft_num_predict",
    "mirostat_eta",
    "mirostat_tau",
    "num_batch",
    "num_ctx",
    "num_gpu",
    "num_keep",
    "num_predict",
    "num_thread",
    "penalize_newline",
    "repeat_last_n",
    "seed",
    "stop",
)


def write(steps: list[Step], policy: Mapping[str, Any]) -> Exported:
    """The options that do these steps."""
    own = fitted(steps, ORDER, NAME)
    values = {"temperature" if step.kind == "fixed" else step.kind: step.value for step in own.steps}
    return Exported({**OFF, **values}, tuple(own.not_carried))


def read(fields: Mapping[str, Any]) -> Imported:
    """The policy of these options, with the defaults of Ollama for what is left out."""
    problems = [
        *unknown(fields, (*OFF, *NO_COUNTERPART, *BESIDE), NAME),
        *on(fields, NO_COUNTERPART, "has no counterpart in a policy"),
    ]
    top_k, top_p = whole(fields, "top_k", 40), min(number(fields, "top_p", 0.9), 1.0)
    temperature, min_p = max(number(fields, "temperature", 0.8), 0.0), number(fields, "min_p", 0.0)
    steps = [one("top_k", top_k)] if top_k > 0 else []
    steps += [one("fixed", temperature)] if temperature != 1.0 else []
    steps += [one("top_p", top_p)] if top_p < 1.0 else []
    steps += [one("min_p", min_p)] if min_p > 0.0 else []
    return Imported(policy_of(steps), tuple(problems), tuple(name for name in fields if name in BESIDE))
