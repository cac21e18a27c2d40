"""What is on the page as an experiment: a configuration that the runner takes, and a snippet that gives the same texts."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import pydantic

from temp_processors.config.errors import problems_of
from temp_processors.config.experiment import ExperimentConfig
from temp_processors.config.yaml_lines import Problem, YamlSource
from temp_processors.experiment.plan import sample_seed

COLUMNS = ("A", "B", "C", "D")
"""Names of the policies: they stay while parameters move, and with them the seeds."""

LONGEST_PROMPT = 20_000
"""Characters of the prompt; models say themselves where their context ends."""
LONGEST_TEXT = 256
MOST_SAMPLES = 64
LARGEST_SEED = 2**53
"""Whole numbers above this are not exact in a browser."""

METRICS = ("distinct_1", "distinct_2", "self_bleu_4")


class ScreenError(ValueError):
    """What is on the page is no experiment; one line for each problem, naming the column and the field."""


def check_settings(prompt: Any, columns: Any, max_new_tokens: Any, seed: Any, samples: Any, system: Any = "") -> None:
    """Refuse what the page itself would not send, whoever sent it: more than a server for everybody can take.

    Raises:
        ScreenError: Naming the setting and what is allowed.
    """
    if not isinstance(prompt, str) or len(prompt) > LONGEST_PROMPT:
        raise ScreenError(f"prompt: has to be a text of at most {LONGEST_PROMPT:,} characters")
    if not isinstance(system, str) or len(system) > LONGEST_PROMPT:
        raise ScreenError(f"system prompt: has to be a text of at most {LONGEST_PROMPT:,} characters")
    for name, value, low, high in (
        ("policies", columns, 1, len(COLUMNS)),
        ("longest text", max_new_tokens, 1, LONGEST_TEXT),
        ("seed", seed, 0, LARGEST_SEED),
        ("samples", samples, 1, MOST_SAMPLES),
    ):
        if (
            isinstance(value, bool)
            or not isinstance(value, (int, float))
            or value != value // 1
            or not low <= value <= high
        ):
            raise ScreenError(f"{name}: has to be a whole number from {low} to {high}, but is {str(value)[:40]}")


def screen_data(
    model: str,
    prompt: str,
    policies: Mapping[str, Mapping[str, Any]],
    *,
    max_new_tokens: int,
    seed: int,
    samples: int,
    neutralise: bool = False,
    system: str = "",
) -> dict[str, Any]:
    """The mapping of a configuration file for what is on the page.

    Args:
        model: `fox`, a folder, or a Hub id.
        prompt: The text to continue.
        policies: By name of the column, as `forms.policy_mapping` makes them.
        max_new_tokens: Longest continuation, in tokens.
        seed: Of the experiment.
        samples: Continuations of every policy when diversity is measured; the first one is the text that is streamed.
        neutralise: Whether the checkpoint sets sampling values that have to be ignored.
        system: Makes the prompt a message of a chat that begins with this; a blank one leaves it a text to continue.
    """
    named = [{"name": name, **policy} for name, policy in policies.items()]
    return {
        "name": "explore",
        "model": model,
        "prompts": [prompt],
        **({"system_prompt": system} if system.strip() else {}),
        "samples_per_prompt": samples,
        "max_new_tokens": max_new_tokens,
        "seed": seed,
        "policies": named,
        "metrics": list(METRICS),
        **({"checkpoint_sampling": "neutralise"} if neutralise else {}),
    }


def screen_config(data: Mapping[str, Any]) -> ExperimentConfig:
    """The experiment, checked as a configuration file is.

    Raises:
        ScreenError: Every problem, one a line.
    """
    texts = data["prompts"][0] + data.get("system_prompt", "")
    if any("\ud800" <= character <= "\udfff" for character in texts):
        raise ScreenError("prompt: holds half a character (a lone surrogate), which is no text")
    try:
        return ExperimentConfig.model_validate(data)
    except pydantic.ValidationError as error:
        problems = problems_of(error, YamlSource("", dict(data)), ExperimentConfig)
        raise ScreenError("\n".join(_said(problem, data["policies"]) for problem in problems)) from error


def _said(problem: Problem, policies: Sequence[Mapping[str, Any]]) -> str:
    """`A: temperature: has to be ...` for `policies.0.temperature`, `prompt: ...` for `prompts.0`."""
    path = [str(part) for part in problem.path]
    if path[:1] == ["policies"] and len(path) > 1:
        path = [policies[int(path[1])]["name"], *path[2:]]
    elif path[:1] == ["prompts"]:
        path = ["prompt"]
    return ": ".join([*path, problem.message])


def streamed_seeds(config: ExperimentConfig) -> dict[str, int]:
    """The seed of the text that is streamed for every policy: that of sample 0 of the experiment."""
    return {policy.name: sample_seed(config.seed, 0, 0, policy.name) for policy in config.policies}


SNIPPET = """\
from transformers import AutoModelForCausalLM, AutoTokenizer

from temp_processors import {names}

tokenizer = AutoTokenizer.from_pretrained({place})
model = AutoModelForCausalLM.from_pretrained({place}, dtype="auto").eval()
inputs = {inputs}.to(model.device)
length = inputs["input_ids"].shape[-1]
policies = {{
{policies}
}}
seeds = {seeds}
for name, config in policies.items():
    policy = build_policy(config, prompt_length=length, tokenizer=tokenizer)
    draw = SeededSampling([seeds[name]], prompt_length=length)
    output = model.generate(
        **inputs, logits_processor=[policy, draw], max_new_tokens={max_new_tokens}, **draw_kwargs()
    )
    print(f"{{name}}:{{tokenizer.decode(output[0, length:], skip_special_tokens=True)}}")
"""


CHAT = """\
tokenizer.apply_chat_template(
    [{{"role": "system", "content": {system}}}, {{"role": "user", "content": {prompt}}}],
    add_generation_prompt=True,
    return_tensors="pt",
    return_dict=True,
)"""


def _inputs(data: Mapping[str, Any]) -> str:
    """Python that makes the model's inputs: the prompt as it is, or through the chat template."""
    prompt, system = repr(data["prompts"][0]), data.get("system_prompt")
    if system is None:
        return f'tokenizer({prompt}, return_tensors="pt")'
    return CHAT.format(system=repr(system), prompt=prompt)


def as_python(data: Mapping[str, Any], config: ExperimentConfig) -> str:
    """A snippet that prints the texts that are streamed on the page."""
    fox = data["model"] == "fox"
    policies = {
        policy["name"]: {key: value for key, value in policy.items() if key != "name"} for policy in data["policies"]
    }
    return SNIPPET.format(
        names=("FOX_PATH, " if fox else "") + "SeededSampling, build_policy, draw_kwargs",
        place="FOX_PATH" if fox else repr(data["model"]),
        inputs=_inputs(data),
        policies="\n".join(f"    {name!r}: {policy!r}," for name, policy in policies.items()),
        seeds=streamed_seeds(config),
        max_new_tokens=config.max_new_tokens,
    )
