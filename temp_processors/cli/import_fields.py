"""`temp-processors import`: the settings of another sampler as a policy of a configuration."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from temp_processors.cli.console import say
from temp_processors.cli.errors import refused, told
from temp_processors.cli.export import Partial, tell_not_carried


def import_command(
    file: Annotated[Path, typer.Argument(help="JSON or YAML: a request, a generation_config.json, options.")],
    source: Annotated[str, typer.Option("--from", help="llama.cpp, vllm, generation_config, ollama, openai.")],
    partial: Partial = False,
) -> None:
    """Print the policy that the fields of another sampler say, as YAML for a configuration."""
    from temp_processors.config.yaml_lines import write_yaml
    from temp_processors.exchange.formats import format_named, imported

    with told(ValueError):
        format_named(source)
    fields = _read(file)
    try:
        found = imported(fields, source)
    except ValueError as error:
        raise refused(f"{file}: {error}") from error
    tell_not_carried(found.not_carried, partial=partial)
    if found.beside:
        say(f"no part of a policy: {', '.join(found.beside)}", error=True)
    for note in found.notes:
        say(note, error=True)
    typer.echo(write_yaml({"policies": [{"name": file.stem, **found.policy}]}), nl=False)


def _read(file: Path) -> Any:
    """What a file holds; a mistake in it ends the command."""
    from temp_processors.config.yaml_lines import read_yaml
    from temp_processors.datafiles.json_rows import parse_json

    if file.suffix.lower() != ".json":
        with told(ValueError):
            return read_yaml(file).sound_data()
    try:
        text = file.read_text(encoding="utf-8-sig")
    except UnicodeDecodeError as error:
        raise refused(f"{file}: is not UTF-8 (byte {error.start})") from error
    except OSError as error:
        raise refused(f"{file}: cannot be read: {error.strerror}") from error
    with told(ValueError):
        return parse_json(text, file)
