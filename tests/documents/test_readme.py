"""Every snippet and every command of README runs, in the order in which they stand, in an empty folder."""

from __future__ import annotations

import contextlib
import io
import os
import re
import shlex
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.paths import ROOT

BLOCKS = re.findall(r"^```(\w+)\n(.*?)^```$", (ROOT / "README.md").read_text(encoding="utf-8"), flags=re.M | re.S)
COMMANDS = [line for language, text in BLOCKS if language == "bash" for line in text.splitlines() if line]
SNIPPETS = [text for language, text in BLOCKS if language == "python"]


def test_python_snippets_run_in_order(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    scope: dict[str, object] = {}
    assert len(SNIPPETS) >= 5
    for snippet in SNIPPETS:
        printed = io.StringIO()
        with contextlib.redirect_stdout(printed):
            exec(compile(snippet, "README.md", "exec"), scope)
        assert printed.getvalue().strip()


def argv(command: str) -> list[str]:
    """`command` with the programs of this environment."""
    program, *rest = shlex.split(command)
    if program == "python":
        return [sys.executable, *rest]
    if program == "torchrun":
        return [sys.executable, "-m", "torch.distributed.run", *rest]
    return [sys.executable, "-c", "from temp_processors.cli import main; main()", *rest]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where the commands run one after the other, as a reader would paste them."""
    made = tmp_path_factory.mktemp("readme")
    for name in ("configs", "scripts"):
        shutil.copytree(ROOT / name, made / name)
    return made


@pytest.mark.parametrize("command", [line for line in COMMANDS if not line.startswith("python3 -m venv")])
def test_commands_run(command: str, folder: Path) -> None:
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "HF_HUB_OFFLINE": "1"}
    done = subprocess.run(argv(command), cwd=folder, env=environment, capture_output=True, text=True, timeout=280)
    assert done.returncode == 0, done.stdout + done.stderr


def test_set_up_commands_are_one_line_each_and_name_the_constraints() -> None:
    set_up = [line for line in COMMANDS if line.startswith("python3 -m venv")]
    assert len(set_up) == 2
    assert all("-c constraints.txt" in line for line in set_up)
