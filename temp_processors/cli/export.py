"""`temp-processors export`: a policy as the settings of another sampler."""

from __future__ import annotations

import json
from typing import Annotated

import typer

from temp_processors.cli.console import say
from temp_processors.cli.errors import refused, told

Partial = Annotated[
    bool, typer.Option("--partial", help="Leave out what has no counterpart, and name it, instead of stopping.")
]


def export_command(
    policy: Annotated[
        str,
        typer.Argument(help="YAML such as '{kind: fixed, temperature: 0.6}', its file, a preset, or a configuration."),
    ],
    to: Annotated[str, typer.Option(help="llama.cpp, vllm, generation_config, ollama, openai.")],
    name: Annotated[
        str | None, typer.Option("--policy", help="Name of the policy, where POLICY is a configuration.")
    ] = None,
    partial: Partial = False,
) -> None:
    """Print a policy as JSON in the fields of another sampler."""
    from temp_processors.config.one_policy import one_policy
    from temp_processors.exchange.formats import exported, format_named

    with told(ValueError):
        format_named(to)
        found = exported(one_policy(policy, name), to)
    tell_not_carried(found.not_carried, partial=partial)
    typer.echo(json.dumps(found.fields, indent=2))


def tell_not_carried(sentences: tuple[str, ...], *, partial: bool) -> None:
    """Name what has no counterpart on stderr; end the command unless that was asked for."""
    if not sentences:
        return
    lines = "\n".join(f"not carried: {sentence}" for sentence in sentences)
    if not partial:
        raise refused(f"{lines}\n--partial leaves it out")
    say(lines, error=True)
