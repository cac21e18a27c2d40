"""Texts that other programs generated, with the rows of their prompts: lm-evaluation-harness, inspect_ai, evalplus, plain rows.

* lm-evaluation-harness (`--log_samples`): a line of `samples_*.jsonl` holds the `doc`, the `target`, the `arguments` of the request with
  its `temperature`, and `resps`, one list with every repeat. The columns are those of the doc, `target`, `doc_id`, and the generation
  arguments.
* inspect_ai: a `.eval` log, read by inspect_ai itself (extra `inspect`). The columns are the sample's `metadata`, `id`, `epoch`, `input`,
  `target`, and the generation settings that were given, `temperature` among them; a sample with an error is not scored, and named.
* evalplus: JSONL with `task_id` and `solution` (or `completion`); tests come from a file of problems, joined by `task_id`.
* anything else that `score` reads: one text a row.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from temp_processors.datafiles import RowsError, column_of, read_rows, text_of

INSPECT = "pip install 'temp_processors[inspect]'"
PROMPTS = ("prompt_id", "doc_id", "task_id", "id")
"""Columns that name the prompt of a text, where none is chosen: the first that a file has."""
TEMPERATURE = "temperature"


ERROR = "error of the log"
"""Column of a text that a log holds an error in place of."""


class Generated(NamedTuple):
    """One text.

    Args:
        text: As it was generated.
        row: The columns beside it.
        group: Of which policy it is.
        prompt: What names its prompt.
        where: Its row, for errors.
        error: Why there is no text; None where there is one.
    """

    text: str
    row: Mapping[str, Any]
    group: str
    prompt: Any
    where: str
    error: str | None = None


class Naming(NamedTuple):
    """Which columns hold what.

    Args:
        text: The text, in plain rows.
        group: What names its policy; `temperature` by default where a log has it, else all texts of a file are one group.
        prompt: What names its prompt; the first of `PROMPTS` by default.
    """

    text: str = "text"
    group: str | None = None
    prompt: str | None = None


USUAL = Naming()


def read_generated(sources: Sequence[str], naming: Naming = USUAL) -> list[Generated]:
    """Every text of every source, in order.

    Raises:
        RowsError: A source cannot be read, lacks a column, or names no prompts.
    """
    found: list[Generated] = []
    for source in sources:
        own = list(_texts(Path(source), naming))
        if not own:
            raise RowsError(f"{source}: holds no text")
        found += [
            _named(text, row, f"row {number} of {source}", Path(source).stem, naming) for number, text, row in own
        ]
    return found


def _named(text: str, row: Mapping[str, Any], where: str, file: str, naming: Naming) -> Generated:
    prompt = naming.prompt or next((name for name in PROMPTS if name in row), None)
    if prompt is None:
        raise RowsError(
            f"{where}: nothing names its prompt: choose a column with --prompt-column; columns: {', '.join(row)}"
        )
    by = naming.group or (TEMPERATURE if row.get(TEMPERATURE) is not None else None)
    group = file if by is None else str(column_of(dict(row), by, where))
    key = column_of(dict(row), prompt, where)
    return Generated(text, row, group, key if isinstance(key, (str, int)) else str(key), where, row.get(ERROR))


def _texts(path: Path, naming: Naming) -> Iterator[tuple[int, str, dict[str, Any]]]:
    """Number of the row, text and columns of every text of a file."""
    if path.suffix == ".eval":
        yield from _inspect(path)
        return
    for number, row in enumerate(read_rows(path, naming.text), start=1):
        if {"doc", "resps", "arguments"} <= set(row):
            yield from ((number, text, columns) for text, columns in _harness(row, f"row {number} of {path}"))
            continue
        column = naming.text
        if column not in row and "task_id" in row:
            column = next((name for name in ("solution", "completion") if name in row), column)
        text = text_of(column_of(row, column, f"row {number} of {path}"))
        if text is None:
            raise RowsError(
                f"row {number} of {path}: column {column!r} has to hold a text, but holds {str(row[column])[:60]!r}"
            )
        yield number, text, {name: value for name, value in row.items() if name != column}


def _harness(row: dict[str, Any], where: str) -> Iterator[tuple[str, dict[str, Any]]]:
    """The texts of one line of lm-evaluation-harness: every repeat, with the columns of its doc and its generation arguments."""
    request = row["arguments"].get("gen_args_0", {}) if isinstance(row["arguments"], dict) else {}
    given = request.get("arg_1")
    arguments: dict[str, Any] = given if isinstance(given, dict) else {}
    doc = row["doc"] if isinstance(row["doc"], dict) else {"doc": row["doc"]}
    columns = {
        **arguments,
        **doc,
        "target": row.get("target"),
        "doc_id": row.get("doc_id"),
        "prompt": request.get("arg_0"),
    }
    answers = row["resps"][0] if isinstance(row["resps"], list) and row["resps"] else []
    for text in answers if isinstance(answers, list) else [answers]:
        if not isinstance(text, str):
            raise RowsError(f"{where}: holds no generated text (a task of log-likelihoods?), but {str(text)[:60]!r}")
        yield text, columns


def _inspect(path: Path) -> Iterator[tuple[int, str, dict[str, Any]]]:
    """The texts of a log of inspect_ai, by its own reader."""
    try:
        from inspect_ai.log import read_eval_log
    except ImportError as error:
        raise RowsError(f"{path}: logs of inspect_ai need inspect_ai, which is not installed: {INSPECT}") from error
    if not path.is_file():
        raise RowsError(f"{path}: no such file")
    try:
        log = read_eval_log(str(path))
    except (OSError, ValueError, KeyError) as error:
        raise RowsError(f"{path}: is no log of inspect_ai: {error}") from error
    settings = log.plan.config.model_dump(exclude_none=True)
    for number, sample in enumerate(log.samples or (), start=1):
        shown = sample.input if isinstance(sample.input, str) else sample.input[-1].text
        columns = {"id": sample.id, "epoch": sample.epoch, "input": shown, "prompt": shown, "target": sample.target}
        failed = {ERROR: sample.error.message.strip().splitlines()[0]} if sample.error is not None else {}
        yield number, sample.output.completion, {**settings, **sample.metadata, **columns, **failed}
