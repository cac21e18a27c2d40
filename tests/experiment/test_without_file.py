"""`temp-processors run --model M --prompt ... --temperatures ...`: a run that needs no file."""

from __future__ import annotations

from pathlib import Path

import pytest
from typer.testing import CliRunner

from temp_processors.cli.app import app
from temp_processors.config import load_config


def command(*arguments: str) -> tuple[int, str]:
    done = CliRunner().invoke(app, ["run", *arguments])
    assert done.exception is None or isinstance(done.exception, SystemExit), done.exception
    return done.exit_code, done.output


def test_a_run_without_a_file_writes_the_configuration_it_ran(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    small = [
        "--set",
        "samples_per_prompt=2",
        "--set",
        "max_new_tokens=4",
        "--set",
        "metrics=[distinct_1]",
        "--no-report",
    ]
    code, output = command("--prompt", "The quick brown fox", "--temperatures", "0.1:0.5:0.2", *small)
    assert code == 0, output
    config = load_config(Path("runs/fox-temperatures/config.yaml"))
    assert [named.name for named in config.policies] == ["T=0.1", "T=0.3", "T=0.5"]
    assert (config.model, config.prompts, config.samples_per_prompt) == ("fox", ["The quick brown fox"], 2)
    assert "T=0.3" in output
    code, output = command("runs/fox-temperatures/config.yaml", "--resume", "--no-report")
    assert code == 0, output


def test_a_task_in_a_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "task.yaml").write_text("score: json_valid\n")
    code, output = command("--prompt", "a", "--temperatures", "0.1,1", "--task", "task.yaml", "--dry-run")
    assert code == 0, output
    assert output.startswith("fox-temperatures: 2 policies x 1 prompt x 16 samples")
    code, output = command("--prompt", "a", "--temperatures", "0.1,1", "--task", "no.yaml")
    assert (code, output) == (2, "no.yaml: cannot be read: No such file or directory\n")


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ([], "give CONFIG, or a run without a file: --prompt is missing"),
        (["--prompt", "a"], "give CONFIG, or a run without a file: --temperatures is missing"),
        (["fox", "--prompt", "a"], "--prompt: CONFIG says it already; change it with --set, or leave CONFIG out"),
        (
            ["--prompt", "a", "--temperatures", "warm"],
            "--temperatures: has to be numbers such as 0.1,0.5,1, or from:to:step",
        ),
        (
            ["--prompt", "a", "--temperatures", "0.1:1"],
            "--temperatures: has to have three parts, from:to:step, but is '0.1:1'",
        ),
        (
            ["--prompt", "a", "--temperatures", "1:0.1:0.2"],
            "the command line: policies.0.temperature.to: has to be at least `from`",
        ),
        (
            ["--prompt", "a", "--temperatures", "-1,1"],
            "the command line: policies.0.temperature.0: has to be a number >= 0",
        ),
        (["--prompt", " ", "--temperatures", "1"], "the command line: prompts.0: has to hold some text"),
    ],
)
def test_mistakes_on_the_command_line(arguments: list[str], message: str) -> None:
    code, output = command(*arguments)
    assert code == 2
    assert message in output
