"""`score --task` on what other programs wrote.

`logs/samples_heroes_*.jsonl` were written by lm-evaluation-harness 0.4.13 (model `fox`, T = 0.5 and 1.5, 3 repeats), `logs/heroes_*.eval`
by inspect_ai 0.3.285 (its mock model, T = 0.5 and 1.0, 2 epochs); evalplus' lines are in its documented layout.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from temp_processors.cli.app import app
from temp_processors.comparison.generated import Naming, read_generated
from temp_processors.comparison.task_sources import score_sources_on
from temp_processors.datafiles import RowsError
from temp_processors.tasks.scorers.base import Tools
from temp_processors.tasks.task import Task

LOGS = Path(__file__).parent / "logs"
HARNESS = [str(LOGS / f"samples_heroes_{temperature}.jsonl") for temperature in (0.5, 1.5)]
INSPECT = [str(LOGS / f"heroes_{number}.eval") for number in (1, 2)]
FIRST_WORD = {"answer": {"kind": "regex", "pattern": r"(\w+)"}, "reference": "target", "score": "exact"}


def written(path: Path, rows: list[dict[str, Any]]) -> str:
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return str(path)


def test_lm_evaluation_harness() -> None:
    texts = read_generated(HARNESS)
    assert len(texts) == 2 * 4 * 3
    assert {text.group for text in texts} == {"0.5", "1.5"}
    assert texts[0].text == " jumped over the lazy dog"
    assert (texts[0].row["question"], texts[0].row["target"], texts[0].prompt) == ("The quick brown fox", "jumped", 0)
    tables = score_sources_on(Task.model_validate(FIRST_WORD), HARNESS).scores.tables()
    for group, path in zip(("0.5", "1.5"), HARNESS, strict=True):
        for line, row in zip(Path(path).read_text().splitlines(), tables[group], strict=True):
            held = json.loads(line)
            expected = [float(text.split()[0].strip(".,") == held["target"]) for text in held["resps"][0]]
            assert [outcome.score for outcome in row] == expected


def test_a_harness_task_without_texts_is_refused(tmp_path: Path) -> None:
    row = {"doc_id": 0, "doc": {}, "target": "a", "arguments": {}, "resps": [[[-1.5, True]]]}
    with pytest.raises(RowsError, match=r"row 1 of .*: holds no generated text \(a task of log-likelihoods\?\)"):
        read_generated([written(tmp_path / "samples_x.jsonl", [row])])


def test_inspect() -> None:
    pytest.importorskip("inspect_ai", reason="the extra `inspect` is not installed")
    texts = read_generated(INSPECT)
    assert len(texts) == 2 * 4 * 2
    assert {text.group for text in texts} == {"0.5", "1.0"}
    assert (texts[0].text, texts[0].row["target"], texts[0].row["kind"], texts[0].prompt) == (
        "walked",
        "jumped",
        "tale",
        1,
    )
    tables = score_sources_on(Task.model_validate(FIRST_WORD), INSPECT).scores.tables()
    assert [len(row) for row in tables["0.5"]] == [2, 2, 2, 2]


def test_inspect_that_is_not_installed_is_one_line(tmp_path: Path) -> None:
    try:
        import inspect_ai  # noqa: F401
    except ImportError:
        with pytest.raises(
            RowsError, match=r"need inspect_ai, which is not installed: pip install 'temp_processors\[inspect\]'"
        ):
            read_generated(INSPECT)


def test_evalplus_with_the_tests_of_its_problems(tmp_path: Path) -> None:
    solutions = [
        {"task_id": "HumanEval/0", "solution": "def inc(x):\n    return x + 1\n"},
        {"task_id": "HumanEval/0", "solution": "def inc(x):\n    return x\n"},
    ]
    problems = [{"task_id": "HumanEval/0", "test": "def check(f):\n    assert f(1) == 2\n", "entry_point": "inc"}]
    sources = [written(tmp_path / "warm.jsonl", solutions)]
    rows = Path(written(tmp_path / "problems.jsonl", problems))
    program = "{answer}\n{tests}\ncheck({entry_point})"
    task = Task.model_validate(
        {"answer": "code", "score": {"kind": "python_tests", "tests": "test", "program": program}}
    )
    found = score_sources_on(task, sources, rows=rows, tools=Tools(allow_code_execution=True))
    assert [outcome.score for outcome in found.scores.tables()["warm"][0]] == [1, 0]
    with pytest.raises(RowsError, match="has no row of its prompt 'HumanEval/1'"):
        score_sources_on(
            task, [written(tmp_path / "b.jsonl", [{"task_id": "HumanEval/1", "completion": "x"}])], rows=rows
        )


PLAIN = [
    {"id": prompt, "T": temperature, "text": f"It is {4 if prompt % 2 and temperature < 1 else 5}.", "right": 4}
    for prompt in range(8)
    for temperature in (0.1, 1.5)
]


def test_the_command(tmp_path: Path) -> None:
    source = written(tmp_path / "texts.jsonl", PLAIN)
    (tmp_path / "task.yaml").write_text("task: {answer: number, reference: right, score: [exact, 'mine:odd']}\n")
    (tmp_path / "mine.py").write_text("def odd(answer, row):\n    return 1 / (row['id'] % 4) > 0\n")
    options = [
        "--task",
        str(tmp_path / "task.yaml"),
        "--group-by",
        "T",
        "--prompt-column",
        "id",
        "--out",
        str(tmp_path / "out"),
    ]
    result = CliRunner().invoke(app, ["score", source, *options])
    assert result.exit_code == 0, result.output
    flat = " ".join(result.output.split())
    assert f"odd: runs mine:odd from {tmp_path / 'mine.py'}" in flat
    assert (
        "not scored: policy '0.1', prompt 0, sample 0: odd: mine:odd raised ZeroDivisionError: division by zero" in flat
    )
    assert "verdict (8 prompts): " in flat
    held = json.loads((tmp_path / "out" / "metrics.json").read_text())["task"]["scorers"]["exact"]["policies"]
    assert {name: own["mean_score"]["value"] for name, own in held.items()} == {"0.1": 0.5, "1.5": 0.0}
    verdict = json.loads((tmp_path / "out" / "verdict.json").read_text())
    assert verdict["policies"]["0.1"]["value"] == 0.5
    lines = [json.loads(line) for line in (tmp_path / "out" / "answers.jsonl").read_text().splitlines()]
    assert [(line["policy"], line["prompt"], line["answer"]) for line in lines[:3]] == [
        ("0.1", 0, "5"),
        ("1.5", 0, "5"),
        ("0.1", 1, "4"),
    ]


@pytest.mark.parametrize(
    ("rows", "task", "message"),
    [
        ([{"text": "4", "right": 4}], "{reference: right, score: exact}", "row 1 of FILE: nothing names its prompt: choose a column with"),
        ([{"id": 1, "text": "4"}], "{reference: right, score: exact}", "row 1 of FILE: there is no column 'right'"),
        ([{"id": 1, "text": 4, "right": 4}], "{reference: right, score: exact}", "row 1 of FILE: column 'text' has to hold a text"),
        ([{"id": 1, "text": "4", "right": "x"}], "{answer: number, reference: right, score: exact}",
         "holds 'x', from which 'number' takes"),
        ([{"id": 1, "text": "4", "right": 4}, {"id": 1, "text": "4", "right": 5}],
         "{reference: right, score: exact}", "has another reference"),
        ([{"id": 1, "text": "4", "right": 4}], "{reference: right, score: exakt}", "task.yaml:1: score: 'exakt' is not a kind of score"),
        ([{"id": 1, "text": "4", "right": 4}], "task: {reference: right, score: exakt}", "task.yaml:1: task.score: 'exakt' is not a kind"),
        ([{"id": 1, "text": "4", "right": 4}], "{score: {kind: python_tests, tests: right}}", "--allow-code-execution"),
        ([], "{score: json_valid}", "FILE: holds no text"),
    ],
)  # fmt: skip
def test_mistakes_are_one_line(tmp_path: Path, rows: list[dict[str, Any]], task: str, message: str) -> None:
    source = written(tmp_path / "t.jsonl", rows)
    (tmp_path / "task.yaml").write_text(task + "\n")
    result = CliRunner().invoke(
        app, ["score", source, "--task", str(tmp_path / "task.yaml"), "--out", str(tmp_path / "out")]
    )
    assert result.exit_code == 2, result.output
    assert message.replace("FILE", source) in " ".join(result.output.split())


def test_options_that_do_not_go_with_a_task(tmp_path: Path) -> None:
    result = CliRunner().invoke(app, ["score", "a.jsonl", "--task", "t.yaml", "--stream"])
    assert result.exit_code == 2
    assert "--task: takes no --stream" in result.output


def test_a_group_and_a_prompt_of_ones_own() -> None:
    texts = read_generated(HARNESS, Naming(group="do_sample", prompt="question"))
    assert {text.group for text in texts} == {"True"}
    assert texts[0].prompt == "The quick brown fox"
