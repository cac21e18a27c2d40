"""`temp-processors init`: a commented configuration to begin with; it asks only on a terminal."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated

import typer

from temp_processors.cli.console import say
from temp_processors.cli.errors import refused, told
from temp_processors.cli.without_file import config_data

PROMPT, TEMPERATURES = "The quick brown fox", "0.1:1.5:0.2"
TEXT = """# Temperature and {model}. Run it: temp-processors run {path}
{head}
samples_per_prompt: 16    # texts for every prompt and policy; more make intervals narrower
max_new_tokens: 48        # longest continuation, in tokens
seed: 0                   # the same seed gives the same texts
# coupled: true           # policies share their random numbers, so that differences between them have less noise
{policies}
# more kinds: temp-processors list policies
# - {{name: cooling, kind: scheduled, shape: linear, start: 1.5, end: 0.5, steps: 24}}
# - {{preset: qwen3_thinking}}
metrics: [distinct_1, distinct_2, self_bleu_4, perplexity, mean_length]   # temp-processors list metrics
# primary: distinct_2     # the metric that answers your question, chosen beforehand
"""


def init_command(
    path: Annotated[Path, typer.Argument(help="File to write.")] = Path("experiment.yaml"),
    model: Annotated[str | None, typer.Option(help="fox, smollm2, a folder, a Hub id; fox by default.")] = None,
    prompt: Annotated[list[str] | None, typer.Option(help="A text to continue; repeatable.")] = None,
    temperatures: Annotated[str | None, typer.Option(help="0.1,0.5,1 or from:to:step.")] = None,
) -> None:
    """Write a commented configuration to begin with; asks for what is not given where there is a terminal."""
    from temp_processors.datafiles import expanded_path

    with told(ValueError):
        path = expanded_path(path)
    if path.exists() or path.is_symlink():
        raise refused(f"{path}: is there already; choose another name, or delete it")
    asks = sys.stdin.isatty() and sys.stdout.isatty()
    model = model or _answer("model", "fox", asks)
    prompts = prompt or [_answer("prompt", PROMPT, asks)]
    with told(ValueError):
        text = text_of(model, prompts, temperatures or _answer("temperatures", TEMPERATURES, asks), path)
    try:
        with path.open("x", encoding="utf-8") as file:
            file.write(text)
    except OSError as error:
        raise refused(f"{path}: cannot be written: {error.strerror}") from error
    say(f"configuration: {path}\nrun it: temp-processors run {path}")


def _answer(question: str, default: str, asks: bool) -> str:
    return str(typer.prompt(question, default=default)) if asks else default


def text_of(model: str, prompts: list[str], temperatures: str, path: Path) -> str:
    """The configuration, checked.

    Raises:
        ConfigError: It would be refused by `run`.
        ValueError: Temperatures that are none.
    """
    from temp_processors.config.loading import load_config
    from temp_processors.config.yaml_lines import YamlSource, write_yaml
    from temp_processors.inert import one_line

    data = config_data(model, prompts, temperatures)
    load_config(YamlSource("the command line", data))
    head = write_yaml({name: data[name] for name in ("name", "model", "prompts")}).rstrip()
    policies = write_yaml({"policies": data["policies"]}).rstrip()
    return TEXT.format(model=one_line(model), path=one_line(str(path)), head=head, policies=policies)
