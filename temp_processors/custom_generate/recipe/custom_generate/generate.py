"""The entry that `model.generate(custom_generate=...)` loads; the work is in the installed package."""

from typing import Any

from temp_processors.custom_generate import generate_with_policy


def generate(model: Any, temperature_policy: Any = None, **kwargs: Any) -> Any:
    """`generate` under a temperature policy: see `temp_processors.custom_generate.generate_with_policy`."""
    if temperature_policy is None:
        raise ValueError(
            "this recipe needs temperature_policy={'kind': ...}, such as {'kind': 'fixed', 'temperature': 0.5}"
        )
    return generate_with_policy(model, temperature_policy, **kwargs)
