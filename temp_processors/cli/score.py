"""`temp-processors score`: metrics.json and the tables for texts that are already there."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated

import typer

from temp_processors.cli.console import say
from temp_processors.cli.errors import refused, told
from temp_processors.cli.scoring import (
    Baseline,
    GroupBy,
    Length,
    MetricNames,
    Primary,
    PromptColumn,
    Sources,
    Split,
    TextColumn,
    TokenizerName,
    Verbose,
    scores_of,
    show,
    split_of,
)


def score_command(
    sources: Sources,
    metrics: MetricNames = None,
    baseline: Baseline = None,
    primary: Primary = None,
    text_column: TextColumn = "text",
    group_by: GroupBy = None,
    prompt_column: PromptColumn = None,
    split: Split = None,
    length: Length = None,
    tokenizer: TokenizerName = "auto",
    stream: Annotated[
        bool, typer.Option("--stream", help="Read texts once and count on disk (TMPDIR): for files larger than memory.")
    ] = False,
    task: Annotated[
        Path | None,
        typer.Option(
            help="Score on the task of this YAML file instead: also logs of lm-evaluation-harness, inspect_ai, evalplus."
        ),
    ] = None,
    rows: Annotated[
        Path | None, typer.Option(help="With --task: a file with more columns of the prompts, such as their tests.")
    ] = None,
    allow_code_execution: Annotated[
        bool, typer.Option("--allow-code-execution", help="With --task: let `score: python_tests` run the texts.")
    ] = False,
    verbose: Verbose = False,
    out: Annotated[Path, typer.Option(help="Folder for metrics.json and comparison.csv, .md, .tex.")] = Path("scores"),
) -> None:
    """Score texts that are already there, and write metrics.json and the tables."""
    from temp_processors.datafiles import expanded_path

    with told(ValueError):
        out = expanded_path(out)
    if task is not None:
        if stream or metrics or baseline or primary or length or split or tokenizer != "auto":
            raise refused(
                "--task: takes no --stream, --metric, --baseline, --primary, --length, --split or --tokenizer: "
                "its scores are those of the file"
            )
        score_on_task(sources, task, (text_column, group_by, prompt_column), out, rows, allow=allow_code_execution)
        return
    if rows is not None or allow_code_execution:
        raise refused(
            f"{'--rows' if rows is not None else '--allow-code-execution'}: has a meaning beside --task alone"
        )
    cut = length or ("full" if stream else "paired")
    options = {
        "text_column": text_column,
        "group_by": group_by,
        "prompt_column": prompt_column,
        "split": split_of(split, sources),
        "baseline": baseline,
        "primary": primary,
        "length": cut,
        "tokenizer": tokenizer,
    }
    scored = scores_of(sources, metrics, options, stream=stream)
    from temp_processors.comparison.spreadsheet import as_csv
    from temp_processors.report.documents import write_tables

    try:
        out.mkdir(parents=True, exist_ok=True)
        text = json.dumps({"policies": scored.scores}, indent=2, ensure_ascii=False) + "\n"
        (out / "metrics.json").write_text(text, encoding="utf-8")
        (out / "comparison.csv").write_text(as_csv(scored.scores), encoding="utf-8")
        write_tables(out)
    except OSError as error:
        show(scored, verbose=verbose)
        raise refused(f"{out}: cannot be written: {error.strerror}") from error
    show(scored, verbose=verbose)
    say(f"scores: {out / 'metrics.json'}")


def score_on_task(
    sources: list[str],
    task: Path,
    columns: tuple[str, str | None, str | None],
    out: Path,
    rows: Path | None,
    *,
    allow: bool,
) -> None:
    """Write metrics.json, verdict.json and answers.jsonl of a task, and print the verdict.

    Args:
        sources: Files of texts.
        task: YAML file.
        columns: Those of the text, the group and the prompt.
        out: Folder to write to.
        rows: File with more columns of the prompts.
        allow: Whether programs in texts may run.
    """
    from temp_processors.comparison.generated import Naming
    from temp_processors.comparison.task_scores import MOST_FAILURES, verdict_of_task
    from temp_processors.comparison.task_sources import failures_of, score_sources_on
    from temp_processors.config.task_file import load_task
    from temp_processors.runs.verdict import verdict_lines
    from temp_processors.tasks.scorers.base import Tools

    with told(ValueError):
        chosen = load_task(task)
        for note in chosen.notes():
            say(note)
        found = score_sources_on(chosen, sources, Naming(*columns), rows=rows, tools=Tools(allow))
        verdict = verdict_of_task(found.scores).to_dict()
    results = {"metrics.json": {"policies": {}, "task": found.scores.to_dict()}, "verdict.json": verdict}
    try:
        out.mkdir(parents=True, exist_ok=True)
        (out / "answers.jsonl").write_text("".join(found.lines), encoding="utf-8")
        for name, data in results.items():
            (out / name).write_text(json.dumps(data, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")
    except OSError as error:
        raise refused(f"{out}: cannot be written: {error.strerror}") from error
    for line in (*failures_of(found.scores, MOST_FAILURES), *verdict_lines(verdict)):
        say(line)
    say(f"scores: {out / 'metrics.json'}, verdict.json and answers.jsonl")
