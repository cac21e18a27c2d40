"""`temp-processors audit`: what `generate()` would apply to the scores of a checkpoint."""

from __future__ import annotations

from typing import Annotated, Any

import typer

from temp_processors.cli.console import say
from temp_processors.cli.errors import refused, told


def audit_command(
    model: Annotated[str, typer.Argument(help="fox, a folder, a GGUF file, a Hub id.")],
    temperature: Annotated[float | None, typer.Option(help="As in the call; it samples.")] = None,
    top_k: Annotated[int | None, typer.Option(help="As in the call; 0 is off.")] = None,
    top_p: Annotated[float | None, typer.Option(help="As in the call.")] = None,
    sample: Annotated[
        bool | None, typer.Option("--sample/--greedy", help="do_sample of the call; the checkpoint's own by default.")
    ] = None,
) -> None:
    """Say what `generate()` applies to the scores for MODEL and this call, where each value comes from, and what is odd about it."""
    from pydantic import ValidationError
    from transformers.utils import logging as transformers_logging

    from temp_processors.audit import audit
    from temp_processors.config.sections import ModelSpec
    from temp_processors.engines.local import LocalEngine

    transformers_logging.disable_progress_bar()
    given: dict[str, Any] = {"temperature": temperature, "top_k": top_k, "top_p": top_p, "do_sample": sample}
    call = {name: value for name, value in given.items() if value is not None}
    if temperature is not None and sample is None:
        call["do_sample"] = True
    try:
        spec = ModelSpec(name=model)
    except ValidationError as error:
        raise refused(f"MODEL: has to name a model, but is {model!r}") from error
    with told(ValueError):
        found = audit(LocalEngine.of(spec).model, **call)
    say(f"generate({', '.join(f'{name}={value}' for name, value in call.items())}) of {model}")
    say(str(found))
