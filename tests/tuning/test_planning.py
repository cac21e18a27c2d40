"""`temp-processors plan`: sizes from an accuracy and from a pilot run."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from typer.testing import CliRunner

from temp_processors.cli.app import app
from temp_processors.comparison.sample_size import smallest_difference, spread_from_accuracy
from temp_processors.tuning.planning import pilot_spread, plan_lines


def write_pilot(
    folder: Path, policies: tuple[str, ...] = ("cold", "warm"), prompts: int = 300, samples: int = 4
) -> Path:
    rng = np.random.default_rng(0)
    hard = rng.beta(0.5 * 0.7 / 0.3, 0.5 * 0.7 / 0.3, prompts)
    lines = []
    for policy in policies:
        for prompt in range(prompts):
            for sample in range(samples):
                score = None if (prompt, sample) == (0, 0) else float(rng.random() < hard[prompt])
                row = {
                    "policy": policy,
                    "prompt_id": prompt,
                    "sample_id": sample,
                    "scores": {"exact": score, "other": 1.0},
                }
                lines.append(json.dumps(row))
    folder.mkdir()
    (folder / "answers.jsonl").write_text("\n".join(lines) + "\n")
    return folder


def test_a_pilot_finds_the_spread_that_drew_it(tmp_path: Path) -> None:
    found = pilot_spread(write_pilot(tmp_path / "pilot"))
    assert found.within == pytest.approx(2 * 0.7 * 0.25, abs=0.03)
    assert found.between < 0.02


def test_a_plan_in_words() -> None:
    spread = spread_from_accuracy(0.5)
    lines = plan_lines(spread, 0.05, 2, 375, 4, told="an accuracy of 0.5 assumed")
    assert lines[0] == "to show a difference of 0.05 between 2 policies in 4 of 5 runs (an accuracy of 0.5 assumed):"
    assert "        4      375                 1,500" in lines
    assert lines[-1] == "the configuration has 375 prompts x 4 samples, enough: it shows differences of 0.05 and more"
    assert "20 prompts x 4 samples, too few: it shows" in plan_lines(spread, 0.05, 2, 20, 4, told="")[-1]
    assert (
        plan_lines(spread, 0.05, 2, 1, 4, told="")[-1]
        == "the configuration has 1 prompt x 4 samples, too few to show any difference"
    )
    assert smallest_difference(375, spread.at(4)) == pytest.approx(0.05, abs=1e-3)


def command(*arguments: str) -> tuple[int, str]:
    done = CliRunner().invoke(app, ["plan", *arguments])
    assert done.exception is None or isinstance(done.exception, SystemExit), done.exception
    return done.exit_code, done.output


def test_the_command(tmp_path: Path) -> None:
    code, output = command("fox", "--difference", "0.05")
    assert code == 0, output
    assert "between 6 policies in 4 of 5 runs (an accuracy of 0.5 assumed)" in output
    pilot = write_pilot(tmp_path / "pilot")
    code, output = command("fox", "--difference", "0.05", "--pilot", str(pilot))
    assert code == 0, output
    assert f"(as spread as {pilot})" in output


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--difference", "0"], "a difference to plan for has to be between 0 and 1, but is 0.0"),
        (["--difference", "0.1", "--accuracy", "1"], "an accuracy to plan with has to be between 0 and 1, but is 1.0"),
        (["--difference", "0.1", "--accuracy", "0.5", "--pilot", "x"], "leave out one of --accuracy and --pilot"),
        (
            ["--difference", "0.1", "--pilot", "nowhere"],
            "no such file: a pilot is a finished run of a configuration with a `task`",
        ),
        ([], "Missing option '--difference'"),
    ],
)
def test_plans_that_cannot_be(arguments: list[str], message: str) -> None:
    code, output = command("fox", *arguments)
    assert code == 2
    assert message in output


def test_pilots_that_are_none(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="a pilot needs two policies, but has 1"):
        pilot_spread(write_pilot(tmp_path / "one", policies=("cold",)))
    with pytest.raises(ValueError, match="a pilot needs 4 prompts that both policies have scores for, but has 3"):
        pilot_spread(write_pilot(tmp_path / "three", prompts=3))
