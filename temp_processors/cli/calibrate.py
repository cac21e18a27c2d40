"""`temp-processors calibrate`: the temperature at which a model is as sure of reference texts as it is right."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from temp_processors.cli.console import say
from temp_processors.cli.errors import refused, told
from temp_processors.cli.scoring import Split, split_of


def calibrate_command(
    source: Annotated[str, typer.Argument(help="Reference texts: a file (text, JSONL, CSV, Parquet) or a dataset.")],
    model: Annotated[str, typer.Option(help="fox, a folder, a GGUF file, a Hub id.")] = "fox",
    text_column: Annotated[str, typer.Option(help="Column of the text that the model should have written.")] = "text",
    prompt_column: Annotated[
        str | None,
        typer.Option(help="Column of what it continues: a text or a chat.", show_default="prompt, where there is one"),
    ] = None,
    split: Split = None,
    out: Annotated[Path | None, typer.Option(help="File to write the YAML to.")] = None,
) -> None:
    """Fit one temperature to reference texts, and print it as a policy of a configuration."""
    from pydantic import ValidationError
    from transformers.utils import logging as transformers_logging

    from temp_processors.config.prompts import PromptError
    from temp_processors.config.sections import ModelSpec
    from temp_processors.datafiles import expanded_path
    from temp_processors.engines.local import LocalEngine
    from temp_processors.tuning.calibration import calibrate
    from temp_processors.tuning.references import read_references, tokenized

    transformers_logging.disable_progress_bar()
    part = split_of(split, [source])
    try:
        spec = ModelSpec(name=model)
    except ValidationError as error:
        raise refused(f"--model: has to name a model, but is {model!r}") from error
    try:
        out = None if out is None else expanded_path(out)
        references = read_references(source, text_column=text_column, prompt_column=prompt_column, split=part)
    except PromptError as error:
        raise refused(error.problem.message) from error
    except ValueError as error:
        raise refused(str(error)) from error
    with told(ValueError):
        held = tokenized(references, LocalEngine.of(spec))
        found = calibrate(held.read, held.clusters)
    lines = found.lines()
    if held.left_out:
        lines.append(f"left out: {held.left_out:,} texts without tokens")
    text = _yaml(lines, model, source, found.temperature)
    if out is not None:
        try:
            out.write_text(text, encoding="utf-8")
        except OSError as error:
            raise refused(f"{out}: cannot be written: {error.strerror}") from error
    say(text.rstrip("\n"))


def _yaml(lines: list[str], model: str, source: str, temperature: float) -> str:
    """The policy, with what is known about it in comments."""
    from temp_processors.config.yaml_lines import write_yaml
    from temp_processors.inert import one_line

    notes = [f"# {one_line(line)}\n" for line in (f"calibrated: {model} on {source}", *lines)]
    policy = {"name": "calibrated", "kind": "fixed", "temperature": float(f"{temperature:.6g}")}
    return "".join(notes) + write_yaml({"policies": [policy]})
