"""The table of formats, and exports and imports of policies by their names.

```python
>>> from temp_processors import export_policy, import_policy
>>> warm = {"kind": "dynamic", "temperature": 0.8, "range": 0.3}
>>> fields = export_policy({"kind": "chain", "steps": [{"kind": "min_p", "min_p": 0.05}, warm]}, to="llama.cpp")
>>> fields["samplers"], fields["dynatemp_range"]
(['min_p', 'temperature'], 0.3)
>>> import_policy(fields, source="llama.cpp")["steps"][1]
{'kind': 'dynamic', 'temperature': 0.8, 'range': 0.3}
>>> export_policy(warm, to="ollama")
Traceback (most recent call last):
temp_processors.exchange.result.NotCarriedError: the policy cannot be said in full in ollama:
  dynamic (temperature 0.8, range 0.3, exponent 1.0) has no counterpart in Ollama

```
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

from temp_processors.exchange import generation_config, llama_cpp, ollama, openai, vllm
from temp_processors.exchange.result import Exported, Fields, Imported, NotCarriedError
from temp_processors.exchange.steps import Step, plain, steps_of
from temp_processors.policies.kinds import BasePolicy, validated
from temp_processors.policies.mistakes import PolicyMistakesError, suggestion


class Format(NamedTuple):
    """How one other sampler writes its settings.

    Args:
        write: From the steps of a policy, and the policy as data, to fields.
        read: From fields to a policy.
    """

    write: Callable[[list[Step], Mapping[str, Any]], Exported]
    read: Callable[[Mapping[str, Any]], Imported]


FORMATS = {
    "llama.cpp": Format(llama_cpp.write, llama_cpp.read),
    "vllm": Format(vllm.write, vllm.read),
    "generation_config": Format(generation_config.write, generation_config.read),
    "ollama": Format(ollama.write, ollama.read),
    "openai": Format(openai.write, openai.read),
}


def format_named(name: str) -> Format:
    """The format of this name.

    Raises:
        ValueError: There is none; the message names those that exist.
    """
    if name not in FORMATS:
        raise ValueError(f"{name!r} is no format{suggestion(name, FORMATS)}; formats: {', '.join(FORMATS)}")
    return FORMATS[name]


def exported(policy: Mapping[str, Any] | BasePolicy, to: str) -> Exported:
    """The fields of another sampler, as far as they say the policy, with a sentence for whatever they do not say.

    Args:
        policy: `{"kind": ..., parameters}`, or its model.
        to: A key of `FORMATS`.

    Raises:
        ValueError: No such format, or a policy that `build_policy` refuses.
    """
    chosen = format_named(to)
    model = policy if isinstance(policy, BasePolicy) else validated(policy)
    return chosen.write(steps_of(model), plain(model))


def imported(fields: Any, source: str) -> Imported:
    """The policy that fields of another sampler say, with a sentence for whatever of them it does not say.

    Args:
        fields: By the names of the format; what is left out has the default of the other sampler. A `GenerationConfig` as it is.
        source: A key of `FORMATS`.

    Raises:
        ValueError: No such format, or a value that the field cannot have.
    """
    chosen = format_named(source)
    data = fields.to_dict() if hasattr(fields, "to_dict") else fields
    if not isinstance(data, Mapping):
        raise ValueError(f"has to be a mapping of fields, but is {data!r}")
    found = chosen.read(data)
    try:
        validated(dict(found.policy))
    except PolicyMistakesError as error:
        mistakes = (" ".join([*map(str, path[-1:]), message]) for path, message in error.mistakes)
        raise ValueError("; ".join(mistakes)) from error
    return found


def export_policy(policy: Mapping[str, Any] | BasePolicy, to: str) -> Fields:
    """The fields of another sampler that mean the same as the policy; arguments as for `exported`.

    Raises:
        NotCarriedError: Some of it has no counterpart there; the message names each.
        ValueError: As for `exported`.
    """
    found = exported(policy, to)
    if found.not_carried:
        raise NotCarriedError(f"the policy cannot be said in full in {to}", found.not_carried)
    return found.fields


def import_policy(fields: Any, source: str) -> Fields:
    """The policy that means the same as fields of another sampler; arguments as for `imported`.

    Fields that are not about the choice of tokens (a seed, a length, a prompt) are not looked at.

    Raises:
        NotCarriedError: Some of the fields have no counterpart; the message names each.
        ValueError: As for `imported`.
    """
    found = imported(fields, source)
    if found.not_carried:
        raise NotCarriedError(f"the fields of {source} cannot be said in full by a policy", found.not_carried)
    return found.policy
