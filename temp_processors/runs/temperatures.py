"""Which policies of a configuration are one fixed temperature."""

from __future__ import annotations

from typing import Any

HOTTEST = 1e12
"""Larger numbers are no temperatures."""


def fixed_temperatures(config: Any) -> dict[str, float]:
    """The temperature of every policy that has one fixed number, by its name; of data that is no configuration none.

    Args:
        config: `config.yaml` as data, from anywhere.

    Example:
        >>> policies = [{"name": "cold", "kind": "fixed", "temperature": 0.1}, {"name": "free", "kind": "dynamic"}]
        >>> fixed_temperatures({"policies": policies}), fixed_temperatures(None)
        ({'cold': 0.1}, {})
    """
    fixed = [policy for policy in policies_of(config) if policy.get("kind") == "fixed"]
    named = [
        policy for policy in fixed if isinstance(policy.get("name"), str) and _is_number(policy.get("temperature"))
    ]
    return {policy["name"]: float(policy["temperature"]) for policy in named if abs(policy["temperature"]) < HOTTEST}


def policies_of(config: Any) -> list[dict[str, Any]]:
    """The policies that are mappings."""
    listed = config.get("policies") if isinstance(config, dict) else None
    return [item for item in listed if isinstance(item, dict)] if isinstance(listed, list) else []


def _is_number(value: Any) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool)
