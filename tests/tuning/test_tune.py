"""`temp-processors tune` on the shipped model: a race on a task, the turning point of its entropy, and what cannot be tuned."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from typer.testing import CliRunner

from temp_processors.cli.app import app

HEROES = [
    f"The {how} {who}"
    for how in ("quick brown", "clever gray")
    for who in ("fox", "wolf", "bear", "mouse", "rooster", "owl")
]
CONFIG = """name: tales
prompts: {file: heroes.jsonl, column: hero}
samples_per_prompt: 4
max_new_tokens: 12
coupled: true
task: {score: {kind: function, function: "mine:plain"}}
policies:
  - {kind: fixed, temperature: [0.1, 0.4, 6.0]}
metrics: [distinct_1]
"""
PLAIN = "def plain(answer, row):\n    return all(len(word) < 10 and word.isascii() for word in answer.split()) and ' a' in answer\n"


@pytest.fixture
def config(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "heroes.jsonl").write_text("".join(json.dumps({"hero": hero}) + "\n" for hero in HEROES))
    (tmp_path / "mine.py").write_text(PLAIN)
    (tmp_path / "tales.yaml").write_text(CONFIG)
    return tmp_path / "tales.yaml"


def command(*arguments: str) -> tuple[int, str]:
    done = CliRunner().invoke(app, list(arguments))
    assert done.exception is None or isinstance(done.exception, SystemExit), done.exception
    return done.exit_code, done.output


def test_a_race(config: Path) -> None:
    code, output = command("tune", str(config), "--rounds", "3")
    assert code == 0, output
    found = json.loads(Path("runs/tales-tune/tune.json").read_text())
    lines = Path("runs/tales-tune/samples.jsonl").read_text().splitlines()
    rounds = found["rounds"]
    assert f"round {rounds} ({found['prompts']} prompts): " in output
    assert "for the full grid: " in output
    assert sum(json.loads(line)["policy"] in found["alive"] for line in lines) == 4 * found["prompts"] * len(
        found["alive"]
    )
    assert found["tokens"] == sum(
        len(row["token_ids"]) + (row["finish_reason"] == "stop") for row in map(json.loads, lines)
    )
    code, output = command("tune", str(config))
    assert code == 2
    assert "tales-tune" in output
    assert "--overwrite" in output


def test_a_race_draws_what_a_run_would(config: Path) -> None:
    """Seeds are those of the whole plan: prompt, sample and policy have the texts of a run of the configuration."""
    assert command("tune", str(config), "--rounds", "1", "--quiet")[0] == 0
    assert command("run", str(config), "--no-report", "--quiet")[0] == 0
    texts = [
        {
            (row["policy"], row["prompt_id"], row["sample_id"]): row["text"]
            for row in map(json.loads, path.read_text().splitlines())
        }
        for path in (Path("runs/tales-tune/samples.jsonl"), Path("runs/tales/samples.jsonl"))
    ]
    assert texts[0] == texts[1]


def test_a_budget_ends_a_race(config: Path) -> None:
    code, output = command("tune", str(config), "--rounds", "3", "--budget", "1")
    assert code == 0
    assert "the budget is spent: " in output or "one policy is left" in output
    assert "round 2" not in output


def test_a_turning_point(config: Path) -> None:
    grid = "policies=[{kind: fixed, temperature: [0.2, 0.5, 0.8, 1.1, 1.4, 1.7]}]"
    code, output = command("tune", str(config), "--method", "turn", "--set", grid, "--quiet")
    assert code == 0, output
    assert output.splitlines()[0].startswith("T=0.2: 0.")
    assert "turning point: T=" in output
    again = command("tune", str(config), "--method", "turn", "--set", grid, "--quiet")
    assert again == (code, output)  # from the run that is there


def test_families(config: Path) -> None:
    grid = "policies=[{kind: fixed, temperature: [0.1, 0.8]}, {kind: edt, temperature: [0.5, 1.0], theta: 0.1}]"
    code, output = command("tune", str(config), "--compare-families", "--set", grid, "--quiet")
    assert code == 0, output
    assert output.startswith("2 settings of each family, tuned on 6 prompts, judged on 6 others\n")
    found = json.loads(Path("runs/tales/families.json").read_text())
    assert set(found["chosen"]) == {"fixed", "edt"}
    assert found["verdict"]["prompts"] == 6
    assert f"tokens drawn: fixed {found['tokens']['fixed']:,}, edt" in output
    code, output = command("tune", str(config), "--family", "cold=T=0.1", "--family", "warm=T=0.8", "--set", grid)
    assert code == 0, output
    assert "1 settings of each family" in output


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--set", "task=null"], "a race needs a `task`, which says what a text is worth; without one: --method turn"),
        (["--set", "policies.0.temperature=0.5", "--set", "policies.0.name=one"], "a race needs at least two policies"),
        (["--set", "prompts.limit=3"], "a race needs at least 4 prompts, but there are 3"),
        (["--method", "turn"], "--method turn needs at least 5 temperatures, but has 3"),
        (
            ["--method", "turn", "--set", "policies=[{name: e, kind: edt, temperature: 0.5, theta: 0.1}]"],
            "--method turn is for fixed temperatures, but 'e' is of kind 'edt'",
        ),
        (
            ["--method", "turn", "--set", "traces=false", "--set", "policies.0.temperature=[1, 2, 3, 4, 5]"],
            "--method turn needs traces, which hold the entropies: `traces: true`",
        ),
        (["--compare-families"], "a comparison needs two families, but there is only fixed"),
        (["--compare-families", "--set", "task=null"], "--compare-families needs a `task`"),
        (["--compare-families", "--set", "prompts.limit=7"], "--compare-families needs 8 prompts, but there are 7"),
        (["--family", "cold"], "--family: has to look like NAME=PATTERN, but is 'cold'"),
        (["--family", "cold=X*"], "--family: no policy is named like 'X*'; policies: T=0.1, T=0.4, T=6"),
        (["--family", "a=T=0.1", "--family", "b=T=0*"], "policy 'T=0.1' is in a family twice"),
        (
            ["--family", "a=T=6", "--family", "b=T=0*"],
            "the same number of settings, or the one with more has more luck",
        ),
        (["--rounds", "0"], "Invalid value for '--rounds'"),
    ],
)
def test_what_cannot_be_tuned(config: Path, arguments: list[str], message: str) -> None:
    code, output = command("tune", str(config), "--quiet", *arguments)
    assert code == 2
    assert message in output
