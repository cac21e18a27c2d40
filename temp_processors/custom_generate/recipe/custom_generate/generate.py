"""The entry that `model.generate(custom_generate=...)` loads; the work is in the installed package."""

from typing import Any

from temp_processors.custom_generate import generate_with_policy


def generate(model: Any, temperature_policy: Any = None, **kwargs: Any) -> Any:
    """`generate` under a temperature policy: see `temp_processors.custom_generate.generate_with_policy`.

    Where the call names no policy, that of `generation_config.temperature_policy` acts: of the one passed, else of the model.
    """
    for config in (kwargs.get("generation_config"), model.generation_config):
        if temperature_policy is None:
            temperature_policy = getattr(config, "temperature_policy", None)
    if temperature_policy is None:
        raise ValueError(
            "this recipe needs temperature_policy={'kind': ...}, such as {'kind': 'fixed', 'temperature': 0.5}"
        )
    return generate_with_policy(model, temperature_policy, **kwargs)
