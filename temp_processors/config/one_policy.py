"""One policy, as commands take it: YAML text, a file that holds it, a preset, or a configuration and the name of one of its policies."""

from __future__ import annotations

from pathlib import Path

from temp_processors.config.errors import problem_at
from temp_processors.config.loading import find_config, load_config
from temp_processors.config.presets import PresetError, known_presets, with_presets
from temp_processors.config.yaml_lines import ConfigError, Problem, YamlSource, parse_yaml, read_yaml
from temp_processors.policies.kinds import BasePolicy, validated
from temp_processors.policies.mistakes import PolicyMistakesError, suggestion


def one_policy(text: str, name: str | None = None) -> BasePolicy:
    """The policy that a text says or points to.

    Args:
        text: `{kind: fixed, temperature: 0.6}` or `{preset: qwen3_thinking}`, a YAML file with such a mapping, the name of a preset, or a
            configuration, by its file or its shipped name.
        name: Which policy of a configuration; its only one by default.

    Raises:
        ConfigError: Neither of these, or mistakes in the policy, each with its file, line and field.

    Example:
        >>> one_policy("{kind: top_k, top_k: 20}")
        TopKCutPolicy(kind='top_k', top_k=20)
    """
    written = text.lstrip().startswith("{") or any(f"{field}:" in text for field in ("kind", "preset"))
    source = parse_yaml(text, "POLICY") if written else _file(text)
    if source is None and text in known_presets():
        source = YamlSource(text, {"preset": text}, {})
    if source is not None and isinstance(source.data, dict) and "policies" not in source.data:
        if name is not None:
            raise ConfigError([Problem(source.name, None, (), f"is one policy, of which none is named {name!r}")])
        return _checked(source)
    return _chosen(text, name)


def _file(text: str) -> YamlSource | None:
    """The file of this name, None where a configuration that is shipped may be meant."""
    return read_yaml(Path(text)) if Path(text).is_file() else None


def _checked(source: YamlSource) -> BasePolicy:
    try:
        (data,) = with_presets([source.data], known_presets)
        found = validated({key: value for key, value in data.items() if key not in ("name", "source")})
    except PresetError as error:
        raise ConfigError([*source.problems, source.problem(error.path[1:], error.message)]) from error
    except PolicyMistakesError as error:
        found_wrong = (problem_at(source, path, message) for path, message in error.mistakes)
        raise ConfigError([*source.problems, *found_wrong]) from error
    if source.problems:
        raise ConfigError(source.problems)
    return found


def _chosen(text: str, name: str | None) -> BasePolicy:
    try:
        find_config(Path(text))
    except ConfigError as error:
        told = f"; nor is it a preset{suggestion(text, known_presets())} (temp-processors list presets)"
        raise ConfigError([problem._replace(message=problem.message + told) for problem in error.problems]) from error
    policies = {named.name: named.policy for named in load_config(Path(text)).policies}
    names = ", ".join(policies)
    if name is None and len(policies) > 1:
        raise ConfigError([Problem(text, None, ("policies",), f"has {len(policies)}: name one of {names}")])
    if name is not None and name not in policies:
        raise ConfigError(
            [Problem(text, None, ("policies",), f"none is named {name!r}{suggestion(name, policies)}; names: {names}")]
        )
    return policies[next(iter(policies)) if name is None else name]
