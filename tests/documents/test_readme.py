"""Every snippet and every command of README runs, in the order in which they stand, in an empty folder."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from tests.documents.pages import blocks_of, commands_of, follow
from tests.paths import ROOT

README = ROOT / "README.md"
BLOCKS = blocks_of(README)
ENVIRONMENT = {**os.environ, "PYTHONPATH": str(ROOT), "COLUMNS": "110"}


@pytest.mark.filterwarnings("default")
def test_what_it_shows_runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert sum(block.language == "python" for block in BLOCKS) >= 3
    assert sum(len(commands_of(block)) for block in BLOCKS if block.language == "bash") >= 5
    follow(README)


def test_set_up_commands_are_one_line_each_and_name_the_constraints() -> None:
    lines = [line for block in BLOCKS if block.language == "bash" for line in block.text.splitlines()]
    set_up = [line for line in lines if line.startswith("python3 -m venv")]
    assert len(set_up) == 2
    assert all("-c constraints.txt" in line for line in set_up)
    assert lines[lines.index(set_up[0]) + 1] == "source .venv/bin/activate"


def test_it_is_short() -> None:
    assert len(README.read_text(encoding="utf-8").splitlines()) < 150


@pytest.mark.slow
@pytest.mark.parametrize("name", ["README.md", "README.zh.md"])
def test_the_output_that_it_shows_is_that_of_its_first_command(name: str, tmp_path: Path) -> None:
    shown = (ROOT / name).read_text(encoding="utf-8").split("<!-- output -->\n```console\n")[1].split("```")[0]
    command = [sys.executable, "-m", "temp_processors", "run", str(ROOT / "configs" / "fox.yaml"), "--no-report"]
    done = subprocess.run(
        command, cwd=tmp_path, env=ENVIRONMENT, capture_output=True, text=True, check=True, timeout=280
    )
    printed = re.sub(r"\s+", " ", done.stdout)
    assert [line for line in shown.splitlines() if re.sub(r"\s+", " ", line.strip()) not in printed + " ..."] == []
