"""`temp-processors schema`: the JSON schema of a configuration, for editors."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated

import typer

from temp_processors.cli.console import say
from temp_processors.cli.errors import refused, told


def schema_command(
    out: Annotated[Path | None, typer.Option("--out", help="File to write; the terminal by default.")] = None,
) -> None:
    """Print the JSON schema of a configuration; an editor reads it from `# yaml-language-server: $schema=FILE`."""
    from temp_processors.config.schema import configuration_schema
    from temp_processors.datafiles import expanded_path

    text = json.dumps(configuration_schema(), indent=1, ensure_ascii=False) + "\n"
    if out is None:
        typer.echo(text, nl=False)
        return
    with told(ValueError):
        out = expanded_path(out)
    try:
        out.write_text(text, encoding="utf-8")
    except OSError as error:
        raise refused(f"{out}: cannot be written: {error.strerror}") from error
    say(f"schema: {out}")
