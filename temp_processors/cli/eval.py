"""`temp-processors eval`: tasks of lm-evaluation-harness under several policies, and which policy is best on them."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from temp_processors.cli.console import say
from temp_processors.cli.errors import refused, told

if TYPE_CHECKING:
    from temp_processors.integrations.lm_eval import Evaluation

INSTALL = "pip install 'temp_processors[lm_eval]'"


def eval_command(
    tasks: Annotated[str, typer.Option(help="Names of lm-evaluation-harness or YAML files of tasks, with commas.")],
    policies: Annotated[
        str,
        typer.Option(
            help="A file with `policies:`, a shipped configuration, `[{name: ..., kind: ...}]`, or temperatures (0.5,1 or 0.1:1.5:0.2)."
        ),
    ],
    model: Annotated[str, typer.Option(help="fox, smollm2, a folder, a GGUF file, a Hub id.")] = "fox",
    metric: Annotated[
        str | None,
        typer.Option(help="Metric of the tasks, or METRIC,FILTER.", show_default="the first in [0, 1]"),
    ] = None,
    task: Annotated[
        Path | None,
        typer.Option(help="Score the texts on the task of this YAML file too, as `score --task` does."),
    ] = None,
    limit: Annotated[int | None, typer.Option(min=1, help="First questions of every task.")] = None,
    fewshot: Annotated[int | None, typer.Option(min=0, help="Examples in a prompt.")] = None,
    chat: Annotated[bool, typer.Option("--chat", help="Make chats of the prompts.")] = False,
    include: Annotated[Path | None, typer.Option(help="Folder with more tasks.")] = None,
    seed: Annotated[int, typer.Option(min=0, help="The same for every policy.")] = 0,
    batch_size: Annotated[int, typer.Option(min=1, help="Texts drawn together.")] = 16,
    out: Annotated[Path, typer.Option(help="Folder for samples, results and verdicts.")] = Path("eval"),
) -> None:
    """Evaluate policies on tasks of lm-evaluation-harness, and say which is best."""
    from importlib.util import find_spec

    if find_spec("lm_eval") is None:
        raise refused(f"eval: needs lm-evaluation-harness, which is not installed: {INSTALL}")
    from temp_processors.config.task_file import load_task
    from temp_processors.datafiles import expanded_path

    with told(ValueError):
        out, named = expanded_path(out), _policies(policies, model)
        if task is not None:
            load_task(task)
    names = [name.strip() for name in tasks.split(",") if name.strip()]
    found = _evaluated(
        model,
        names,
        named,
        {"limit": limit, "fewshot": fewshot, "chat": chat, "include": include, "seed": seed, "batch_size": batch_size},
    )
    with told(ValueError):
        verdicts = {name: found.verdict(name, metric).to_dict() for name in found.tasks}
    try:
        files = _write(found, verdicts, out)
    except OSError as error:
        raise refused(f"{out}: cannot be written: {error.strerror}") from error
    from temp_processors.runs.verdict import verdict_lines

    for line in (*found.notes, *(line for held in verdicts.values() for line in verdict_lines(held))):
        say(line)
    say(f"evaluation: {out / 'verdict.json'}, and a folder for each policy")
    if task is not None:
        from temp_processors.cli.score import score_on_task

        score_on_task([str(file) for file in files], task, ("text", "policy", None), out / "task", None, allow=False)


def _policies(text: str, model: str) -> dict[str, dict[str, Any]]:
    """Policies by name, as data."""
    from temp_processors.cli.without_file import config_data
    from temp_processors.config.loading import find_config, load_config
    from temp_processors.config.yaml_lines import YamlSource, parse_yaml, read_yaml

    data: dict[str, Any] = {"name": "eval", "model": model, "prompts": ["-"], "checkpoint_sampling": "neutralise"}
    if text.lstrip().startswith(("[", "{")):
        held = parse_yaml(text, "--policies").sound_data()
        data["policies"] = held if isinstance(held, list) else [held]
    elif re.fullmatch(r"[\d.,:\s]+", text):
        data = {**config_data(model, ["-"], text), **data}
    else:
        held = read_yaml(find_config(Path(text))).sound_data()
        if not isinstance(held, dict) or "policies" not in held:
            raise ValueError(f"--policies: {text}: has no field `policies`")
        data["policies"] = held["policies"]
    policies = load_config(YamlSource("--policies", data)).policies
    return {one.name: one.policy.model_dump(mode="json", exclude_none=True) for one in policies}


def _evaluated(model: str, tasks: list[str], policies: dict[str, Any], options: dict[str, Any]) -> Evaluation:
    from pydantic import ValidationError
    from transformers.utils import logging as transformers_logging

    from temp_processors.config.sections import ModelSpec
    from temp_processors.engines.local import LocalEngine
    from temp_processors.integrations.lm_eval import evaluate

    transformers_logging.disable_progress_bar()
    try:
        spec = ModelSpec(name=model)
    except ValidationError as error:
        raise refused(f"--model: has to name a model, but is {model!r}") from error
    with told(ValueError):
        engine = LocalEngine.of(spec)
        return evaluate(engine.model, engine.tokenizer, tasks, policies, **options)


def _write(found: Evaluation, verdicts: dict[str, Any], out: Path) -> list[Path]:
    """`verdict.json`, and for each policy a folder with the harness's results and samples, in its own formats; the files of samples."""
    from lm_eval.utils import handle_non_serializable

    out.mkdir(parents=True, exist_ok=True)
    (out / "verdict.json").write_text(json.dumps(verdicts, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")
    files = []
    for number, (policy, result) in enumerate(found.results.items()):
        readable = re.sub(r"[^\w.=+-]+", "-", policy)
        folder = out / f"{number:02d}-{readable}"
        folder.mkdir(exist_ok=True)
        kept = {name: value for name, value in result.items() if name != "samples"}
        text = json.dumps(kept, indent=2, ensure_ascii=False, default=handle_non_serializable) + "\n"
        (folder / "results.json").write_text(text, encoding="utf-8")
        for task, samples in result["samples"].items():
            file = folder / f"samples_{task}.jsonl"
            file.write_text("".join(map(_line, samples)), encoding="utf-8")
            files.append(file)
    return files


def _line(sample: dict[str, Any]) -> str:
    """A line of `samples_*.jsonl` as `lm-eval --log_samples` writes it."""
    from lm_eval.utils import handle_non_serializable

    arguments = {
        f"gen_args_{place}": {f"arg_{position}": value for position, value in enumerate(each)}
        for place, each in enumerate(sample["arguments"])
    }
    held = {**sample, "arguments": arguments, "target": str(sample["target"])}
    return json.dumps(held, ensure_ascii=False, default=handle_non_serializable) + "\n"
