"""What only the system knows to be no place, and a full disk behind the terminal: one line, from whatever depth it comes."""

from __future__ import annotations

import errno
import os
import subprocess
import sys
from pathlib import Path

import pytest

from temp_processors.cli import app

LONG = "x" * 5000


@pytest.mark.parametrize(
    "arguments",
    [
        ("plan", LONG, "--difference", "0.1"),
        ("plan", "fox", "--difference", "0.1", "--pilot", LONG),
        ("compare", LONG),
        ("score", LONG),
        ("report", LONG),
        ("calibrate", "a.txt", "--model", LONG),
        ("audit", LONG),
        ("run", LONG),
        ("import", LONG, "--from", "vllm"),
    ],
    ids=lambda arguments: "_".join(arguments)[:20],
)
def test_a_name_too_long_for_any_file(
    arguments: tuple[str, ...], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "a.txt").write_text("the fox\n")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "argv", ["temp-processors", *arguments])
    monkeypatch.setattr(app, "collect_rarely", lambda: None)
    with pytest.raises(SystemExit) as ended:
        app.main()
    told = capsys.readouterr().err
    assert ended.value.code == 2
    assert LONG in told
    assert os.strerror(errno.ENAMETOOLONG) in told or "a folder" in told
    assert "Traceback" not in told


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="this system has no full disk to write to")
def test_a_terminal_that_cannot_be_written_to(tmp_path: Path) -> None:
    with Path("/dev/full").open("w") as full:
        done = subprocess.run(
            [sys.executable, "-m", "temp_processors", "list", "metrics"],
            stdout=full,
            stderr=subprocess.PIPE,
            text=True,
            check=False,
            env={**os.environ, "PYTHONUNBUFFERED": "1"},
        )
    assert done.returncode == 1
    assert done.stderr.strip() == f"[Errno {errno.ENOSPC}] {os.strerror(errno.ENOSPC)}"
