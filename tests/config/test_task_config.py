"""The section `task:`, templates and stop texts in a configuration: each mistake in one line with file, line and row."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from temp_processors.cli.app import app
from temp_processors.config.loading import load_config
from temp_processors.config.prompts import PromptError, PromptSource
from temp_processors.config.template import checked_template, filled_template
from temp_processors.experiment.plan import Plan

QUESTIONS = [
    {"question": "1 + 1", "answer": "2", "options": ["1", "2"]},
    {"question": "2 + 2", "answer": 4, "options": ["3", "4"]},
]


def written(folder: Path, task: str, rows: Any = QUESTIONS, more: str = "") -> Path:
    """A configuration whose `task:` stands in line 3, with its questions beside it."""
    (folder / "q.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    config = folder / "c.yaml"
    config.write_text(
        'name: x\nprompts: {file: q.jsonl, template: "Q: {question}\\nA:"}\n'
        f"{task}\n{more}policies: [{{name: a, kind: fixed, temperature: 1}}]\n"
    )
    return config


def test_a_task_with_a_template_and_a_file_beside_the_configuration(tmp_path: Path) -> None:
    config = load_config(
        written(tmp_path, "task: {answer: number, reference: answer, score: [exact, {kind: number, tolerance: 0.1}]}")
    )
    assert config.task is not None
    assert list(config.task.scorers) == ["exact", "number"]
    plan = Plan(config)
    assert plan.prompts == ["Q: 1 + 1\nA:", "Q: 2 + 2\nA:"]
    assert [config.task.references(row) for row in plan.rows] == [("2",), ("4",)]
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "elsewhere" / "again.yaml").write_text(config.to_yaml())
    assert load_config(tmp_path / "elsewhere" / "again.yaml") == config


@pytest.mark.parametrize(
    ("task", "message"),
    [
        ("task: {answer: nubmer, reference: answer, score: exact}",
         ":3: task.answer: 'nubmer' is not a kind of answer (did you mean 'number'?)"),
        ("task: {answer: regex, reference: answer, score: exact}",
         ":3: task.answer: 'regex' alone says too little: write {kind: regex, pattern: ...}"),
        ("task:\n  answer: {kind: regex, pattern: abc}\n  score: json_valid",
         ":4: task.answer.pattern: has no group, so it says nothing of what to take"),
        ("task: {reference: answer, score: exakt}", ":3: task.score: 'exakt' is not a kind of score (did you mean 'exact'?)"),
        ("task: {reference: answer, score: [exact, exakt]}", ":3: task.score.1: 'exakt' is not a kind of score"),
        ("task: {score: exact}", ":3: task: `reference` is required and missing: 'exact' compares with it"),
        ("task: {reference: answer}", ":3: task.score: is required and missing"),
        ("task: {reference: answer, score: exact, margn: 0.1}", ":3: task.margn: not a field of `task` (did you mean 'margin'?)"),
        ("task:\n  reference: answer\n  score: {kind: exact, normalize: none}",
         ":5: task.score.normalize: not a field of 'exact' (did you mean 'normalise'?)"),
        ("task:\n  score:\n    - {kind: json_schema, schema: {type: objekt}}",
         ":5: task.score.0.schema: is no JSON schema: type: 'objekt' is not valid"),
        ("task: {reference: answr, score: exact}", ":3: task.reference: row 1 of Q: there is no column 'answr' (did you mean 'answer'?)"),
        ("task: {answer: choice, reference: question, score: exact}",
         ":3: task.reference: row 1 of Q: column 'question' holds '1 + 1', from which 'choice' takes"),
        ("task: {score: {kind: python_tests, tests: test}}", ":3: task.score: row 1 of Q: there is no column 'test'"),
        ("stop: ['']", ":3: stop.0: has to hold at least 1 character"),
    ],
)  # fmt: skip
def test_mistakes_are_told_at_their_line_before_anything_is_loaded(tmp_path: Path, task: str, message: str) -> None:
    config = written(tmp_path, task)
    result = CliRunner().invoke(app, ["run", str(config), "--dry-run"])
    assert result.exit_code == 2, result.output
    expected = f"{config}{message}".replace(" Q:", f" {tmp_path / 'q.jsonl'}:")
    assert expected.casefold() in result.output.replace("\n", " ").casefold()


@pytest.mark.parametrize(
    ("rows", "message"),
    [
        ([{"question": "a", "answer": "1"}, {"question": "b", "answer": ""}], "row 2 of Q: column 'answer' is empty"),
        ([{"question": "a", "answer": "1"}, {"question": "b"}], "row 2 of Q: there is no column 'answer'"),
        ([{"question": "a", "answer": "1"}, {"question": "b", "answer": "two"}],
         "row 2 of Q: column 'answer' holds 'two', from which 'number'"),
        ([{"question": "a", "answer": 1}, {"question": "b", "answer": 2}, {"question": "a", "answer": 3}],
         "rows 1 and 3 of Q make the same prompt 'Q: a"),
        ([{"question": "a", "answer": "1"}, {"questoin": "b", "answer": "1"}],
         "row 2 of Q: there is no column 'question' (did you mean 'questoin'?)"),
        ([{"question": ["a"], "answer": "1"}], "row 1 of Q: 'question' holds \"['a']\", which is no text and no number: name its parts"),
    ],
)  # fmt: skip
def test_rows_are_checked_before_anything_is_drawn(tmp_path: Path, rows: Any, message: str) -> None:
    config = load_config(written(tmp_path, "task: {answer: number, reference: answer, score: exact}", rows))
    with pytest.raises(PromptError) as error:
        _ = Plan(config).prompts
    assert message.replace(" Q", f" {tmp_path / 'q.jsonl'}") in str(error.value)


def test_a_list_of_prompts_has_no_reference(tmp_path: Path) -> None:
    config = load_config("fox", ["task={reference: answer, score: exact}"])
    with pytest.raises(
        PromptError, match=r"task\.reference: row 1 of the list `prompts`: there is no column 'answer'; columns: prompt"
    ):
        _ = Plan(config).prompts


def test_a_dry_run_says_what_would_run_and_runs_nothing(tmp_path: Path) -> None:
    (tmp_path / "mine.py").write_text("raise SystemExit('was run')\n")
    config = written(tmp_path, "task: {score: ['mine:f', {kind: python_tests, tests: question}]}")
    result = CliRunner().invoke(app, ["run", str(config), "--dry-run"])
    assert result.exit_code == 0, result.output
    assert f"f: runs mine:f from {tmp_path / 'mine.py'}" in result.output
    assert "python_tests: runs each program in an empty folder, 10 s, 1024 MB, " in result.output
    result = CliRunner().invoke(
        app, ["run", str(config), "--set", "task.score=[{kind: python_tests, tests: question}]"]
    )
    assert result.exit_code == 2
    assert "--set task.score" in result.output
    assert "allow it with --allow-code-execution" in result.output


def test_stop_texts_are_for_transformers(tmp_path: Path) -> None:
    config = written(tmp_path, "stop: ['Q:']", more="engine: vllm\n")
    result = CliRunner().invoke(app, ["run", str(config), "--dry-run"])
    assert (
        f"{config}:3: `stop` is for `engine: transformers`" in result.output.replace("\n", " ")
        or "stop" in result.output
    )
    assert result.exit_code == 2


def test_the_configuration_of_a_dataset_has_two_names() -> None:
    assert PromptSource(dataset="gsm8k", name="main") == PromptSource.model_validate(
        {"dataset": "gsm8k", "subset": "main"}
    )


@pytest.mark.parametrize(
    ("template", "row", "expected"),
    [
        ("Q: {q}\nA:", {"q": "1 + 1"}, "Q: 1 + 1\nA:"),
        ("{q} {n}", {"q": "a", "n": 0.5}, "a 0.5"),
        ("{{{q}}}", {"q": "a"}, "{a}"),
        ("{c[0]} or {c[1]}", {"c": ["a", "b"]}, "a or b"),
        ("{a[text][0]}", {"a": {"text": ["x"]}}, "x"),
        ("{c:letters}\n", {"c": ["cat", "dog"]}, "A. cat\nB. dog\n"),
        ("{a[text]:letters}", {"a": {"text": ["x"]}}, "A. x"),
        ("{a b}", {"a b": "x"}, "x"),
    ],
)
def test_templates(template: str, row: dict[str, Any], expected: str) -> None:
    assert filled_template(checked_template(template), row) == expected


@pytest.mark.parametrize(
    ("template", "message"),
    [
        ("no column", "names no column"),
        ("{}", "names no column"),
        ("{q", "is no template: expected '}'"),
        ("{q!r}", r"has \{q!r\}: a column is written as \{q\}"),
        ("{q:>10}", r"has \{q:>10\}"),
        ("{q.__class__}", "names no column"),
        ("{q[0}", "is no template"),
    ],
)
def test_what_is_no_template(template: str, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        checked_template(template)


def test_the_shipped_questions_are_many_and_go_with_their_task() -> None:
    plan = Plan(load_config("smollm2_questions"))
    assert len(plan.prompts) >= 80
    assert {row["kind"] for row in plan.rows} == {"counting", "sum", "capital", "opposite", "choice"}
    assert plan.config.task is not None
    for row in plan.rows:
        for right in row["answer"]:
            found = plan.config.task.answer.extract(f" {right}\nQ:")
            assert found.text == right
