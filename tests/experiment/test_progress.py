"""Progress: a bar at a terminal, lines elsewhere, nothing when quiet."""

from __future__ import annotations

import io
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
from rich.console import Console

from temp_processors.config.loading import load_config
from temp_processors.experiment import progress
from temp_processors.experiment.progress import Meter
from temp_processors.experiment.run import run_experiment

SMALL = ["samples_per_prompt=3", "max_new_tokens=6"]
LINE = re.compile(r"18 texts, 108 tokens in 0:\d\d, [\d,]+ tokens/s, peak memory \d\.\d GB\n")
STAGES = re.compile(r"model: \d+\.\d s\n" + LINE.pattern + r"scoring: \d+\.\d s\ntraces: \d+\.\d s\n")


def printed(terminal: bool) -> tuple[Console, io.StringIO]:
    out = io.StringIO()
    return Console(file=out, force_terminal=terminal, width=200), out


def test_a_line_at_the_end_where_there_is_no_terminal(tmp_path: Path) -> None:
    console, out = printed(terminal=False)
    run_experiment(load_config("fox", SMALL, out=tmp_path / "run"), progress=console)
    assert STAGES.fullmatch(out.getvalue())


def test_lines_on_the_way(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(progress, "LINE_EVERY", -1.0)
    console, out = printed(terminal=False)
    with Meter(console, texts=4, longest=10) as meter:
        meter.begin(["T=0.1", "T=0.5"])
        meter.tokens(4)
        meter.text(1)
    lines = out.getvalue().splitlines()
    assert lines[0].startswith("0 of 40 tokens, 0 tokens/s, ")
    assert re.match(r"4 of 40 tokens, [\d,]+ tokens/s, 0:00 left, T=0.1, T=0.5, peak memory \d\.\d GB", lines[1])
    assert lines[2].startswith("4 of 31 tokens")
    assert lines[-1].startswith("1 texts, 1 tokens in 0:00")


def test_a_bar_at_a_terminal(tmp_path: Path) -> None:
    console, out = printed(terminal=True)
    run_experiment(load_config("fox", SMALL, out=tmp_path / "run"), progress=console)
    text = re.sub(r"\x1b\[[0-9;?]*[a-zA-Z]", "", out.getvalue())
    assert "T=0.1, T=0.5 +4" in text
    assert "108/108 tokens" in text
    assert LINE.search(text)


def test_the_bar_fits_into_80_columns() -> None:
    out = io.StringIO()
    with Meter(Console(file=out, force_terminal=True, width=80), texts=1000, longest=10_000) as meter:
        meter.begin(["a policy of a long name", "another", "and another"])
        meter.tokens(1000)
    assert "…" not in out.getvalue()
    assert "1,000/10,000,000 tokens" in out.getvalue()


def test_a_bar_of_tqdm_in_a_notebook(capsys: pytest.CaptureFixture[str]) -> None:
    console = Console(force_jupyter=True)
    with Meter(console, texts=2, longest=4) as meter:
        meter.begin(["T=0.1"])
        meter.tokens(4)
        meter.text(4)
        meter.text(2)
    bar = capsys.readouterr().err
    assert "T=0.1: 100%" in bar
    assert "6/6 [" in bar
    assert progress.default_progress().quiet  # not a notebook here


def test_every_text_counts_once_whatever_the_batches(tmp_path: Path) -> None:
    console, out = printed(terminal=False)
    run_experiment(load_config("fox", [*SMALL, "batch_size=5"], out=tmp_path / "run"), progress=console)
    assert STAGES.fullmatch(out.getvalue())


@pytest.mark.slow
def test_quiet_says_nothing_but_errors(tmp_path: Path) -> None:
    flags = [part for setting in SMALL for part in ("--set", setting)]
    command = [sys.executable, "-m", "temp_processors", "run", "fox", *flags, "--out", str(tmp_path / "run"), "--quiet"]
    first, second = (
        subprocess.run(command, capture_output=True, text=True, check=False, env={**os.environ, "OMP_NUM_THREADS": "1"})
        for _ in range(2)
    )
    assert (first.returncode, first.stdout, first.stderr) == (0, "", "")
    assert (second.returncode, second.stdout) == (2, "")
    assert "holds a complete run" in second.stderr
